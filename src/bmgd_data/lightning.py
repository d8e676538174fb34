"""The Lightning adapter: a data module, with cross-validation and a stiffness held out."""

from __future__ import annotations

import hashlib
import importlib
import itertools
import sys
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bmgd_data import facts, splits
from bmgd_data._arguments import documented
from bmgd_data._card import provenance
from bmgd_data.errors import BMGDWarning, MissingDependencyError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from torch.utils.data import DataLoader, DistributedSampler, Subset

    from bmgd_data.facts import Stiffness
    from bmgd_data.splits import AnyScheme
    from bmgd_data.torch import Batches, Sample

__all__ = ["BMGDDataModule"]


def _base() -> Any:
    """The LightningDataModule of the package in use: each one's Trainer accepts only its own."""
    packages = ("lightning.pytorch", "pytorch_lightning")
    for package in sorted(packages, key=lambda name: name not in sys.modules):
        try:
            return importlib.import_module(package).LightningDataModule
        except ModuleNotFoundError as error:
            missing = error
    raise MissingDependencyError(
        'BMGDDataModule needs Lightning, which is not installed: pip install "bmgd-data[lightning]"'
        ". Without it, bmgd_data.BMGD works with a DataLoader of your own."
    ) from missing


_Base: Any = _base()


@documented
class BMGDDataModule(_Base):  # type: ignore[misc]
    """BMGD for a Lightning Trainer.

    Batches are what ``bmgd_data.torch.collate`` makes. Prediction runs over the test split.

    In several processes, validation, test and prediction give each image to one of them, once. All
    have equally many batches, which may be a little smaller or larger than `batch_size` for that.

    Args:
        {stiffness}
        {root}
        {source}
        {download}
        {scheme}
        {instances}
        transforms: Takes and returns a whole sample; used for training only.
        batch_size: Samples a batch, in each process.
        num_workers: Worker processes of each DataLoader; they stay alive between epochs.
        worker_init_fn: Called in each worker with its number. Transforms that hold random numbers
            of their own, as those of Albumentations and MONAI do, are seeded there.
        device_batches: Whether training uses whole batches that stay on the Trainer's device, see
            ``bmgd_data.torch.batches``. `transforms` is then what ``bmgd_data.augment.protocol``
            makes, or None, and there are no workers for training.
        fold: Number of a fold of a cross-validation, from 0, see `Reader.fold`; None for the
            scheme's own splits.
        folds: Number of folds; None is 5.
        hold_out: One or several stiffnesses never trained on, see `Reader.hold_out`.

    Raises:
        ValueError: An argument is not valid.
        RuntimeError: A loader is asked for before `setup`.

    Example:
        >>> from bmgd_data.lightning import BMGDDataModule
        >>> data = BMGDDataModule(stiffness="1200Pa", batch_size=4, source="phantom")
        >>> data.prepare_data(); data.setup()
        >>> next(iter(data.val_dataloader()))["image"].shape
        torch.Size([4, 1, 256, 256])
    """

    def __init__(
        self,
        *,
        stiffness: Stiffness | Iterable[Stiffness] | None = None,
        root: str | os.PathLike[str] | None = None,
        source: str | os.PathLike[str] | None = None,
        download: bool = True,
        scheme: AnyScheme = "random",
        instances: str = "components",
        transforms: Callable[[Sample], Sample] | None = None,
        batch_size: int = 8,
        num_workers: int = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        device_batches: bool = False,
        fold: int | None = None,
        folds: int | None = None,
        hold_out: Stiffness | Iterable[Stiffness] | None = None,
    ) -> None:
        super().__init__()
        chosen = facts.parse_stiffness(stiffness)
        self.held_out = [] if hold_out is None else facts.parse_stiffness(hold_out)
        self.fold = None if fold is None else splits.parse_fold(fold, folds or _FOLDS)
        if fold is None and folds is not None:
            raise ValueError(f"folds={folds} needs fold=, the number of one of them, from 0.")
        if self.fold and self.held_out:
            raise ValueError("Give fold= or hold_out=, not both: each says which images are test.")
        if all(condition in self.held_out for condition in chosen):
            raise ValueError(
                f"hold_out={hold_out!r} leaves no stiffness to train on. Hold out fewer, or name "
                "more in stiffness=."
            )
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.datasets: dict[str, Subset[Sample]] = {}
        self.transforms = transforms
        self.worker_init_fn = worker_init_fn
        self.device_batches = device_batches
        self._checkpoint: dict[str, Any] = {}
        self._arguments: dict[str, Any] = {
            "stiffness": [condition.pa for condition in (*chosen, *self.held_out)],
            "root": root,
            "source": source,
            "download": download,
            "scheme": scheme,
            "instances": instances,
        }
        # No paths of this machine: checkpoints are given to others.
        self.save_hyperparameters(
            {
                "stiffness": [condition.name for condition in chosen],
                "scheme": splits.resolve_scheme(scheme).name,
                "instances": instances,
                "batch_size": batch_size,
                "num_workers": num_workers,
                "fold": fold,
                "folds": self.fold and self.fold.folds,
                "hold_out": [condition.name for condition in self.held_out] or None,
            }
        )

    def prepare_data(self) -> None:
        """Fetch and build missing data; Lightning calls this in one process per machine."""
        from bmgd_data.reader import Reader

        Reader("all", **self._arguments)

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002 - all splits cost nothing
        """Open the data and assign each sample to a split; called in every process."""
        from torch.utils.data import Subset

        from bmgd_data.reader import Reader
        from bmgd_data.torch import BMGD

        reader = Reader("all", **self._arguments)
        if self.fold:
            reader = reader.fold(*self.fold)
        if self.held_out:
            reader = reader.hold_out([condition.pa for condition in self.held_out])
        self.reader = reader
        plain, augmented = BMGD.of(reader), BMGD.of(reader, self.transforms)
        of_each = reader.splits
        self.datasets = {
            split: Subset(
                augmented if split == "train" else plain,
                [row for row, assigned in enumerate(of_each) if assigned == split],
            )
            for split in splits.SPLITS
        }
        self.save_hyperparameters({"data": provenance(self.reader)})
        if self._checkpoint:
            self._compare()

    def state_dict(self) -> dict[str, Any]:
        """What checkpoints record: the data, and a hash of each name that was trained on."""
        if not self.datasets:
            return {}
        return {**self.hparams["data"], "trained_on": [_hash(n) for n in self.reader.trained_on]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Warn if a checkpoint was trained on images that are validated or tested here.

        Before `setup` has opened the data, the comparison waits for it.
        """
        self._checkpoint = state_dict
        if self.datasets:
            self._compare()

    def _compare(self) -> None:
        trained = set(self._checkpoint.get("trained_on", ()))
        own = self.hparams["data"]
        counts = []
        for split in ("val", "test"):
            names = self.reader.subset(split).names
            if known := sum(_hash(name) in trained for name in names):
                counts.append(f"{known} of the {len(names)} images of {split}")
        differing = [key for key in _COMPARED if own[key] != self._checkpoint.get(key)]
        if not counts and "digest" not in differing:
            return
        told = ", ".join(
            f"{key} {self._checkpoint.get(key)!r}, here {own[key]!r}" for key in differing
        )
        warnings.warn(
            f"The checkpoint was trained on other data: {told or 'of the same digest'}. By their "
            f"names, it was trained on {' and '.join(counts) or 'none of the images'} that are "
            "scored here. Give the source, scheme, fold and held-out stiffness that it was trained "
            "with, or take the scores for what they are.",
            BMGDWarning,
            stacklevel=3,
        )

    def __repr__(self) -> str:
        known = {key: value for key, value in self.hparams.items() if key != "data"}
        lines = [f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in known.items())})"]
        if not self.datasets:
            return f"{lines[0]}\n  Not set up: prepare_data() and setup() open the data."
        lines += [f"  {split}: {len(data)} images" for split, data in self.datasets.items()]
        data = self.hparams["data"]
        return "\n".join(
            [*lines, f"  Source: {data['source']}", f"  Data version: {data['digest'][:12]}"]
        )

    __str__ = __repr__

    def train_dataloader(self) -> DataLoader[Sample] | Batches:
        """Shuffled, with the transforms."""
        if not self.device_batches:
            return self._loader("train", shuffle=True)
        from bmgd_data.torch import batches

        self._require_images("train")
        trainer = self.trainer
        made = batches(
            self.reader.subset("train"),
            self.batch_size,
            augment=self.transforms,  # type: ignore[arg-type]  # it is checked there
            device=trainer.strategy.root_device if trainer else None,
            shuffle=True,
        )
        made.names = [_Name(name) for name in made.names]
        return made

    def val_dataloader(self) -> DataLoader[Sample]:
        """In order, without the transforms."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Sample]:
        """In order, without the transforms."""
        return self._loader("test")

    predict_dataloader = test_dataloader

    def _loader(self, split: str, *, shuffle: bool = False) -> DataLoader[Sample]:
        import torch
        from torch.utils.data import DataLoader

        data, size, sampler = self._require_images(split), self.batch_size, None
        shares = self.trainer.distributed_sampler_kwargs if self.trainer else None
        if shares and len(data) and split != "train":
            sampler, size = _shared(data, split, size, **shares)
        return DataLoader(
            data,
            batch_size=size,
            sampler=sampler,
            shuffle=shuffle,
            num_workers=self.num_workers,
            collate_fn=_collate,
            worker_init_fn=self.worker_init_fn,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def _require_images(self, split: str) -> Subset[Sample]:
        if not self.datasets:
            raise RuntimeError(
                "The data is not open yet: call setup(), and prepare_data() before it if the data "
                "may be missing. A Trainer calls both."
            )
        data = self.datasets[split]
        if not len(data):
            told = f"The {split} split holds no images. {self.reader.shortage}".rstrip()
            if split == "train":
                raise ValueError(told)
            warnings.warn(told, BMGDWarning, stacklevel=4)
        return data


def _shared(
    data: Subset[Sample], split: str, size: int, *, num_replicas: int, rank: int
) -> tuple[DistributedSampler[Sample], int]:
    """Make a sampler that gives each image to one process, once, and the size of batches.

    Lightning would pad the shares to equal lengths, and leaves a DistributedSampler as it is. With
    unequally many batches, batch norm's buffers, which DistributedDataParallel sends around before
    each batch, would meet other messages. Shares differ by one image at most, and have equally many
    batches if no share ends with a whole one that others lack.
    """
    from torch.utils.data import DistributedSampler

    least, over = divmod(len(data), num_replicas)
    if not least:
        raise ValueError(
            f"The {split} split has {len(data)} images for {num_replicas} processes, so that some "
            "would have none. Use fewer processes."
        )
    sampler: DistributedSampler[Sample] = DistributedSampler(
        data, num_replicas, rank, shuffle=False
    )
    sampler.total_size = len(data)
    sampler.num_samples = len(range(rank, len(data), num_replicas))
    if over:
        sizes = itertools.chain(range(size, 1, -1), itertools.count(size + 1))
        size = next(each for each in sizes if least % each)
        if rank == 0:
            warnings.warn(
                f"{num_replicas} processes score the {len(data)} images of {split}, each once. "
                "Log torchmetrics objects, or sums of counts: a mean that self.log(..., sync_dist="
                "True) makes is too large then, since Lightning cuts the number of images per "
                f"process, {len(data) / num_replicas:.2f}, to {least}.",
                BMGDWarning,
                stacklevel=4,
            )
    return sampler, size


def _hash(name: str) -> str:
    """What a checkpoint records of a name: checkpoints are given to others."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


_FOLDS: Final = 5
_COMPARED: Final = ("digest", "scheme", "instance_method")


@dataclass(init=False, eq=False, repr=False)
class _Name(str):
    """A sample's name in a batch.

    ``self.log`` derives the batch size from everything in a batch, and warns if a str has another
    size than the tensors. It ignores objects of a dataclass without fields.
    """

    __slots__ = ()


def _collate(samples: Sequence[Sample]) -> Sample:
    from bmgd_data.torch import collate

    batch = collate(samples)
    return {**batch, "name": [_Name(name) for name in batch["name"]]}
