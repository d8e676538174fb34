from __future__ import annotations

import copy
import multiprocessing
import operator
import pickle
import re
import subprocess
import sys
import warnings
from collections.abc import MutableSequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bmgd_data.errors import BMGDWarning
from common import TINY

torch = pytest.importorskip("torch")
tv_tensors = pytest.importorskip("torchvision.tv_tensors")

from torch.utils.data import (  # noqa: E402
    ConcatDataset,
    DataLoader,
    Subset,
    WeightedRandomSampler,
    default_collate,
    random_split,
)
from torch.utils.data.distributed import DistributedSampler  # noqa: E402
from torchvision.transforms import v2  # noqa: E402
from torchvision.transforms.v2 import functional  # noqa: E402

import bmgd_data  # noqa: E402
from bmgd_data.torch import BMGD, collate  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

PICTURES = ("image", "mask", "instances")
KINDS = {"image": tv_tensors.Image, "mask": tv_tensors.Mask, "instances": tv_tensors.Mask}


@pytest.fixture(scope="module")
def data(tiny_root: Path) -> BMGD:
    """All 48 images of the smallest generated source, without transforms."""
    return BMGD("all", source=TINY, root=tiny_root)


@pytest.fixture(scope="module")
def transformed(tiny_root: Path) -> Callable[..., BMGD]:
    return partial(BMGD, "all", source=TINY, root=tiny_root)


def run(program: str, *args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert list(one) == list(other)
    for key, value in one.items():
        if isinstance(value, torch.Tensor):
            assert type(value) is type(other[key])
            torch.testing.assert_close(value, other[key], rtol=0, atol=0)
        else:
            assert value == other[key]


def plain(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """What default_collate makes of the samples once they are plain tensors."""
    return default_collate(
        [
            {
                k: v.as_subclass(torch.Tensor) if isinstance(v, torch.Tensor) else v
                for k, v in s.items()
            }
            for s in samples
        ]
    )


def check_batch(batch: dict[str, Any], samples: list[dict[str, Any]]) -> None:
    """The batch has default_collate's values, and the pictures are tv_tensors."""
    expected = plain(samples)
    assert list(batch) == list(expected)
    for key, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert batch[key].dtype == value.dtype
            assert torch.equal(batch[key].as_subclass(torch.Tensor), value), key
        else:
            assert batch[key] == value
    for key, kind in KINDS.items():
        assert type(batch[key]) is kind


# ------------------------------------------------------------------------------------ one sample


def test_public_name_is_this_class() -> None:
    assert bmgd_data.BMGD is BMGD
    assert "BMGD" in dir(bmgd_data)


def test_sample_equals_that_of_the_reader_in_dtypes_of_torch(data: BMGD) -> None:
    for number in range(0, len(data), 7):
        raw, sample = data.reader[number], data[number]
        assert list(sample) == list(raw)
        height, width = raw["image"].shape
        assert sample["image"].dtype == torch.float32
        assert sample["image"].shape == (1, height, width)
        assert sample["mask"].dtype == torch.uint8
        assert sample["instances"].dtype == torch.int32
        exact = raw["image"].astype(np.float32) / np.float32(4095)
        assert np.array_equal(sample["image"].numpy()[0], exact)
        assert np.array_equal(sample["mask"].numpy(), raw["mask"])
        assert set(sample["mask"].unique().tolist()) <= {0, 1}
        assert np.array_equal(sample["instances"].numpy(), raw["instances"])
        for key in ("stiffness_pa", "n_nuclei", "name"):
            assert sample[key] == raw[key]
        for key, kind in KINDS.items():
            assert type(sample[key]) is kind  # transforms look up their options by exact type


def test_image_is_scaled_by_its_conditions_full_scale(
    tmp_path: Path, nuclei: Callable[..., dict[str, bytes]]
) -> None:
    for name, data in nuclei("950 Pa", bits=8).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    with pytest.warns(BMGDWarning):
        data = BMGD("all", "950Pa", source=tmp_path)
    raw = data.reader[0]["image"].astype(np.float32)
    assert np.array_equal(data[0]["image"][0].numpy(), raw / np.float32(255))


@pytest.mark.parametrize("read", [lambda d: [d[0], d[1]], lambda d: d.__getitems__([0, 1])])
def test_samples_are_fresh_and_writable(data: BMGD, read: Callable[[BMGD], list[Any]]) -> None:
    one, other = read(data)
    before = {key: other[key].clone() for key in PICTURES}
    first = {key: one[key].clone() for key in PICTURES}
    for key in PICTURES:
        one[key].add_(1)
    for key in PICTURES:
        assert torch.equal(other[key], before[key])
        assert torch.equal(read(data)[0][key], first[key])
        assert not torch.equal(one[key], first[key])


def test_writing_to_a_batch_changes_nothing_else(data: BMGD) -> None:
    loader = DataLoader(data, batch_size=4, collate_fn=collate)
    first = next(iter(loader))
    for key in PICTURES:
        first[key].fill_(7)
    again = next(iter(loader))
    check_batch(again, [data[number] for number in range(4)])


def test_one_sample_keeps_only_its_own_memory(data: BMGD) -> None:
    sample = data[0]
    for key in PICTURES:
        assert sample[key].untyped_storage().nbytes() == sample[key].nbytes


def test_negative_and_numpy_indices(data: BMGD) -> None:
    same(data[-1], data[len(data) - 1])
    same(data[np.int64(3)], data[3])
    with pytest.raises(IndexError):
        data[len(data)]
    with pytest.raises(TypeError):
        data[1.5]


def test_getitems_gives_a_list_of_samples(data: BMGD) -> None:
    samples = data.__getitems__([5, 2, 2])
    assert isinstance(samples, MutableSequence)
    assert len(samples) == 3
    for sample, index in zip(samples, [5, 2, 2], strict=True):
        same(sample, data[index])
    assert data.__getitems__([]) == []


def test_repr_tells_the_readers_facts_and_the_transforms(transformed: Callable[..., BMGD]) -> None:
    data = transformed(transforms=v2.RandomHorizontalFlip(p=0.25))
    text = repr(data)
    assert text.splitlines()[0] == "BMGD: 48 images, split 'all' (random)"
    assert "generated" in text
    assert "Transforms: RandomHorizontalFlip(p=0.25)" in text
    assert "Transforms" not in repr(transformed())


def test_pickle_is_small_and_gives_the_same_samples(transformed: Callable[..., BMGD]) -> None:
    data = transformed(transforms=v2.RandomHorizontalFlip(p=1))
    packed = pickle.dumps(data)
    assert len(packed) < 20_000
    same(pickle.loads(packed)[3], data[3])  # noqa: S301 - our own
    same(pickle.loads(pickle.dumps(data[3])), data[3])  # noqa: S301 - our own


# --------------------------------------------------------------------------------------- collate


def test_collate_has_default_collates_values_and_keeps_the_types(data: BMGD) -> None:
    indices = [3, 0, 40]
    check_batch(collate(data.__getitems__(indices)), [data[index] for index in indices])
    check_batch(collate([data[index] for index in indices]), [data[index] for index in indices])
    assert collate([data[3]])["image"].shape == (1, 1, 256, 256)


def test_collate_does_not_copy_what_lies_in_one_block(data: BMGD) -> None:
    samples = data.__getitems__([0, 1, 2])
    batch = collate(samples)
    for key in PICTURES:
        assert batch[key].data_ptr() == samples[0][key].data_ptr()


def test_lists_made_of_a_batchs_samples_hold_them(data: BMGD) -> None:
    """As other code makes them: slices, sums, copies, also before anybody looked."""
    makers: list[Callable[[Any], Any]] = [
        lambda samples: samples[:],
        lambda samples: samples[:1] + samples[1:],
        lambda samples: operator.add([samples[0]], samples[1:]),
        lambda samples: (samples * 2)[:2],
        lambda samples: samples.copy(),
        copy.copy,
        copy.deepcopy,
        lambda samples: pickle.loads(pickle.dumps(samples)),  # noqa: S301 - our own
    ]
    for made in makers:
        samples = made(data.__getitems__([5, 2]))
        check_batch(collate(samples), [data[5], data[2]])
        same(samples[1], data[2])


def test_a_pickle_of_them_holds_the_pictures_once(data: BMGD) -> None:
    samples = data.__getitems__([0, 1, 2])
    pictures = sum(samples[0][key].nbytes for key in PICTURES) * 3
    assert len(pickle.dumps(data.__getitems__([0, 1, 2]))) < 1.1 * pictures


def _replaced(samples: list[Any]) -> list[Any]:
    samples[1]["mask"] = 1 - samples[1]["mask"]
    return samples


def _reordered(samples: list[Any]) -> list[Any]:
    samples.reverse()
    return samples


def _dropped(samples: list[Any]) -> list[Any]:
    del samples[1]
    return samples


def _repeated(samples: list[Any]) -> list[Any]:
    samples.append(samples[0])
    return samples


def _swapped(samples: list[Any]) -> list[Any]:
    samples[0]["image"], samples[2]["image"] = samples[2]["image"], samples[0]["image"]
    return samples


def _crossed(samples: list[Any]) -> list[Any]:
    for sample in samples:
        sample["mask"], sample["instances"] = sample["instances"], sample["mask"]
    return samples


def _added(samples: list[Any]) -> list[Any]:
    for number, sample in enumerate(samples):
        sample["weight"] = torch.full((2,), float(number))
        sample["array"] = np.arange(number, number + 3)
    return samples


def _removed(samples: list[Any]) -> list[Any]:
    for sample in samples:
        del sample["name"]
    return samples


def _given_an_axis(samples: list[Any]) -> list[Any]:
    for sample in samples:
        sample["mask"].unsqueeze_(0)
    return samples


def _written_to(samples: list[Any]) -> list[Any]:
    samples[1]["image"].mul_(2)
    return samples


def _replaced_by_a_plain_list(samples: list[Any]) -> list[Any]:
    return list(samples)


@pytest.mark.parametrize(
    "change",
    [
        _replaced,
        _reordered,
        _dropped,
        _repeated,
        _swapped,
        _crossed,
        _added,
        _removed,
        _given_an_axis,
        _written_to,
        _replaced_by_a_plain_list,
    ],
)
def test_collate_keeps_the_changes_of_wrappers(data: BMGD, change: Callable[..., Any]) -> None:
    samples = change(data.__getitems__([0, 1, 2]))
    check_batch(collate(samples), samples)


def test_a_transform_that_returns_a_tuple_is_refused(tiny_root: Path) -> None:
    pairs = BMGD("test", source=TINY, root=tiny_root, transforms=lambda s: (s["image"], s["mask"]))
    with pytest.raises(
        TypeError, match="is a tuple, not a dict: transforms= must return the whole"
    ):
        next(iter(DataLoader(pairs, batch_size=2, collate_fn=collate)))
    image, mask = next(iter(DataLoader(pairs, batch_size=2)))
    assert image.shape == (2, 1, *mask.shape[1:])


def test_collate_keeps_types_that_transforms_made(data: BMGD) -> None:
    samples = [
        {**data[index], "copy": tv_tensors.Mask(torch.zeros(2, 2)), "plain": torch.ones(2)}
        for index in range(2)
    ]
    batch = collate(samples)
    assert isinstance(batch["copy"], tv_tensors.Mask)
    assert type(batch["plain"]) is torch.Tensor


def test_different_shapes_are_a_clear_error(
    tmp_path: Path, nuclei: Callable[..., dict[str, bytes]], write_7z: Callable[..., Path]
) -> None:
    write_7z(tmp_path / "250 Pa.7z", nuclei("250 Pa", side=32))
    write_7z(tmp_path / "950 Pa.7z", nuclei("950 Pa", side=48))
    with pytest.warns(BMGDWarning):
        data = BMGD("all", ["250Pa", "950Pa"], source=tmp_path)
    shapes = [sample["mask"].shape[0] for sample in data.__getitems__([0, 10])]
    assert shapes == [32, 48]
    with pytest.raises(ValueError, match=r"\(1, 32, 32\), \(1, 48, 48\).*stiffness="):
        list(DataLoader(data, batch_size=20, collate_fn=collate))
    data.transforms = v2.Resize((40, 40))
    (batch,) = DataLoader(data, batch_size=20, collate_fn=collate)
    assert batch["instances"].shape == (20, 40, 40)


def test_masks_are_resized_as_the_page_says(data: BMGD) -> None:
    """Its table was measured on more images of the same kind."""
    page = (Path(__file__).parents[1] / "docs" / "pytorch.md").read_text("utf-8")
    block = re.search(r"(from torchvision.transforms.v2 import .*?\n)\n\nsmall = ", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(block[1], names)
    rows = re.findall(r"^\| (\d+) \| (0\.\d+) \| (0\.\d+) \|$", page, re.MULTILINE)
    assert len(rows) == 4
    for side, *told in rows:
        size = [int(side)] * 2
        counts = np.zeros((2, 3))
        for sample in data:
            mask = sample["mask"].as_subclass(torch.Tensor)[None].float()
            true = functional.resize(mask, size, antialias=True)[0] > 0.5
            resized = v2.Resize(size)(sample), names["resized"](sample, size)
            for count, each in zip(counts, resized, strict=True):
                assert each["image"].shape == (1, *size)
                assert each["instances"].bool().equal(each["mask"].bool())
                found = each["mask"].as_subclass(torch.Tensor) > 0
                count += [int((found & true).sum()), int(found.sum()), int(true.sum())]
        scores = [2 * both / (one + other) for both, one, other in counts]
        assert scores == pytest.approx([float(score) for score in told], abs=0.003), side


# ------------------------------------------------------- wrappers, samplers, DataLoader, processes


def _names(loader: DataLoader) -> list[str]:
    return [name for batch in loader for name in batch["name"]]


def test_wrappers_and_samplers_of_torch(data: BMGD) -> None:
    names = data.reader.names
    load = partial(DataLoader, batch_size=5, collate_fn=collate)
    assert _names(load(Subset(data, [7, 1, 30]))) == [names[7], names[1], names[30]]
    assert _names(load(ConcatDataset([data, data]))) == names * 2
    one, two = random_split(data, [0.5, 0.5], torch.Generator().manual_seed(0))
    assert sorted(_names(load(one)) + _names(load(two))) == sorted(names)
    only_soft = WeightedRandomSampler([float(pa == 250) for pa in data.reader.stiffness_pa], 9)
    assert all(name.startswith("250Pa/") for name in _names(load(data, sampler=only_soft)))
    for wrapped in (Subset(data, [7, 1]), ConcatDataset([Subset(data, [7, 1]), data])):
        batch = next(iter(load(wrapped, batch_size=2)))
        check_batch(batch, [data[7], data[1]])


def test_distributed_sampler_gives_each_sample_to_one_replica(data: BMGD) -> None:
    seen = [
        _names(
            DataLoader(
                data,
                batch_size=5,
                collate_fn=collate,
                sampler=DistributedSampler(data, num_replicas=2, rank=rank, seed=3),
            )
        )
        for rank in range(2)
    ]
    assert len(seen[0]) == len(seen[1])
    assert sorted(seen[0] + seen[1]) == sorted(data.reader.names)


def _invert(sample: dict[str, Any]) -> dict[str, Any]:
    sample["mask"] = tv_tensors.wrap(1 - sample["mask"], like=sample["mask"])
    return sample


@pytest.mark.parametrize(
    ("workers", "context", "transform"),
    [
        (0, None, None),
        (0, None, _invert),
        (2, "fork", None),
        (2, "fork", _invert),
        (2, "spawn", _invert),
    ],
)
def test_loader_gives_every_sample_whole(
    transformed: Callable[..., BMGD], workers: int, context: str | None, transform: Any
) -> None:
    if context not in (None, *multiprocessing.get_all_start_methods()):
        pytest.skip(f"no {context} here")
    data = transformed(transforms=transform)
    loader = DataLoader(
        Subset(data, range(20)),
        batch_size=8,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context=context,
        persistent_workers=workers > 0,
        collate_fn=collate,
    )
    where = {name: number for number, name in enumerate(data.reader.names)}
    orders = []
    for _ in range(2):
        batches = list(loader)
        for batch in batches:
            check_batch(batch, [data[where[name]] for name in batch["name"]])
            for key in PICTURES:
                batch[key].add_(1)  # writable, in whatever process it was made
        orders.append([name for batch in batches for name in batch["name"]])
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(data.reader.names[:20])
    assert orders[0] != orders[1]


FEW_FILES = """
import resource, sys
from torch.utils.data import DataLoader, Dataset
from bmgd_data.torch import BMGD, collate


class OneByOne(Dataset):
    '''A wrapper that knows no batches, as many people write them.'''

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        return self.data[index]


data = OneByOne(BMGD("all", source=sys.argv[1], root=sys.argv[2]))
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
loader = DataLoader(
    data, batch_size=48, num_workers=1, multiprocessing_context="fork", collate_fn=collate
)
print(sum(len(batch["name"]) for batch in loader))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="shared memory needs no open files there")
def test_worker_opens_no_file_for_each_sample(tiny_root: Path, data: BMGD) -> None:
    """Shared memory holds a file open: made for each picture, a large batch would run out.

    In another process, as this one may hold many open files.
    """
    done = run(FEW_FILES, TINY, tiny_root)
    assert done.stdout.strip() == str(len(data)), done.stderr


def test_pin_memory_keeps_the_values(data: BMGD) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'pin_memory' argument is set")  # no accelerator here
        loader = DataLoader(data, batch_size=6, collate_fn=collate, pin_memory=True)
        batch = next(iter(loader))
    check_batch(batch, [data[number] for number in range(6)])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="only a GPU's memory can be pinned for")
def test_pinned_pictures_keep_their_types(data: BMGD) -> None:
    batch = next(iter(DataLoader(data, batch_size=6, collate_fn=collate, pin_memory=True)))
    assert batch["image"].is_pinned()
    check_batch(batch, [data[number] for number in range(6)])


# ------------------------------------------------------------------------------------ transforms

GEOMETRY = {
    "elastic": v2.ElasticTransform(alpha=80.0, sigma=6.0),
    "crop": v2.RandomCrop(200),
    "horizontal flip": v2.RandomHorizontalFlip(p=1),
    "vertical flip": v2.RandomVerticalFlip(p=1),
    "affine": v2.RandomAffine(
        20, translate=(0.1, 0.1), scale=(0.9, 1.2), fill={tv_tensors.Image: 0.0, tv_tensors.Mask: 0}
    ),
    "resize": v2.Resize((160, 160)),
}
INTENSITY = {
    "jitter": v2.ColorJitter(brightness=0.3, contrast=0.3),
    "brightness": v2.RandomAutocontrast(p=1),
    "normalize": v2.Normalize([0.2], [0.1]),
    "to dtype": v2.ToDtype({tv_tensors.Image: torch.float64, "others": None}),
}


def _probe(sample: dict[str, Any]) -> dict[str, Any]:
    """Show the mask in the image, so that both show whether they moved together."""
    sample["image"].copy_(sample["mask"].unsqueeze(-3))
    return sample


def _moved_together(sample: dict[str, Any], labels: set[int]) -> None:
    mask, instances = (sample[key].as_subclass(torch.Tensor) for key in ("mask", "instances"))
    image = sample["image"].as_subclass(torch.Tensor).squeeze(-3)
    assert image.shape == mask.shape == instances.shape
    assert set(mask.unique().tolist()) == {0, 1}
    assert set(instances.unique().tolist()) <= labels
    assert torch.equal(instances > 0, mask > 0)

    def distance(other: torch.Tensor) -> float:
        return float(((image > 0.5) != (other > 0)).float().mean())

    # Images are interpolated and masks are not: outlines may differ, but little.
    assert 3 * distance(mask) < distance(torch.roll(mask, 16, -1))


@pytest.mark.parametrize("name", GEOMETRY)
def test_geometry_moves_all_three_together(data: BMGD, name: str) -> None:
    torch.manual_seed(0)
    for number in (0, 20, 40):
        sample = _probe(data[number])
        labels = set(sample["instances"].unique().tolist())
        before = sample["mask"].clone()
        moved = GEOMETRY[name](sample)
        assert not (moved["mask"].shape == before.shape and torch.equal(moved["mask"], before))
        _moved_together(moved, labels)


@pytest.mark.parametrize("name", GEOMETRY)
def test_geometry_moves_all_three_of_a_collated_batch(data: BMGD, name: str) -> None:
    torch.manual_seed(0)
    loader = DataLoader(data, batch_size=4, collate_fn=collate)
    batch = _probe(next(iter(loader)))
    labels = set(batch["instances"].unique().tolist())
    moved = GEOMETRY[name](batch)
    for key, kind in KINDS.items():
        assert type(moved[key]) is kind
    _moved_together(moved, labels)


def test_flip_after_collate_is_the_flip_of_each(data: BMGD) -> None:
    batch = next(iter(DataLoader(data, batch_size=4, collate_fn=collate)))
    flipped = v2.RandomHorizontalFlip(p=1)(batch)
    for key in PICTURES:
        assert torch.equal(flipped[key], batch[key].flip(-1))


@pytest.mark.parametrize("name", INTENSITY)
@pytest.mark.parametrize("batched", [False, True])
def test_intensity_changes_the_image_alone(data: BMGD, name: str, batched: bool) -> None:
    torch.manual_seed(0)
    sample = collate([data[0], data[1]]) if batched else data[0]
    before = {key: sample[key].clone() for key in PICTURES}
    after = INTENSITY[name](sample)
    changed = [
        key
        for key in PICTURES
        if after[key].dtype != before[key].dtype or not torch.equal(after[key], before[key])
    ]
    assert changed == ["image"]


def test_normalize_with_stats_centres_the_train_split(tiny_root: Path) -> None:
    data = BMGD("train", source=TINY, root=tiny_root)
    mean, std = data.reader.stats()
    data.transforms = v2.Normalize([mean], [std])
    images = torch.stack([data[number]["image"] for number in range(len(data))]).double()
    assert abs(images.mean()) < 1e-3
    assert abs(images.std() - 1) < 1e-3


def test_dataset_applies_transforms_alone_and_in_batches(transformed: Callable[..., BMGD]) -> None:
    data, flipped = transformed(), transformed(transforms=v2.RandomVerticalFlip(p=1))
    for sample in (flipped[2], flipped.__getitems__([2])[0]):
        for key in PICTURES:
            assert torch.equal(sample[key], data[2][key].flip(-2))


# --------------------------------------------------------------------------- without torchvision

PROGRAM = """
import sys, warnings
import torch


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torchvision":
            raise {error}


sys.meta_path.insert(0, Blocker())
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from bmgd_data import BMGD
print(*[warning.category.__name__ for warning in caught])
from torch.utils.data import DataLoader
from bmgd_data.torch import collate

data = BMGD("all", source=sys.argv[1], root=sys.argv[2])
samples = [data[0], data[1]]
batches = [collate(samples), collate(data.__getitems__([0, 1]))]
batches.append(next(iter(DataLoader(data, batch_size=2, num_workers=1, collate_fn=collate))))
for batch in batches:
    for key in ("image", "mask", "instances"):
        assert type(batch[key]) is type(samples[0][key]) is torch.Tensor
        assert torch.equal(batch[key], torch.stack([sample[key] for sample in samples]))
assert "torchvision" not in sys.modules
"""


@pytest.mark.parametrize(
    ("error", "warned"),
    [
        ("ModuleNotFoundError('no torchvision')", ""),
        ("RuntimeError('operator torchvision::nms does not exist')", "BMGDWarning"),
    ],
    ids=["missing", "made for another torch"],
)
def test_without_torchvision_samples_are_plain_tensors(
    tiny_root: Path, data: BMGD, error: str, warned: str
) -> None:
    done = run(PROGRAM.format(error=error), TINY, tiny_root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == warned


def test_without_torch_the_error_holds_the_pip_line() -> None:
    done = run("import sys; sys.modules['torch'] = None; from bmgd_data import BMGD")
    assert "MissingDependencyError: BMGD needs torch, which is not installed" in done.stderr
    assert 'pip install "bmgd-data[torch]"' in done.stderr


@pytest.mark.parametrize(
    "fault",
    ["raise ImportError('libtorch.so')", "raise OSError('libtorch.so')", "import libtorch.so"],
)
def test_a_broken_torch_is_not_called_missing(tmp_path: Path, fault: str) -> None:
    (tmp_path / "torch.py").write_text(fault)
    done = run(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from bmgd_data import BMGD")
    error = done.stderr.strip().splitlines()[-1]
    assert "MissingDependencyError: " in error
    assert "BMGD needs torch, which is installed but cannot be imported (" in error
    assert "libtorch" in error


@pytest.mark.parametrize("key", ["image", "mask", "instances"])
def test_collate_refuses_a_sample_whose_pictures_differ_in_size(tiny_root, key):
    data = BMGD("all", source=TINY, root=tiny_root)
    left_behind = {**data[1]}
    left_behind[key] = left_behind[key][..., :96, :96]
    with pytest.raises(ValueError, match=f"{key} 96 x 96") as told:
        collate([data[0], left_behind])
    assert left_behind["name"] in str(told.value)
    del left_behind[key]
    samples = [{**data[0]}, left_behind]
    del samples[0][key]
    assert key not in collate(samples)


def test_samples_are_chosen_as_those_of_a_reader(tiny_root):
    data = BMGD("train", source=TINY, root=tiny_root, transforms=lambda sample: sample["name"])
    assert data.names == data.reader.names
    assert data[data.names[3]] == data.names[3]
    for several in (slice(0, 3), [0, 1, 2], data.names[:3], np.arange(len(data)) < 3):
        chosen = data[several]
        assert type(chosen) is BMGD
        assert list(chosen) == data.names[:3]
    with pytest.raises(KeyError, match="names look like"):
        data["1200Pa/none"]
