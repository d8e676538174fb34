"""The code in README and in the docs runs as it stands there."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bmgd_data import Reader
from common import TINY

ROOT = Path(__file__).parents[1]
ADAPTERS = (
    ROOT / "docs" / "augmentation.md"
)  # for libraries of which one may be there without another
PAGES = [ROOT / "README.md", *sorted(set((ROOT / "docs").glob("*.md")) - {ADAPTERS})]
CODE = {
    page.name: blocks
    for page in PAGES
    if (blocks := re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
}
NEEDS = {
    "BMGD(": "torch",
    "bmgd_data.torch": "torchvision",
    "bmgd_data.lightning": "lightning",
    "bmgd_data.hf": "datasets",
    "bmgd_data.tf import": "tensorflow",
    "bmgd_data.tf.": "tensorflow",
    "bmgd_data.tfds": "tensorflow_datasets",
    "import grain": "grain",
    "import matplotlib": "matplotlib",
    "import webdataset": "webdataset",
    "import mlcroissant": "mlcroissant",
    "import polars": "polars",
    "CocoDetection": "pycocotools",
    "roi_zip": "roifile",
    "import cv2": "cv2",
    "tfds.as_dataframe": "pandas",
    "tfds.show_examples": "matplotlib",
}
"""What code that holds this needs beyond the core."""


QUICK = ("README.md", "quickstart.md", "index.md", "instances.md", "own-images.md")
"""Pages whose code the default tests run; the others take several seconds each."""


def run_or_skip(code, needed, tiny_root, cwd):
    """Run code in a process of its own, since frameworks depend on which was imported first."""
    if missing := [name for name in sorted(needed) if importlib.util.find_spec(name) is None]:
        pytest.skip(f"{', '.join(missing)} not installed")
    own = {"BMGD_SOURCE": TINY, "BMGD_HOME": str(tiny_root), "TFDS_DATA_DIR": str(cwd)}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] * (page not in QUICK)) for page in CODE],
)
def test_code_runs(page, tiny_root, tmp_path):
    """From top to bottom."""
    code = "\n".join(CODE[page])
    needed = {needs for sign, needs in NEEDS.items() if sign in code}
    run_or_skip(code, needed, tiny_root, tmp_path)


MOVED_TOGETHER = """
pictures = {key: torch.as_tensor(moved[key]).as_subclass(torch.Tensor) for key in data[0]
            if key in ("image", "mask", "instances")}
assert {key: tuple(each.shape[-2:]) for key, each in pictures.items()} == dict.fromkeys(
    ("image", "mask", "instances"), (224, 224)), pictures
assert [each.dtype for each in pictures.values()] == [torch.float32, torch.uint8, torch.int32]
mask, grey = pictures["mask"].flatten() > 0, pictures["image"].flatten()
assert ((pictures["instances"].flatten() > 0) == mask).all(), "the masks differ"
assert grey[mask].mean() > 1.3 * grey[~mask].mean(), "the image was not moved along"
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("library", "moved"),
    [
        ("bmgd_data", "batch"),
        ("torchvision", "sample"),
        ("albumentations", "sample"),
        ("monai", "sample"),
        ("kornia", "batch"),
    ],
)
def test_adapters_of_augmentation_libraries_run(library, moved, tiny_root, tmp_path):
    """Each by itself, after the page's first code; the pictures move together."""
    first, *others = re.findall(r"```python\n(.*?)```", ADAPTERS.read_text("utf-8"), re.DOTALL)
    own = [code for code in others if code.startswith((f"import {library}", f"from {library}"))]
    assert len(own) == (library != "bmgd_data")
    code = "\n".join([first, *own, f"moved = {moved}", MOVED_TOGETHER])
    run_or_skip(code, {"torchvision", library}, tiny_root, tmp_path)


DRAWS = """
from torch.utils.data import Subset

one = Subset(data, [0] * 16)
start = worker_init_fn if SEEDED else None
drawn = [sample["image"].numpy().tobytes() + sample["instances"].numpy().tobytes()
         for epoch in range(2)
         for sample in DataLoader(one, batch_size=None, num_workers=4, worker_init_fn=start)]
print(len(drawn), len(set(drawn)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("library", ["albumentations", "monai"])
@pytest.mark.parametrize(("seeded", "distinct"), [(True, range(25, 33)), (False, range(1, 5))])
def test_workers_draw_differently_as_the_page_says(library, seeded, distinct, tiny_root, tmp_path):
    """One image 16 times by four workers, twice; without worker_init_fn only four are drawn."""
    first, *others = re.findall(r"```python\n(.*?)```", ADAPTERS.read_text("utf-8"), re.DOTALL)
    (own,) = (code for code in others if code.startswith((f"import {library}", f"from {library}")))
    draws = DRAWS.replace("SEEDED", str(seeded))
    draws = draws.replace("worker_init_fn if", f"start_{library}_worker if")
    done = run_or_skip(first + own + draws, {"torchvision", library}, tiny_root, tmp_path)
    count, different = map(int, done.stdout.splitlines()[-1].split())
    assert count == 32
    assert different in distinct


BRIGHTNESS = """
import albumentations, torch
from kornia import augmentation as kornia

grey = torch.tensor([[0.1, 0.4]]).repeat(8, 4)

def by_albumentations(transform):
    return torch.from_numpy(transform(image=grey.numpy())["image"])

def by_kornia(transform):
    return transform(grey[None, None])[0, 0]

told = {
    "multiplied": [
        by_albumentations(albumentations.ColorJitter((0.8, 0.8), (1, 1), p=1.0)),
        by_kornia(kornia.ColorJitter(brightness=(0.8, 0.8), p=1.0)),
    ],
    "a fifth of the full scale less": [
        by_albumentations(albumentations.RandomBrightnessContrast((-0.2, -0.2), (0, 0), p=1.0)),
        by_kornia(kornia.ColorJiggle(brightness=(0.8, 0.8), p=1.0)),
    ],
    "a fifth of the mean less": [
        by_albumentations(albumentations.RandomBrightnessContrast(
            (-0.2, -0.2), (0, 0), brightness_by_max=False, p=1.0)),
    ],
}
expected = [grey * 0.8, (grey - 0.2).clamp(0), (grey - 0.2 * grey.mean()).clamp(0)]
for (what, found), right in zip(told.items(), expected):
    for each in found:
        torch.testing.assert_close(each, right, msg=lambda text: what + text)

flip = kornia.AugmentationSequential(kornia.RandomHorizontalFlip(p=1.0), data_keys=None)
keys = "image", "mask", "mask_instances", "instances"
moved = flip({key: grey[None, None] for key in keys})
print([key for key in keys if torch.equal(moved[key][0, 0], grey)])
"""


@pytest.mark.slow
def test_brightness_and_keys_are_as_the_page_of_augmentations_says(tiny_root, tmp_path):
    done = run_or_skip(BRIGHTNESS, {"albumentations", "kornia", "torch"}, tiny_root, tmp_path)
    assert done.stdout.splitlines()[-1] == "['instances']"


FRAMEWORKS = re.findall(
    r"^\| \[.*?\| `(bmgd_data\..*?|import .*?|grain\..*?)` \|$",
    (ROOT / "README.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.mark.slow
@pytest.mark.parametrize("code", FRAMEWORKS, ids=lambda code: code.split("(")[0])
def test_each_line_of_the_frameworks_table_runs(code, tiny_root, tmp_path):
    needed = {needs for sign, needs in NEEDS.items() if sign in code}
    needed |= {name for name in ("grain", "tensorflow_datasets") if name in code}
    imports = "".join(f"import {name}\n" for name in ("bmgd_data", *needed))
    run_or_skip(imports + code, needed, tiny_root, tmp_path)


def test_the_frameworks_table_has_a_line_for_each():
    assert len(FRAMEWORKS) == 6


def test_troubleshooting_quotes_messages_that_exist():
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r'^\| "(.*?)" \|', page, re.MULTILINE)
    texts = [
        node.value
        for path in (ROOT / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert len(quoted) == page.count('\n| "')
    assert [each for each in quoted if not any(each in text for text in texts)] == []


def test_arguments_page_lists_each_argument_with_its_default():
    page = (ROOT / "docs" / "arguments.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", page, re.MULTILINE))
    parameters = inspect.signature(Reader).parameters
    assert list(listed) == list(parameters)
    for name, parameter in parameters.items():
        default = parameter.default
        said = f'"{default}"' if isinstance(default, str) else str(default)
        assert listed[name].startswith(said), name


def test_what_contributing_names_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    places = [ROOT, ROOT / "src" / "bmgd_data", ROOT / "tests"]

    def found(name: str) -> Path | None:
        return next((each / name for each in places if (each / name).exists()), None)

    missing = {name for name in re.findall(r"`(\w[\w/.]+/[\w.]+\.\w+)`", text) if not found(name)}
    for name, path in re.findall(r"`([\w.]+)`\s+(?:in|of)\s+`([\w/.]+\.py)`", text):
        where = found(path)
        if where is None or name.rpartition(".")[2] not in where.read_text(encoding="utf-8"):
            missing.add(f"{name} in {path}")
    for module, name in re.findall(r"`(facts|export)\.(?!py`)(\w+)`", text):
        if not hasattr(importlib.import_module(f"bmgd_data.{module}"), name):
            missing.add(f"{module}.{name}")
    assert not missing
