"""Torch data sets to compare with, and DataLoaders; importing this imports torch.

The classes lie at the top of a module so that spawned workers find them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plain
import torch
from streams import BATCH
from torch.utils.data import DataLoader, Dataset

if TYPE_CHECKING:
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
        self._n_nuclei = reader.n_nuclei.tolist()
        self._stiffness = reader.stiffness_pa.tolist()
        self._names = reader.names

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {
            **{key: tensor[row] for key, tensor in self._tensors.items()},
            "stiffness_pa": self._stiffness[row],
            "n_nuclei": self._n_nuclei[row],
            "name": self._names[row],
        }


class Files(Dataset[dict[str, Any]]):
    """Unpacked folders, read and labelled for each sample; tensors of the types of BMGD.

    Args:
        folder: Where the archives were unpacked.
        full_scales: By stiffness, as the Reader tells them.
    """

    def __init__(self, folder: Path, full_scales: dict[int, int]) -> None:
        self._pairs, self._full_scales = plain.pairs(folder), full_scales

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, row: int) -> dict[str, Any]:
        sample = plain.read(self._pairs[row])
        image = sample["image"].astype(np.float32)[None]
        image /= self._full_scales[sample["stiffness_pa"]]
        tensors = {
            "image": image,
            "mask": sample["mask"].view(np.uint8),
            "instances": sample["instances"].astype(np.int32),
        }
        return {**sample, **{key: torch.from_numpy(array) for key, array in tensors.items()}}


def single(data: Any) -> Stream:
    """One sample after the other, in this process."""
    return lambda order: (data[row] for row in order)


def loader(data: Any, workers: int, collate: Any = None) -> Stream:
    """A shuffling DataLoader; its order is its own, the same for every data set."""
    batches = DataLoader(
        data,
        batch_size=BATCH,
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
    from torchvision.transforms import v2

    return v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomCrop(224, pad_if_needed=True),
            v2.ElasticTransform(alpha=100.0, sigma=6.0),
            v2.ColorJitter(brightness=0.2, contrast=0.2),
        ]
    )


def albumentations_chain() -> Any:
    """The same by albumentations, on numpy arrays, with each image deformed."""
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
