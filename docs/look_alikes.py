"""Draw _static/look-alikes.png: test images, and below each the most similar image of train.

    python docs/look_alikes.py

On generated data, so it can be drawn anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from bmgd_data import Reader
from bmgd_data.splits import groups

OUT: Final = Path(__file__).parent / "_static" / "look-alikes.png"
COUNT, SIDE, GAP, HEAD, GREYS = 3, 176, 8, 22, 24


def main() -> None:
    """Both schemes side by side."""
    reader = Reader("all", 250, source="phantom")
    alike = groups.likeness(groups.describe(np.asarray(reader.images)))
    width = 2 * COUNT * (SIDE + GAP) + GAP
    canvas = Image.new("L", (width, 2 * (SIDE + HEAD) + HEAD), 255)
    pen = ImageDraw.Draw(canvas)
    for block, scheme in enumerate(("random", "grouped")):
        assigned = np.array(reader.under(scheme).splits)
        test, train = np.flatnonzero(assigned == "test"), np.flatnonzero(assigned == "train")
        left = GAP + block * (COUNT * (SIDE + GAP) + GAP)
        pen.text((left, 4), f'scheme="{scheme}"', fill=0, font_size=14)
        for column, row in enumerate(test[:COUNT]):
            near = train[alike[row, train].argmax()]
            x = left + column * (SIDE + GAP)
            for place, (number, title) in enumerate(
                [(row, "test"), (near, f"train, likeness {alike[row, near]:.2f}")]
            ):
                y = HEAD + place * (SIDE + HEAD)
                pen.text((x, y + 3), title, fill=0, font_size=12)
                canvas.paste(_tile(reader.images[int(number)]), (x, y + HEAD))
    canvas.save(OUT, optimize=True)


def _tile(image: np.ndarray) -> Image.Image:
    """Few greys, so that the file stays small."""
    low, high = np.percentile(image, (1, 99.8))
    grey = np.clip((image - low) / (high - low), 0, 1)
    small = Image.fromarray((255 * grey).astype(np.uint8)).resize(
        (SIDE, SIDE), Image.Resampling.BOX
    )
    levels = np.round(np.asarray(small) / 255 * (GREYS - 1)) * (255 / (GREYS - 1))
    return Image.fromarray(levels.astype(np.uint8))


if __name__ == "__main__":
    main()
