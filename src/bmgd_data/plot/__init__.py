"""Samples and measurements as pictures.

`show`, `montage`, `outlined`, `crop` and `extremes` need only the core installation. The charts
need matplotlib (``pip install "bmgd-data[plot]"``); each draws on the axes that it is given, or on
new ones, and returns them.
"""

from bmgd_data.plot.charts import (
    agreement,
    area_ecdf,
    grey_values,
    intervals,
    nuclei_per_image,
)
from bmgd_data.plot.pictures import (
    Captions,
    as_html,
    captions,
    crop,
    extremes,
    montage,
    outlined,
    show,
)

__all__ = [
    "Captions",
    "agreement",
    "area_ecdf",
    "as_html",
    "captions",
    "crop",
    "extremes",
    "grey_values",
    "intervals",
    "montage",
    "nuclei_per_image",
    "outlined",
    "show",
]
