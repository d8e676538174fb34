"""Which modules an import loads, in fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import bmgd_data

HEAVY = {
    "torch",
    "tensorflow",
    "skimage",
    "scipy",
    "pandas",
    "py7zr",
    "pooch",
    "requests",
    "rich",
    "typer",
    "PIL",
}
WITHOUT_TORCH = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        hidden = name.split(".")[0] in ("torch", "torchvision")
        return None if hidden else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Without, sys.meta_path)
"""


OF_CLICK = "ignore:'click:DeprecationWarning"
"""The oldest supported typer uses features that click has deprecated."""


def run(code: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", OF_CLICK, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(code: str, *arguments: object) -> set[str]:
    print_them = "; import sys; print(*{name.split('.')[0] for name in sys.modules})"
    return set(run(code + print_them, *arguments).split())


@pytest.mark.parametrize(
    "code",
    ["import bmgd_data", "from bmgd_data import Reader", "from bmgd_data import BMGDError, Sample"],
)
def test_importing_is_light(code):
    assert loaded_by(code) & HEAVY == set()


def test_importing_the_package_does_not_load_numpy():
    assert "numpy" not in loaded_by("import bmgd_data; dir(bmgd_data)")


def test_the_command_line_shows_its_help_without_numpy():
    """numpy alone would take half as long as typer."""
    assert "numpy" not in loaded_by("from bmgd_data.cli import app")


def test_reading_from_an_existing_store_is_light(tmp_path, nuclei, write_7z):
    write_7z(tmp_path / "950 Pa.7z", nuclei(count=10))
    code = (
        "import sys; from bmgd_data import Reader; r = Reader('train', 950, source=sys.argv[1]); "
        "s = r[0]; s['image'].mean(), s['instances'].max(), repr(r), r.stats()"
    )
    run("import warnings; warnings.simplefilter('ignore'); " + code, tmp_path)
    assert loaded_by(code, tmp_path) & HEAVY == set()


def test_every_public_name_is_there_and_listed():
    assert set(bmgd_data.__all__) <= set(dir(bmgd_data))
    assert "Reader" in bmgd_data.__all__
    for name in set(bmgd_data.__all__) - {"BMGD"}:  # torch takes seconds to load
        assert getattr(bmgd_data, name) is not None
    with pytest.raises(AttributeError, match=r"bmgd_data.* has no attribute 'Nothing'"):
        _ = bmgd_data.Nothing


def test_without_torch_bmgd_is_not_listed_and_its_error_holds_the_pip_line():
    code = """
import bmgd_data
assert "BMGD" not in bmgd_data.__all__ and "BMGD" not in dir(bmgd_data), bmgd_data.__all__
from bmgd_data import *
assert "Reader" in globals() and "BMGD" not in globals()
for use in ("from bmgd_data import BMGD", "bmgd_data.BMGD", "import bmgd_data.torch"):
    try:
        exec(use)
    except bmgd_data.MissingDependencyError as error:
        assert isinstance(error, ImportError)
        print(error)
"""
    shown = run(WITHOUT_TORCH + code).splitlines()
    assert len(shown) == 3
    assert all('pip install "bmgd-data[torch]"' in line for line in shown)


def test_with_torch_bmgd_is_listed():
    pytest.importorskip("torch")
    assert "BMGD" in bmgd_data.__all__


def test_version_is_the_one_installed():
    from importlib.metadata import version

    assert bmgd_data.__version__ == version("bmgd-data")


def test_nothing_is_written_by_importing(tmp_path):
    run(f"import os; os.environ['BMGD_HOME'] = {os.fspath(tmp_path / 'home')!r}; import bmgd_data")
    assert list(tmp_path.iterdir()) == []
