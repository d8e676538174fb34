"""Images of your own: nuclei without a network, from microscope files to masks and tables."""

from bmgd_data.own.files import Batch, Finder, Job, Outcome, Threshold, find_images, segment_files
from bmgd_data.own.segmentation import METHODS, segment, separate

__all__ = [
    "METHODS",
    "Batch",
    "Finder",
    "Job",
    "Outcome",
    "Threshold",
    "find_images",
    "segment",
    "segment_files",
    "separate",
]
