"""One contract for every adapter: for each split and stiffness the same samples.

The same by name, pixel and instance, and in the same order but for TFDS, which keeps its own.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from bmgd_data import Reader, facts
from common import TINY

# PyTorch's side comes first: a process that imports it after TensorFlow is ended by LLVM.
pytest.importorskip("torchvision")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SPLITS = ("train", "val", "test")
STIFFNESSES = (None, *(condition.name for condition in facts.CONDITIONS))


class Wanted(NamedTuple):
    """The request to an adapter."""

    split: str
    stiffness: str | None
    source: str
    root: Path
    work: Path

    @property
    def reader(self) -> dict[str, Any]:
        return {"source": self.source, "root": self.root}


def raw(image: Any, full_scale: int = facts.FULL_SCALE) -> np.ndarray:
    """A torch image as the grey values that it was made from."""
    return np.rint(np.asarray(image, np.float64)[0] * full_scale).astype(np.uint16)


def plain(sample: dict[str, Any], image: Any = None) -> dict[str, Any]:
    """An adapter's sample, without axes of length 1, in numpy."""
    name = sample["name"]
    return {
        "name": name.decode() if isinstance(name, bytes) else str(name),
        "image": np.squeeze(np.asarray(sample["image"] if image is None else image)),
        "mask": np.squeeze(np.asarray(sample["mask"])).astype(bool),
        "instances": np.squeeze(np.asarray(sample["instances"])).astype(np.uint16),
        "stiffness_pa": int(sample["stiffness_pa"]),
        "n_nuclei": int(sample["n_nuclei"]),
    }


def torch(wanted: Wanted) -> Iterator[dict[str, Any]]:
    from bmgd_data import BMGD

    data = BMGD(wanted.split, wanted.stiffness, **wanted.reader)
    return (plain(sample, raw(sample["image"])) for sample in data)


def dataloader(wanted: Wanted) -> Iterator[dict[str, Any]]:
    from torch.utils.data import DataLoader

    from bmgd_data import BMGD
    from bmgd_data.torch import collate

    data = BMGD(wanted.split, wanted.stiffness, **wanted.reader)
    for batch in DataLoader(data, batch_size=5, collate_fn=collate):
        for row, name in enumerate(batch["name"]):
            sample = {key: value[row] for key, value in batch.items() if key != "name"}
            yield plain({**sample, "name": name}, raw(sample["image"]))


def lightning(wanted: Wanted) -> Iterator[dict[str, Any]]:
    from bmgd_data.lightning import BMGDDataModule

    module = BMGDDataModule(stiffness=wanted.stiffness, batch_size=4, **wanted.reader)
    module.prepare_data()
    module.setup()
    loader = {
        # The train loader shuffles; the data set below keeps the order.
        "train": lambda: ([sample] for sample in module.train_dataloader().dataset),
        "val": lambda: _rows(module.val_dataloader()),
        "test": lambda: _rows(module.test_dataloader()),
    }[wanted.split]
    for samples in loader():
        for sample in samples:
            yield plain(sample, raw(sample["image"]))


def _rows(loader: Any) -> Iterator[list[dict[str, Any]]]:
    for batch in loader:
        keys = list(batch)
        yield [dict(zip(keys, row, strict=True)) for row in zip(*batch.values(), strict=True)]


def hugging_face(wanted: Wanted) -> Iterator[dict[str, Any]]:
    from bmgd_data.hf import to_hf

    rows = to_hf(Reader(wanted.split, wanted.stiffness, **wanted.reader)).with_format("numpy")
    return (plain(row) for row in rows)


def grain(wanted: Wanted) -> Iterator[dict[str, Any]]:
    import grain

    data = grain.MapDataset.source(Reader(wanted.split, wanted.stiffness, **wanted.reader))
    return (plain(data[index]) for index in range(len(data)))


def exported(wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Written as upstream lays it out, and read again as its own source."""
    from bmgd_data.export import export

    kept = Reader(wanted.split, wanted.stiffness, **wanted.reader)
    if not len(kept):
        return
    folder = export(kept, "tiff", wanted.work / f"{wanted.split}-{wanted.stiffness}")
    present = [
        c.name for c in facts.CONDITIONS if (folder / c.archive.removesuffix(".7z")).is_dir()
    ]
    with pytest.warns(match="with notes"):
        again = Reader("all", present, source=folder, root=wanted.work / "home")
    yield from (plain(sample) for sample in again)


def tfds(wanted: Wanted) -> Iterator[dict[str, Any]]:
    import tensorflow_datasets

    examples = tensorflow_datasets.as_numpy(
        _builder(wanted, "tfrecord").as_dataset(_theirs(wanted))
    )
    return (plain(example) for example in examples)


def tfds_data_source(wanted: Wanted) -> Iterator[dict[str, Any]]:
    source = _builder(wanted, "array_record").as_data_source(_theirs(wanted))
    return (plain(source[index]) for index in range(len(source)))


def to_tf(wanted: Wanted) -> Iterator[dict[str, Any]]:
    from bmgd_data.tf import to_tf

    data = to_tf(Reader(wanted.split, wanted.stiffness, **wanted.reader), 5)
    return (plain(row) for row in data.unbatch().as_numpy_iterator())


def to_tf_mapped(wanted: Wanted) -> Iterator[dict[str, Any]]:
    from bmgd_data.tf import to_tf

    data = to_tf(Reader(wanted.split, wanted.stiffness, **wanted.reader), in_memory=False)
    return (plain(row) for row in data.as_numpy_iterator())


def _builder(wanted: Wanted, form: str) -> Any:
    from bmgd_data.tfds import Builder

    builder = Builder(
        config=wanted.stiffness or "all", source=wanted.source, root=wanted.root, file_format=form
    )
    builder.download_and_prepare()
    return builder


def _theirs(wanted: Wanted) -> str:
    return "validation" if wanted.split == "val" else wanted.split


IN_ORDER = (torch, dataloader, lightning, to_tf, to_tf_mapped, hugging_face, grain, exported)
IN_ANY_ORDER = (tfds, tfds_data_source)
NEEDS = {
    lightning: "lightning",
    to_tf: "tensorflow",
    to_tf_mapped: "tensorflow",
    hugging_face: "datasets",
    grain: "grain",
    tfds: "tensorflow_datasets",
    tfds_data_source: "array_record",
}
"""Beside PyTorch."""


def check(adapter: Callable[[Wanted], Iterator[dict[str, Any]]], wanted: Wanted) -> None:
    if adapter in NEEDS and importlib.util.find_spec(NEEDS[adapter]) is None:
        pytest.skip(f"{NEEDS[adapter]} is not installed")
    reader = Reader(wanted.split, wanted.stiffness, **wanted.reader)
    expected = [plain({**sample}) for sample in reader]
    found = list(adapter(wanted))
    assert found
    if adapter in IN_ANY_ORDER:
        order = {name: number for number, name in enumerate(reader.names)}
        found.sort(key=lambda sample: order[sample["name"]])
    assert [sample["name"] for sample in found] == reader.names
    for ours, theirs in zip(expected, found, strict=True):
        for key in ("image", "mask", "instances"):
            assert theirs[key].dtype == ours[key].dtype
            np.testing.assert_array_equal(theirs[key], ours[key], f"{key} of {ours['name']}")
        for key in ("stiffness_pa", "n_nuclei"):
            assert theirs[key] == ours[key], f"{key} of {ours['name']}"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TensorFlow's own
@pytest.mark.parametrize("adapter", [*IN_ORDER, *IN_ANY_ORDER], ids=lambda a: a.__name__)
def test_every_adapter_gives_the_same(adapter, tiny_root, tmp_path):
    for stiffness in (None, "1200Pa"):
        for split in SPLITS:
            check(adapter, Wanted(split, stiffness, TINY, tiny_root, tmp_path))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("adapter", [*IN_ORDER, *IN_ANY_ORDER], ids=lambda a: a.__name__)
def test_on_real_images(adapter, standin, tmp_path_factory, tmp_path):
    root = tmp_path_factory.getbasetemp() / "contract-root"
    for stiffness in STIFFNESSES:
        for split in SPLITS:
            check(adapter, Wanted(split, stiffness, str(standin), root, tmp_path))
