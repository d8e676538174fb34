"""The PyTorch dialect: a map-style Dataset whose samples v2 transforms can move as a whole."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data.errors import MissingDependencyError
from bmgd_data.reader import Reader

try:
    import torch
    from torch.utils.data import Dataset, default_collate, get_worker_info
except ImportError as error:
    raise MissingDependencyError(
        'BMGD is a torch Dataset, and torch is not installed: pip install "bmgd-data[torch]". '
        "Without it, bmgd_data.Reader gives the same samples as numpy arrays."
    ) from error

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from bmgd_data.conditions import Stiffness

try:
    from torchvision import tv_tensors
except ImportError:  # torchvision is optional: samples are plain tensors then
    _kinds: dict[str, Any] = {}
else:

    class _Pinnable:
        """Stays what it is in pinned memory; tv_tensors alone turn into plain tensors there."""

        def pin_memory(self, *args: Any) -> Any:
            return tv_tensors.wrap(super().pin_memory(*args), like=self)  # type: ignore[misc]

    class Image(_Pinnable, tv_tensors.Image):  # type: ignore[misc]
        """An image, or a batch of them, that v2 transforms treat as one."""

    class Mask(_Pinnable, tv_tensors.Mask):  # type: ignore[misc]
        """A binary or instance mask, or a batch, that moves with its image, by nearest pixel."""

    _kinds = {"image": Image, "mask": Mask, "instances": Mask}

_KINDS: Final = _kinds
_DTYPES: Final = {"image": torch.float32, "mask": torch.uint8, "instances": torch.int32}

Sample = dict[str, Any]
"""`image` float32 (1, H, W) in 0..1, `mask` uint8 (H, W), `instances` int32 (H, W), all fresh and
writable, tv_tensors where torchvision is installed; `stiffness_pa`, `n_nuclei`, `name`."""


class BMGD(Dataset[Sample]):
    """BMGD as a torch data set.

    Args:
        split: "train", "val" (also "validation"), "test" or "all".
        stiffness: None for all four, or one or several of "1200Pa", "1200 Pa", "1200", 1200.
        root: Folder that data is kept in; None asks BMGD_HOME, then the user's cache folder.
        source: None for upstream (or BMGD_SOURCE); "phantom"; a folder; the base URL of a mirror.
        download: Whether the network may be used.
        scheme: How splits are drawn, see ``bmgd_data.splits``.
        instances: "components", "watershed" or "provided".
        transforms: Gets and returns a whole sample; torchvision's v2 transforms fit.

    Raises:
        BMGDError: See ``Reader``, which reads the data.
        ValueError: An argument that is not understood.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> from bmgd_data.torch import BMGD, collate
        >>> data = BMGD(split="train", stiffness="1200Pa", source="phantom")
        >>> batch = next(iter(DataLoader(data, batch_size=4, collate_fn=collate)))
        >>> batch["image"].shape
        torch.Size([4, 1, 256, 256])
    """

    def __init__(
        self,
        split: str = "train",
        stiffness: Stiffness | Iterable[Stiffness] | None = None,
        *,
        root: str | os.PathLike[str] | None = None,
        source: str | os.PathLike[str] | None = None,
        download: bool = True,
        scheme: str = "random",
        instances: str = "components",
        transforms: Callable[[Sample], Sample] | None = None,
    ) -> None:
        self.reader = Reader(
            split,
            stiffness,
            root=root,
            source=source,
            download=download,
            scheme=scheme,
            instances=instances,
        )
        self.transforms = transforms

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int) -> Sample:
        sample = self._translate([index])[0]
        return self.transforms(sample) if self.transforms else sample

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """The samples at `indices`, as DataLoader asks for a batch of them.

        Without transforms they are views into one block of memory per key, and `collate` takes the
        blocks as the batch instead of copying. Each call makes its own.
        """
        samples = self._translate(indices)
        return [self.transforms(sample) for sample in samples] if self.transforms else samples

    def _translate(self, indices: Sequence[int]) -> _Samples:
        raw = [self.reader[index] for index in indices]
        scales = self.reader.full_scales
        samples = _Samples({**sample} for sample in raw)
        for key, dtype in _DTYPES.items():
            shapes = {sample[key].shape for sample in raw}  # type: ignore[literal-required]
            if len(shapes) > 1:
                raise ValueError(
                    f"Images of different shapes {sorted(shapes)} make no batch. Choose one "
                    "stiffness with stiffness=, or batch_size=1."
                )
            channel = (1,) if key == "image" else ()
            block = _empty((len(raw), *channel, *shapes.pop()), dtype)
            for row, sample in zip(block.numpy(), raw, strict=True):
                row[...] = sample[key]  # type: ignore[literal-required]
                if key == "image":
                    np.divide(row, np.float32(scales[sample["stiffness_pa"]]), out=row)
            views = [_wrap(key, view) for view in block.unbind()]
            samples.blocks[key] = _Block(_wrap(key, block), views)
            for translated, view in zip(samples, views, strict=True):
                translated[key] = view
        return samples

    def __repr__(self) -> str:
        first, *rest = repr(self.reader).splitlines()
        transforms = [f"  Transforms: {self.transforms}"] if self.transforms else []
        return "\n".join([first.replace("Reader", type(self).__name__, 1), *rest, *transforms])


def collate(samples: Sequence[Sample]) -> Sample:
    """Stack samples into a batch that is still made of tv_tensors.

    ``default_collate`` drops them, and a v2 flip on the batch would then move the image and not the
    mask. Use it as ``DataLoader(..., collate_fn=collate)``.

    Args:
        samples: At least one sample.

    Returns:
        The same keys: `image` (B, 1, H, W), `mask` and `instances` (B, H, W), `stiffness_pa` and
        `n_nuclei` int64 (B,), `name` a list.
    """
    blocks = samples.blocks if isinstance(samples, _Samples) else {}
    batch = {}
    for key, first in samples[0].items():
        values = [sample[key] for sample in samples]
        block = blocks.get(key)
        if block is not None and block.is_made_of(values):
            batch[key] = block.batch
        elif type(first) in _KINDS.values():
            plain = default_collate([value.as_subclass(torch.Tensor) for value in values])
            batch[key] = plain.as_subclass(type(first))
        else:
            batch[key] = default_collate(values)
    return batch


class _Block(NamedTuple):
    """A batch, and the views into it that were given out as samples."""

    batch: torch.Tensor
    views: list[torch.Tensor]

    def is_made_of(self, values: Sequence[torch.Tensor]) -> bool:
        """Whether these are the views, all of them, in order: nobody has put others in place."""
        return len(values) == len(self.views) and all(map(operator.is_, values, self.views))


class _Samples(list[Sample]):
    """Samples of one call, and the blocks that they are views into."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        super().__init__(samples)
        self.blocks: dict[str, _Block] = {}


def _wrap(key: str, tensor: torch.Tensor) -> torch.Tensor:
    return tensor.as_subclass(_KINDS[key]) if _KINDS else tensor


def _empty(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Room for a block; in a DataLoader's worker in shared memory, where batches go anyway."""
    if get_worker_info() is None:
        return torch.empty(shape, dtype=dtype)
    shared: torch.Tensor = torch.empty(shape, dtype=dtype).share_memory_()
    return shared
