"""Draw _static/phantom-samples.jpg and _static/phantom-histograms.png of the data page.

    python docs/phantom_pictures.py

On generated data, so it can be drawn anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import matplotlib.pyplot as plt

from bmgd_data import Reader, plot
from bmgd_data.nuclei import nuclei

OUT: Final = Path(__file__).parent / "_static"


def main() -> None:
    """Eight samples; grey values and areas of all."""
    reader = Reader("all", source="phantom:size=0.25", instances="watershed")
    plot.show(reader, count=8).convert("RGB").save(OUT / "phantom-samples.jpg", quality=80)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    plot.grey_values(reader, ax=left)
    plot.area_ecdf(nuclei(reader), ax=right)
    figure.savefig(OUT / "phantom-histograms.png", dpi=90)


if __name__ == "__main__":
    main()
