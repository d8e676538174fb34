"""How well predictions agree with the masks: the paper's pixel scores, and scores of instances.

Empty images follow one rule. If there is nothing to find and nothing is found, a score is 1.0,
since NaN would make every mean NaN. Any other quotient of zero by zero is 0.0, such as
the precision of a model that finds none of the nuclei.
"""

from __future__ import annotations

from bmgd_data.metrics.evaluator import Evaluator
from bmgd_data.metrics.instance import (
    IOU_THRESHOLDS,
    InstanceCounts,
    InstanceQuality,
    InstanceScores,
    count_instances,
    instance_f1,
)
from bmgd_data.metrics.pixel import (
    Counts,
    PixelCounts,
    PixelQuality,
    PixelScores,
    SoftQuality,
    count_pixels,
)
from bmgd_data.metrics.table import ImageCounts, Row, Table, tabulate

__all__ = [
    "IOU_THRESHOLDS",
    "Counts",
    "Evaluator",
    "ImageCounts",
    "InstanceCounts",
    "InstanceQuality",
    "InstanceScores",
    "PixelCounts",
    "PixelQuality",
    "PixelScores",
    "Row",
    "SoftQuality",
    "Table",
    "count_instances",
    "count_pixels",
    "instance_f1",
    "tabulate",
]
