"""Whole batches from arrays that stay on one device: no workers, no single samples."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bmgd_data.torch._dataset import Sample, wrap

import torch  # isort: skip - where it is missing, the module above has said so

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bmgd_data.augment import Moves, Protocol
    from bmgd_data.reader import Reader

_GOLDEN: Final = 0x9E3779B97F4A7C15 - 2**64
_MIX: Final = ((30, 0xBF58476D1CE4E5B9 - 2**64), (27, 0x94D049BB133111EB - 2**64))
"""Constants of SplitMix64 (Steele, Lea, Flood 2014, doi 10.1145/2660193.2660195), as int64."""
_EPOCHS, _ORDER = 2**20, 2**40
"""Numbers below the epoch, and below the row, in what is hashed."""
Pictures = dict[str, torch.Tensor]


def batches(
    reader: Reader,
    batch_size: int,
    *,
    augment: Protocol | None = None,
    device: torch.device | str | None = None,
    shuffle: bool = False,
    seed: int = 0,
    drop_last: bool = False,
) -> Batches:
    """Serve a Reader as whole batches whose arrays stay on one device.

    All pictures are copied to the device once: for 819 images of 256 x 256 pixels 0.48 GB, or with
    `augment` 0.21 GB, since they are kept in 16 bits then. So there are no workers and no copies
    from the main memory, and the augmentation runs on the whole batch. Iterate over the result once
    for each epoch.

    What an image is augmented with depends on `seed`, the epoch and its row in `reader`, and on
    nothing else: not on batch size, number of threads or of processes. Masks and instances are then
    the same to the bit on one CPU.

    In distributed training (``torch.distributed``), each process gets its share of each epoch:
    every image once, and equally many batches.

    Args:
        reader: What to serve.
        batch_size: Samples per batch, in each process.
        augment: What ``bmgd_data.augment.protocol`` makes; None for unchanged images.
        device: Where the arrays are kept and batches are made, such as "cuda". None: the CPU.
        shuffle: Draw another order of all samples for each epoch.
        seed: Other seeds give other orders and other changes.
        drop_last: Leave out a last batch of fewer samples.

    Returns:
        An iterable of what ``collate`` makes of samples, on `device`: `image` float32 (B, 1, H, W)
        in 0..1, `mask` uint8 and `instances` int32 (B, H, W), `stiffness_pa` and `n_nuclei` int64
        (B,), `name` a list. `n_nuclei` counts those of the whole image.

    Raises:
        ValueError: `batch_size` is below 1, there are no samples, or images differ in size.

    Example:
        >>> from bmgd_data import Reader
        >>> from bmgd_data.augment import protocol
        >>> from bmgd_data.torch import batches
        >>> reader = Reader("train", stiffness="1200Pa", source="phantom")
        >>> data = batches(reader, 8, augment=protocol(crop=224), shuffle=True)
        >>> next(iter(data))["image"].shape
        torch.Size([8, 1, 224, 224])
    """
    return Batches(reader, batch_size, augment, device, shuffle, seed, drop_last)


class Batches:
    """What `batches` makes.

    Attributes:
        epoch: Number of the epoch that the next iteration gives, from 0. It rises with each
            iteration; set it to continue an earlier training.
        names: Of the N samples, as batches give them.
    """

    def __init__(  # noqa: PLR0917 - `batches` names them
        self,
        reader: Reader,
        batch_size: int,
        augment: Protocol | None,
        device: torch.device | str | None,
        shuffle: bool,
        seed: int,
        drop_last: bool,
    ) -> None:
        if batch_size < 1 or not len(reader):
            raise ValueError(
                f"No batches of {batch_size} from {len(reader)} samples. Valid: batch_size of at "
                "least 1, and a Reader that holds samples."
            )
        self.reader = reader
        self.batch_size, self.shuffle, self.seed = batch_size, shuffle, seed
        self.drop_last = drop_last
        self.device = torch.device(device or "cpu")
        self.epoch = 0
        self._pictures = (
            _Whole(reader, self.device)
            if augment is None
            else _Changed(reader, _on(augment, self.device))
        )
        self.names = reader.names
        self._numbers = {
            "stiffness_pa": torch.from_numpy(reader.stiffness_pa).to(self.device),
            "n_nuclei": torch.from_numpy(reader.n_nuclei).to(self.device),
        }

    def __len__(self) -> int:
        """Batches of each epoch, in this process."""
        count, ranks = len(self.reader), _ranks()[1]
        if self.drop_last:
            return count // ranks // self.batch_size
        return math.ceil(math.ceil(count / ranks) / self.batch_size)

    def __iter__(self) -> Iterator[Sample]:
        epoch = self.epoch
        self.epoch += 1
        for rows in self._rows(epoch):
            yield self.of(rows, epoch)

    def of(self, rows: torch.Tensor, epoch: int = 0) -> Sample:
        """The batch of these rows of the Reader, (B,) int64, as they are in an epoch."""
        names = [self.names[row] for row in rows.tolist()]
        rows = rows.to(self.device)
        pictures = self._pictures.of(rows, self.seed, epoch)
        batch = {key: wrap(key, picture) for key, picture in pictures.items()}
        return batch | {key: each[rows] for key, each in self._numbers.items()} | {"name": names}

    def state_dict(self) -> dict[str, Any]:
        """What continues a training: the number of the epoch."""
        return {"epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue with the epoch that `state_dict` gave."""
        self.epoch = state["epoch"]

    def _rows(self, epoch: int) -> list[torch.Tensor]:
        """The rows of each batch of an epoch, in this process."""
        rows = torch.arange(len(self.reader))
        if self.shuffle:
            own = int(_drawn(torch.tensor([-1]), 1, self.seed, epoch))
            order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(own))
            rows = rows[order]
        rank, ranks = _ranks()
        shared = rows[rank::ranks]
        if self.drop_last:
            return list(shared.split(self.batch_size))[: len(self)]
        if ranks > 1:  # each must make equally many steps, or the others wait for ever
            return list(shared.tensor_split(len(self)))
        return list(shared.split(self.batch_size))


class _Whole:
    """All pictures of a Reader on a device, as batches have them."""

    def __init__(self, reader: Reader, device: torch.device) -> None:
        images = np.asarray(reader.images, np.float32)
        images /= _full_scales(reader)[:, None, None]
        self._pictures = {
            "image": torch.from_numpy(images[:, None]).to(device),
            "mask": torch.from_numpy(np.asarray(reader.masks).view(np.uint8)).to(device),
            "instances": torch.from_numpy(np.asarray(reader.instances, np.int32)).to(device),
        }

    def of(self, rows: torch.Tensor, *_: int) -> Pictures:
        return {key: each.index_select(0, rows) for key, each in self._pictures.items()}


class _Changed:
    """Augmented pictures; the originals are on the device, in 16 bits where they fit."""

    def __init__(self, reader: Reader, moves: Moves) -> None:
        device, self._moves = moves.device, moves
        masks, instances = np.asarray(reader.masks), np.asarray(reader.instances)
        self._image = _stored(np.asarray(reader.images), device)
        self._masks = [_stored(instances, device)]
        if not np.array_equal(instances > 0, masks):  # else it is made from the moved instances
            self._masks.append(_stored(masks.view(np.uint8), device))
        self._full_scales = torch.from_numpy(_full_scales(reader)).to(device)

    def of(self, rows: torch.Tensor, seed: int, epoch: int) -> Pictures:
        drawn = _drawn(rows, self._moves.numbers, seed, epoch)
        images = self._image.index_select(0, rows).float()[:, None]
        # Exact, since labels have at most 16 bits.
        masks = torch.stack([each.index_select(0, rows).float() for each in self._masks], 1)
        scale = self._full_scales[rows].view(-1, 1, 1, 1)
        image, moved = self._moves.changed(images, masks, drawn, scale)
        mask = (moved[:, -1] > 0).view(torch.uint8)
        return {"image": image, "mask": mask, "instances": moved[:, 0].int()}


def _full_scales(reader: Reader) -> NDArray[np.float32]:
    """(N,) the grey value of each image that becomes 1."""
    scales = reader.full_scales
    return np.array([scales[pa] for pa in reader.stiffness_pa.tolist()], np.float32)


def _stored(pictures: NDArray[Any], device: torch.device) -> torch.Tensor:
    """(N, H, W) as signed integers, since PyTorch has few operations on unsigned ones."""
    if pictures.dtype == np.uint16:
        fits = pictures.max(initial=0) <= np.iinfo(np.int16).max
        pictures = pictures.view(np.int16) if fits else pictures.astype(np.int32)
    return torch.from_numpy(pictures).to(device)


def _on(augment: Protocol, device: torch.device) -> Moves:
    if not hasattr(augment, "on"):
        raise TypeError(
            f"augment= takes what bmgd_data.augment.protocol makes, not {augment!r}. Apply other "
            "transforms to the batches, which are tv_tensors where torchvision is installed."
        )
    return augment.on(device)


def _ranks() -> tuple[int, int]:
    """Number of this process, and how many there are."""
    shared = torch.distributed
    if not (shared.is_available() and shared.is_initialized()):
        return 0, 1
    return shared.get_rank(), shared.get_world_size()


def _drawn(rows: torch.Tensor, count: int, seed: int, epoch: int) -> torch.Tensor:
    """(B, count) int64 in 0..2**24 - 1: a hash of seed, epoch, row and place.

    It is a function and no generator, so a row gets the same numbers in every batch, on every
    device and in every process.
    """
    place = torch.arange(count, device=rows.device)
    key = (seed * _GOLDEN + epoch * _EPOCHS + 2**63) % 2**64 - 2**63
    hashed = (rows[:, None] + 1) * _ORDER + place + key
    for shift, factor in _MIX:  # products wrap; >> keeps the sign, which & takes away
        hashed = (hashed ^ (hashed >> shift & 2 ** (64 - shift) - 1)) * factor
    return hashed >> 40 & 2**24 - 1
