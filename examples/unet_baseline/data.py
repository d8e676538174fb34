"""The splits of each protocol, and the steps from a sample to the network's input."""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms import v2

from bmgd_data import Reader
from bmgd_data.augment import protocol
from bmgd_data.splits import SPLITS
from bmgd_data.torch import BMGD, Sample, collate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from settings import Settings

_DARK, _BRIGHT = 1.0, 99.8  # percentiles, as other nuclei networks take them (CSBDeep, StarDist)
FLAT: Final = 0.1
"""Least contrast, as a fraction of the full scale, that is stretched to 0..1. Without this limit a
field without nuclei would become noise. Nuclei in 12-bit images mostly have more contrast."""
_APART: Final = 1_000_003  # neighbouring seeds share no tickets
_HUGE: Final = 2**31


class Splits(NamedTuple):
    """The three parts of one protocol."""

    train: BMGD
    val: BMGD
    test: BMGD


def splits(settings: Settings) -> Splits:
    """Open the data and split it: fixed split, one stiffness held out, or folds.

    Raises:
        BMGDError: The data is not available.
        ValueError: A setting is not valid for the data.
    """
    reader = Reader(
        "all",
        root=settings.root or None,
        source=settings.source or None,
        scheme=settings.scheme,
        instances=settings.instances,
    )
    if settings.folds:
        reader = reader.fold(settings.fold, settings.folds)
    if settings.hold_out:
        reader = reader.hold_out(settings.hold_out)
    train, val, test = map(reader.subset, SPLITS)
    if 0 < settings.train_images < len(train):
        train = train[_by_hash(train.names)[: settings.train_images]]
    return Splits(*map(BMGD.of, (train, val, test)))


def origin(data: BMGD) -> str:
    """The data's name and version, for tables and headings."""
    return f"{data.reader.source.label} (version {data.reader.digest[:12]})"


def _by_hash(names: Sequence[str]) -> list[int]:
    """An order that depends only on the names."""
    keys = [hashlib.sha256(f"order {name}".encode()).digest() for name in names]
    return sorted(range(len(keys)), key=keys.__getitem__)


def standardised(image: torch.Tensor, least: float = FLAT) -> torch.Tensor:
    """Stretch the grey values between two percentiles to 0..1.

    Brightness depends on laser power and depth, so the network should not rely on it. 8-bit and
    16-bit images of users then look like the 12-bit ones it was trained on.

    Args:
        image: float32, any shape, as fractions of the full scale.
        least: The least contrast that is stretched to the full range.

    Returns:
        The same shape, float32 in 0..1.
    """
    low, high = ends(image.numpy())
    return ((image - low) / max(high - low, least)).clamp(0, 1)


def ends(values: NDArray[Any]) -> tuple[float, float]:
    """The two percentiles that are stretched to 0 and 1."""
    low, high = np.percentile(values, (_DARK, _BRIGHT))
    return float(low), float(high)


def augmentation(crop: int) -> v2.Compose:
    """Make the paper's four augmentations, and quarter turns.

    Stretched images are brighter than raw ones and vary less, so brightness and contrast change
    more than by default.
    """
    return v2.Compose(
        [
            protocol(crop, brightness=0.3, contrast=0.3),
            v2.RandomVerticalFlip(),
            v2.RandomApply([v2.RandomRotation((90, 90))]),
        ]
    )


class Prepared(Dataset[Sample]):
    """Samples with standardised images, augmented where `crop` is given.

    Training samples are requested by ticket: epoch * len + index. The result depends only on seed
    and ticket, so a resumed run gets the same samples as an unbroken one, in any number of
    processes.
    """

    def __init__(self, data: BMGD, crop: int = 0, seed: int = 0) -> None:
        self.data = data
        self.seed = seed
        self.augment = augmentation(crop) if crop else None

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, ticket: int) -> Sample:
        sample = self.data[ticket % len(self)]
        sample["image"] = type(sample["image"])(standardised(sample["image"]))
        if self.augment is None:
            return sample
        del sample["instances"]  # the network learns from the mask alone
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed((self.seed * _APART + ticket) % _HUGE)
            augmented: Sample = self.augment(sample)
            return augmented


class Share(NamedTuple):
    """Rank of this process among those that train together."""

    rank: int = 0
    world: int = 1


_ALONE: Final = Share()


class Tickets(Sampler[int]):
    """This process's share of the samples, in a new order each epoch where `shuffle` is set.

    Shuffled shares have equal sizes, since processes wait for each other at each step. Shares for
    scoring contain each sample exactly once.
    """

    def __init__(self, count: int, share: Share, *, seed: int, shuffle: bool) -> None:
        self.count, self.seed, self.shuffle, self.epoch = count, seed, shuffle, 0
        end = count // share.world * share.world if shuffle else count
        self.mine = slice(share.rank, end, share.world)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; Lightning calls this at its start."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(range(self.count)[self.mine])

    def __iter__(self) -> Iterator[int]:
        if not self.shuffle:
            return iter(range(self.count)[self.mine])
        generator = torch.Generator().manual_seed(self.seed * _APART + self.epoch)
        order = torch.randperm(self.count, generator=generator).tolist()
        first = self.epoch * self.count
        return iter([first + index for index in order[self.mine]])


def even_size(size: int, least: int) -> int:
    """The batch size nearest below or above that makes equally many batches of every share.

    Shares to score have `least` images or one more. Before each batch, DistributedDataParallel
    sends the buffers of batch norm around, so that all processes need equally many.
    """
    sizes = itertools.chain(range(size, 1, -1), itertools.count(size + 1))
    return next(each for each in sizes if least % each)


def loader(
    data: BMGD, settings: Settings, share: Share = _ALONE, *, train: bool = False
) -> DataLoader[Sample]:
    """Make a loader of batches for one of the processes.

    Raises:
        SystemExit: There are no samples.
    """
    if len(data) < share.world:
        raise SystemExit(
            f"A split has {len(data)} images to train or score on, for {share.world} processes. "
            "Choose another --scheme, --folds or --hold-out, or fewer --devices."
        )
    prepared = Prepared(data, settings.crop if train else 0, settings.seed)
    sampler = Tickets(len(prepared), share, seed=settings.seed, shuffle=train)
    size = settings.batch
    if not train and share.world > 1:
        size = even_size(size, len(prepared) // share.world)
    return DataLoader(
        prepared,
        batch_size=size,
        sampler=sampler,
        # Batch norm needs several images: an incomplete last batch is dropped, unless it is the
        # only one.
        drop_last=train and len(sampler) >= settings.batch,
        num_workers=settings.workers,
        pin_memory=torch.cuda.is_available(),
        collate_fn=collate,
    )
