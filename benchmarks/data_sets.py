"""Data sets to compare with, DataLoaders and augmentations; importing this imports torch.

The classes lie at the top of a module so that spawned workers find them.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np
import skimage.measure
import streams
import tifffile
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from bmgd_data import facts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from streams import Arrays, Stream

    from bmgd_data import Reader


class Preloaded(Dataset[dict[str, Any]]):
    """The plainest data set there can be: tensors in RAM, of the types that are delivered.

    Args:
        arrays: `image`, `mask` and `instances` of all samples.
        reader: Where the rest of a sample comes from.
    """

    def __init__(self, arrays: Arrays, reader: Reader) -> None:
        self._tensors = {key: torch.from_numpy(array) for key, array in arrays.items()}
        self._rest = {
            "stiffness_pa": reader.stiffness_pa.tolist(),
            "n_nuclei": reader.n_nuclei.tolist(),
            "name": reader.names,
        }

    def __len__(self) -> int:
        return len(self._rest["name"])

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {key: values[row] for key, values in {**self._tensors, **self._rest}.items()}


class Files(Dataset[dict[str, Any]]):
    """What one writes without a library: unpacked folders, read and labelled for each sample.

    Args:
        folder: Where the archives were unpacked.
        full_scales: By stiffness, as the Reader tells them.
    """

    def __init__(self, folder: Path, full_scales: Mapping[int, int]) -> None:
        self._full_scales = full_scales
        self._pairs = [
            (condition.pa, image, image.parents[1] / "mask" / image.name)
            for condition in facts.CONDITIONS
            for image in sorted(
                (folder / condition.archive.removesuffix(".7z")).glob("image/*.tif")
            )
        ]

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, row: int) -> dict[str, Any]:
        pa, image_file, mask_file = self._pairs[row]
        image, mask = tifffile.imread(image_file), tifffile.imread(mask_file) > 0
        instances = skimage.measure.label(mask, connectivity=2).astype(np.uint16)
        floats = image.astype(np.float32)[None]
        floats /= self._full_scales[pa]
        return {
            "image": torch.from_numpy(floats),
            "mask": torch.from_numpy(mask.view(np.uint8)),
            "instances": torch.from_numpy(instances.astype(np.int32)),
            "stiffness_pa": pa,
            "n_nuclei": int(instances.max()),
            "name": f"{pa}Pa/{image_file.stem}",
        }


def single(data: Any) -> Stream:
    """One sample after the other, in this process."""
    return lambda order: (data[row] for row in order)


def loader(data: Any, workers: int, collate: Any = None) -> Stream:
    """A shuffling DataLoader; its order is its own, the same for every data set."""
    batches = DataLoader(
        data,
        batch_size=streams.BATCH,
        shuffle=True,
        num_workers=workers,
        collate_fn=collate,
        # Workers stay from one pass to the next: starting them is torch's time on either side.
        persistent_workers=workers > 0,
        generator=torch.Generator().manual_seed(0),
    )
    return lambda _order: iter(batches)


def v2_chain() -> Any:
    """The paper's four augmentations by torchvision."""
    return v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomCrop(224, pad_if_needed=True),
            v2.ElasticTransform(alpha=100.0, sigma=6.0),
            v2.ColorJitter(brightness=0.2, contrast=0.2),
        ]
    )


def albumentations_chain() -> Callable[[Any], Any] | None:
    """The same by albumentations, each image deformed; None where it is not installed."""
    if importlib.util.find_spec("albumentations") is None:
        return None
    import albumentations

    chain = albumentations.Compose(
        [
            albumentations.HorizontalFlip(),
            albumentations.RandomCrop(224, 224, pad_if_needed=True),
            albumentations.ElasticTransform(alpha=60, sigma=6, p=1),
            albumentations.RandomBrightnessContrast(p=1),
        ]
    )

    def change(sample: dict[str, Any]) -> Any:
        masks = [sample["mask"].numpy(), sample["instances"].numpy().astype(np.uint16)]
        return chain(image=sample["image"].numpy()[0], masks=masks)

    return change
