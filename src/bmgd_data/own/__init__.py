"""Images of your own: nuclei without a network."""

from bmgd_data.own.segmentation import METHODS, segment, separate

__all__ = ["METHODS", "segment", "separate"]
