"""The PyTorch adapter: a map-style Dataset, and whole batches from one device."""

from bmgd_data.torch._batches import Batches, batches
from bmgd_data.torch._dataset import BMGD, Sample, collate

__all__ = ["BMGD", "Batches", "Sample", "batches", "collate"]
