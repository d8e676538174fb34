"""A map-style Dataset; v2 transforms change image and masks together."""

from __future__ import annotations

import math
import warnings
from collections import UserList
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, overload

import numpy as np

from bmgd_data import errors
from bmgd_data._arguments import documented
from bmgd_data.reader import Reader

try:
    import torch
    from torch.utils.data import Dataset, default_collate, get_worker_info
except (ImportError, OSError) as error:  # OSError: a library of torch is missing
    raise errors.missing("BMGD", "torch", "torch", error) from error

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, MutableSequence, Sequence

    from numpy.typing import DTypeLike, NDArray

    from bmgd_data.facts import Stiffness
    from bmgd_data.reader import Several
    from bmgd_data.splits import AnyScheme

_KINDS: Final[dict[str, type[torch.Tensor]]] = {}
try:
    from torchvision import tv_tensors
except ModuleNotFoundError:
    pass  # torchvision is optional: samples are plain tensors then
except (ImportError, RuntimeError, OSError) as error:  # as one made for another torch gives
    warnings.warn(
        f"torchvision is installed but cannot be imported ({error}), so samples are plain tensors, "
        "which v2 transforms do not change together. Install the release made for "
        f"torch {torch.__version__}.",
        errors.BMGDWarning,
        stacklevel=2,
    )
else:
    _KINDS.update(image=tv_tensors.Image, mask=tv_tensors.Mask, instances=tv_tensors.Mask)

_FORMS: Final[dict[str, tuple[DTypeLike, tuple[int, ...]]]] = {
    "image": (np.float32, (1,)),
    "instances": (np.int32, ()),
    "mask": (np.uint8, ()),
}
"""dtype of each picture, and the axes before (H, W); the widest first, so that all are aligned in
one piece of memory."""

Sample = dict[str, Any]
"""`image` float32 (1, H, W) in 0..1, `mask` uint8 (H, W), `instances` int32 (H, W), all fresh and
writable, tv_tensors if torchvision is installed; `stiffness_pa`, `n_nuclei`, `name`."""


@documented
class BMGD(Dataset[Sample]):
    """BMGD as a torch data set.

    ``data[3]`` and ``data["1200Pa/001"]`` give a sample; a slice, a list of positions or names, and
    an (N,) bool array give a BMGD of these samples, as those of a Reader do.

    Args:
        {split}
        {stiffness}
        {root}
        {source}
        {download}
        {scheme}
        {instances}
        transforms: Takes and returns a whole sample, as torchvision's v2 transforms do.

    Raises:
        BMGDError: See ``Reader``, which reads the data.
        ValueError: An argument is not valid.

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
        scheme: AnyScheme = "random",
        instances: str = "components",
        transforms: Callable[[Sample], Sample] | None = None,
    ) -> None:
        self._serve(
            Reader(
                split,
                stiffness,
                root=root,
                source=source,
                download=download,
                scheme=scheme,
                instances=instances,
            ),
            transforms,
        )

    @classmethod
    def of(cls, reader: Reader, transforms: Callable[[Sample], Sample] | None = None) -> BMGD:
        """Serve any Reader, such as a fold, or samples that were chosen by a list.

        Args:
            reader: What to serve, in its order.
            transforms: As the class takes it.
        """
        made = cls.__new__(cls)
        made._serve(reader, transforms)  # noqa: SLF001 - of this class
        return made

    def _serve(self, reader: Reader, transforms: Callable[[Sample], Sample] | None) -> None:
        self.reader = reader
        self.transforms = transforms
        self._full_scales = reader.full_scales

    def __len__(self) -> int:
        return len(self.reader)

    @property
    def names(self) -> list[str]:
        """The N sample names."""
        return self.reader.names

    @overload
    def __getitem__(self, index: int | str) -> Sample: ...
    @overload
    def __getitem__(self, index: slice | Several) -> BMGD: ...
    def __getitem__(self, index: Any) -> Sample | BMGD:
        chosen = self.reader[index]
        if isinstance(chosen, Reader):
            return type(self).of(chosen, self.transforms)
        sample: Sample = {**chosen}
        for key, (dtype, channel) in _FORMS.items():
            array = np.empty((*channel, *sample[key].shape), dtype)
            self._fill(array, key, sample)
            sample[key] = wrap(key, torch.from_numpy(array))
        return self.transforms(sample) if self.transforms else sample

    def __getitems__(self, indices: Sequence[int]) -> MutableSequence[Sample]:
        """The samples at `indices`; DataLoader calls this for a batch.

        Without transforms, and if all images have one shape, the samples are views into one new
        batch per key. `collate` returns it without another copy, as long as no sample was accessed
        before. Outside of workers the batches share one piece of memory: to keep a single key of
        many batches, keep a ``clone()``.
        """
        if self.transforms:
            return [self[index] for index in indices]
        samples = [self.reader[index] for index in indices]
        if len({sample["image"].shape for sample in samples}) != 1:
            return [self[index] for index in indices]
        batches = _room(len(samples), samples[0]["image"].shape)
        for key, batch in batches.items():
            if get_worker_info() is not None:  # saves a copy on the way to the main process
                batch.share_memory_()
            for sample, row in zip(samples, batch.numpy(), strict=True):
                self._fill(row, key, sample)
        return _Samples(samples, batches)

    def _fill(self, out: NDArray[Any], key: str, sample: Mapping[str, Any]) -> None:
        """Write the Reader's array into a tensor's memory, an image as fractions of full scale."""
        out[...] = sample[key]
        if key == "image":
            out /= self._full_scales[sample["stiffness_pa"]]

    def __repr__(self) -> str:
        first, *rest = repr(self.reader).splitlines()
        transforms = [f"  Transforms: {self.transforms}"] if self.transforms else []
        return "\n".join([first.replace("Reader", type(self).__name__, 1), *rest, *transforms])


def collate(samples: Sequence[Sample]) -> Sample:
    """Stack samples into a batch that is still made of tv_tensors.

    ``default_collate`` turns them into plain tensors, and a v2 flip of the batch then flips the
    image and not the mask. Use this as ``DataLoader(..., collate_fn=collate)``.

    Args:
        samples: At least one sample, with the same keys in each.

    Returns:
        The same keys: `image` (B, 1, H, W), `mask` and `instances` (B, H, W), `stiffness_pa` and
        `n_nuclei` int64 (B,), `name` a list; added keys as ``default_collate`` has them.

    Raises:
        ValueError: The samples differ in shape; or a sample's masks and its image differ in height
            or width, for example because a transform changed one and not the other.
        TypeError: A sample is no dict, for example because a transform returned a tuple.
    """
    if isinstance(samples, _Samples) and samples.untouched:
        return samples.batch()
    for sample in samples:
        _require_one_size(sample)
    return {key: _stack(key, [sample[key] for sample in samples]) for key in samples[0]}


def _require_one_size(sample: Sample) -> None:
    if not isinstance(sample, Mapping):
        raise TypeError(
            f"A sample is a {type(sample).__name__}, not a dict: transforms= must return the whole "
            "sample that it gets, as torchvision's v2 transforms do. For samples of another form, "
            "give the DataLoader a collate_fn of your own."
        )
    pictures = {key: sample[key] for key in _FORMS if isinstance(sample.get(key), torch.Tensor)}
    sizes = {key: tuple(picture.shape[-2:]) for key, picture in pictures.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{key} {height} x {width}" for key, (height, width) in sizes.items())
        raise ValueError(
            f"The pictures of {sample.get('name', 'a sample')} differ in size ({told}): a "
            "transform changed one and not the other. Give it every picture, as shown in the "
            "documentation under 'Your own augmentations', or delete the key that you do not need "
            "from the sample."
        )


class _Samples(UserList[Sample]):
    """Samples whose pictures lie in one batch; they are made at the first access.

    Args:
        samples: The Reader's; or whole ones, as slices and sums of such lists are made.
        pictures: By key, the batch of their pictures.
    """

    def __init__(
        self,
        samples: Iterable[Any] = (),
        pictures: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        if pictures is None:
            self.data = list(samples)
            return
        self._columns = {
            key: pictures[key] if key in pictures else [sample[key] for sample in samples]
            for key in next(iter(samples))
        }

    @cached_property
    def data(self) -> list[Sample]:  # type: ignore[override]
        """What the list holds, from the first access on."""
        columns = [
            [wrap(key, view) for view in values.unbind()] if torch.is_tensor(values) else values
            for key, values in self._columns.items()
        ]
        return [dict(zip(self._columns, row, strict=True)) for row in zip(*columns, strict=True)]

    @property
    def untouched(self) -> bool:
        """Whether no sample was accessed yet, so that none can have changed."""
        return "data" not in self.__dict__

    def batch(self) -> Sample:
        """All of them as `collate` gives them, without a copy of the pictures."""
        return {
            key: wrap(key, values) if torch.is_tensor(values) else default_collate(values)
            for key, values in self._columns.items()
        }

    def __copy__(self) -> _Samples:
        return _Samples(self.data)  # UserList's own expects `data` to be there


def _room(count: int, shape: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Uninitialised batches of `count` samples, in one piece of memory.

    The allocator returns several pieces to the system after each batch, which costs page faults,
    and keeps a single one. numpy allocates it, since it uses huge pages.
    """
    pixels = count * math.prod(shape)
    sizes = [pixels * np.dtype(dtype).itemsize for dtype, _ in _FORMS.values()]
    parts = np.split(np.empty(sum(sizes), np.uint8), np.cumsum(sizes)[:-1])
    return {
        key: torch.from_numpy(part.view(dtype).reshape(count, *channel, *shape))
        for (key, (dtype, channel)), part in zip(_FORMS.items(), parts, strict=True)
    }


def wrap(key: str, tensor: torch.Tensor) -> torch.Tensor:
    """The picture of a key as a tv_tensor, where torchvision is installed."""
    return tensor.as_subclass(_KINDS[key]) if _KINDS else tensor


def _stack(key: str, values: list[Any]) -> Any:
    first = values[0]
    if not isinstance(first, torch.Tensor):
        return default_collate(values)
    if len(shapes := {tuple(value.shape) for value in values}) > 1:
        raise ValueError(
            f"Samples of different {key!r} shapes {sorted(shapes)} make no batch. Choose one "
            "stiffness with stiffness=, crop in transforms=, or use batch_size=1."
        )
    stacked = default_collate([value.as_subclass(torch.Tensor) for value in values])
    if _KINDS and isinstance(first, tv_tensors.TVTensor):
        return tv_tensors.wrap(stacked, like=first)
    return stacked
