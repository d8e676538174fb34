"""The Hugging Face adapter gives the Reader's samples, bit for bit, through every file format."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from bmgd_data import Reader, facts
from common import TINY

datasets = pytest.importorskip("datasets")

from bmgd_data.hf import FEATURES, dataset_card, to_hf, to_hf_dict  # noqa: E402


@pytest.fixture(scope="module")
def reader(tiny_root):
    return Reader("all", source=TINY, root=tiny_root)


@pytest.fixture(scope="module")
def dataset(reader):
    return to_hf(reader)


def check(dataset, reader):
    """The same samples in the same order, as numpy and as Pillow images."""
    assert dataset.features == FEATURES
    assert len(dataset) == len(reader)
    for row, sample in zip(dataset.with_format("numpy"), reader, strict=True):
        assert row.keys() == sample.keys()
        for key in ("image", "mask", "instances"):
            assert row[key].dtype == sample[key].dtype
            np.testing.assert_array_equal(row[key], sample[key])
        for key in ("stiffness_pa", "n_nuclei", "name"):
            assert row[key] == sample[key]


def test_same_samples(dataset, reader):
    check(dataset, reader)
    assert dataset.info.citation == facts.BIBTEX
    assert dataset.info.license == facts.DATA_LICENSE


def test_16_bits_are_used(dataset, reader):
    assert max(sample["image"].max() for sample in reader) > 255
    assert dataset[0]["image"].mode == "I;16"
    assert dataset[0]["mask"].mode == "1"


def test_every_value_survives(dataset, tmp_path):
    """All 65536 grey values, encoded as images are."""
    from bmgd_data._system import image_files

    values = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    features = datasets.Features({"image": FEATURES["image"]})
    row = {"image": {"bytes": image_files.encode_png(values), "path": None}}
    datasets.Dataset.from_list([row], features=features).to_parquet(tmp_path / "x.parquet")
    back = datasets.Dataset.from_parquet(str(tmp_path / "x.parquet"), cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(back.with_format("numpy")[0]["image"], values)


def test_save_to_disk(dataset, reader, tmp_path):
    dataset.save_to_disk(tmp_path / "saved")
    check(datasets.load_from_disk(tmp_path / "saved"), reader)


def test_parquet(dataset, reader, tmp_path):
    dataset.to_parquet(tmp_path / "all.parquet")
    back = datasets.Dataset.from_parquet(
        str(tmp_path / "all.parquet"), cache_dir=tmp_path / "cache"
    )
    check(back, reader)


def test_all_splits(tiny_root, tmp_path):
    arguments = {"source": TINY, "root": tiny_root, "stiffness": "1200Pa", "instances": "watershed"}
    splits = to_hf_dict(Reader("all", **arguments))
    assert list(splits) == ["train", "validation", "test"]
    splits.save_to_disk(tmp_path / "saved")
    for back in (splits, datasets.load_from_disk(tmp_path / "saved")):
        for name, dataset in back.items():
            check(dataset, Reader(name, **arguments))
            assert str(dataset.split) == name


def test_more_than_one_chunk(reader, monkeypatch):
    monkeypatch.setattr("bmgd_data.hf._CHUNK", 7)
    check(to_hf(reader[:20]), reader[:20])


def test_no_samples(reader):
    assert len(to_hf(reader[:0])) == 0


def test_torch_format_keeps_bits(dataset, reader):
    pytest.importorskip("torch")
    image = dataset.with_format("torch")[3]["image"]
    np.testing.assert_array_equal(image.numpy().squeeze(), reader[3]["image"])


@pytest.mark.filterwarnings("ignore:.*where the paper counts")
def test_a_local_path_is_not_shown(tmp_path, tiny_root):
    from bmgd_data.export import export

    folder = export(Reader("all", "950Pa", source=TINY, root=tiny_root), "tiff", tmp_path / "own")
    dataset = to_hf(Reader("all", "950Pa", source=folder))
    assert str(tmp_path) not in str(dataset.info)
    assert "local files" in dataset.info.description


def test_card():
    huggingface_hub = pytest.importorskip("huggingface_hub")
    card = huggingface_hub.DatasetCard(dataset_card())
    assert card.data.license == "unknown"
    assert card.data.task_categories == ["image-segmentation"]
    assert card.data.size_categories == ["n<1K"]
    for told in (
        *(
            "| 250Pa | 453 | 5426 | 11.98 |",
            "| 1800Pa | 198 | 2144 | 10.83 |",
            "| all | 819 | 9561",
        ),
        *("Zeiss LSM 710", "405 nm", facts.DATA_LICENSE, facts.BIBTEX, facts.PAPER_URL),
        *("look alike", "not known", "1200 Pa.7z"),
    ):
        assert told in card.text
    assert "generated" not in card.text


def test_card_pins(monkeypatch):
    """Once every archive's sha256 is known, the card no longer says that it is unknown."""
    monkeypatch.setattr(facts, "SHA256", {c.archive: "0" * 64 for c in facts.CONDITIONS})
    assert "sha256" not in dataset_card()


def test_missing_library():
    code = "import sys; sys.modules['datasets'] = None; import bmgd_data.hf"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingDependencyError" in done.stderr
    assert 'pip install "bmgd-data[hf]"' in done.stderr


@pytest.mark.slow
def test_standin(standin, tmp_path):
    arguments = {"source": standin, "root": tmp_path, "instances": "watershed"}
    splits = to_hf_dict(Reader("all", **arguments))
    assert {name: len(dataset) for name, dataset in splits.items()} == {
        "train": 655,
        "validation": 82,
        "test": 82,
    }
    for name, dataset in splits.items():
        dataset.to_parquet(tmp_path / f"{name}.parquet")
        path = str(tmp_path / f"{name}.parquet")
        back = datasets.Dataset.from_parquet(path, cache_dir=str(tmp_path / "cache"))
        check(back, Reader(name, **arguments))
