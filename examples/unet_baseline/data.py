"""BMGD's splits for each protocol, and what happens to a sample on its way to the network."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms import v2

from bmgd_data import conditions, facts
from bmgd_data.augment import protocol
from bmgd_data.splits import deal
from bmgd_data.torch import BMGD, Sample, collate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from settings import Settings

_DARK, _BRIGHT = 1.0, 99.8  # percentiles, as other nuclei networks take them (CSBDeep, StarDist)
FLAT: Final = 0.1
"""Less contrast than this, in parts of the full scale, is stretched no further: a field with no
nucleus would else become all noise. Nuclei on a 12-bit camera mostly stand out by more."""
_APART: Final = 1_000_003  # so that neighbouring seeds share no tickets
_HUGE: Final = 2**31


class Part(Dataset[Sample]):
    """Some samples of a data set."""

    def __init__(self, whole: BMGD, rows: Sequence[int] | None = None) -> None:
        self.whole = whole
        self.rows = range(len(whole)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        return self.whole[self.rows[index]]

    @property
    def names(self) -> list[str]:
        """Names of the samples, without reading their pixels."""
        every = self.whole.reader.names
        return [every[row] for row in self.rows]

    @property
    def origin(self) -> str:
        """What the data is and which version of it, for tables and headings."""
        reader = self.whole.reader
        return f"{reader.source.label} (version {reader.digest[:12]})"


class Splits(NamedTuple):
    """The three parts of one protocol; items are samples as `BMGD` gives them."""

    train: Part
    val: Part
    test: Part


def splits(settings: Settings) -> Splits:
    """Open the data and split it: fixed split, one stiffness held out, or folds.

    Raises:
        BMGDError: The data cannot be had.
        ValueError: A setting that the data does not know.
    """
    parts = _folds(settings) if settings.folds else _fixed(settings)
    if 0 < settings.train_images < len(parts.train):
        whole, rows = parts.train.whole, parts.train.rows
        chosen = _by_hash(parts.train.names)[: settings.train_images]
        parts = parts._replace(train=Part(whole, [rows[index] for index in chosen]))
    return parts


def _fixed(settings: Settings) -> Splits:
    if not settings.hold_out:
        return Splits(*(_open(settings, split) for split in ("train", "val", "test")))
    held = conditions.parse_stiffness(settings.hold_out)
    others = [each.name for each in facts.CONDITIONS if each not in held]
    return Splits(
        _open(settings, "train", others),
        _open(settings, "val", others),
        _open(settings, "all", [each.name for each in held]),
    )


def _folds(settings: Settings) -> Splits:
    whole = _open(settings, "all")
    reader = whole.whole.reader
    if reader.grouped:
        fold = np.array(deal(reader.names, reader.groups.tolist(), settings.folds))
    else:
        fold = np.empty(len(whole), int)
        fold[_by_hash(whole.names)] = np.arange(len(whole)) % settings.folds
    test, val = fold == settings.fold, fold == (settings.fold + 1) % settings.folds
    parts = (np.flatnonzero(rows).tolist() for rows in (~test & ~val, val, test))
    return Splits(*(Part(whole.whole, rows) for rows in parts))


def _open(settings: Settings, split: str, stiffness: Sequence[str] | None = None) -> Part:
    return Part(
        BMGD(
            split,
            stiffness,
            root=settings.root or None,
            source=settings.source or None,
            scheme=settings.scheme,
            instances=settings.instances,
        )
    )


def _by_hash(names: Sequence[str]) -> list[int]:
    """An order that depends on nothing but the names."""
    keys = [hashlib.sha256(f"order {name}".encode()).digest() for name in names]
    return sorted(range(len(keys)), key=keys.__getitem__)


def standardised(image: torch.Tensor, least: float = FLAT) -> torch.Tensor:
    """Stretch the grey values between two percentiles to 0..1.

    Laser power and depth change a slice's brightness, so that the network should not rely on it;
    and a user's own 8-bit or 16-bit images then look like the 12-bit ones it was trained on.

    Args:
        image: float32, any shape, in parts of the full scale.
        least: The least contrast that is stretched to the full range.

    Returns:
        The same shape, float32 in 0..1.
    """
    low, high = np.percentile(image.numpy(), (_DARK, _BRIGHT))
    return ((image - float(low)) / max(float(high - low), least)).clamp(0, 1)


def augmentation(crop: int) -> v2.Compose:
    """Make the paper's four augmentations, and the turns that a microscope cannot tell.

    Stretched images are brighter than raw ones and vary less, so that grey values may vary more.
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

    Training samples are asked for by ticket: epoch * len + index. What a ticket gives depends on
    the seed and the ticket alone, so that a resumed run sees what an unbroken one would have seen,
    in any number of processes.
    """

    def __init__(self, data: Part, crop: int = 0, seed: int = 0) -> None:
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
    """Which of the processes that train together this one is."""

    rank: int = 0
    world: int = 1


_ALONE: Final = Share()


class Tickets(Sampler[int]):
    """This process's share of the samples, in a new order each epoch where `shuffle` is set.

    Shuffled shares are of equal size, since processes wait for each other at each step; shares
    for scoring leave nothing out and take nothing twice.
    """

    def __init__(self, count: int, share: Share, *, seed: int, shuffle: bool) -> None:
        self.count, self.seed, self.shuffle, self.epoch = count, seed, shuffle, 0
        end = count // share.world * share.world if shuffle else count
        self.mine = slice(share.rank, end, share.world)

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at the start of each epoch."""
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


def loader(
    data: Part, settings: Settings, share: Share = _ALONE, *, train: bool = False
) -> DataLoader[Sample]:
    """Make a loader of batches for one of the processes.

    Raises:
        SystemExit: There are no samples.
    """
    if not len(data):
        raise SystemExit("A split holds no images, so there is nothing to train or score on.")
    prepared = Prepared(data, settings.crop if train else 0, settings.seed)
    sampler = Tickets(len(prepared), share, seed=settings.seed, shuffle=train)
    return DataLoader(
        prepared,
        batch_size=settings.batch,
        sampler=sampler,
        # Batch norm cannot learn from one image, so an incomplete last batch is left out, unless it
        # is the only one.
        drop_last=train and len(sampler) >= settings.batch,
        num_workers=settings.workers,
        pin_memory=torch.cuda.is_available(),
        collate_fn=collate,
    )
