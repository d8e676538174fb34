"""Wheel and sdist, the versions they require, and the promises of SECURITY.md."""

from __future__ import annotations

import configparser
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import bmgd_data
import lowest

ROOT = Path(__file__).parents[1]
ADDRESS = re.compile(r"\]\(([^)]+)\)")
WHEEL = os.environ.get("TEST_WHEEL")
"""The folder that the wheel was installed into, where `make test-wheel` runs this."""

IGNORED = shutil.ignore_patterns(
    *(".git", ".venv*", ".hypothesis", ".coverage*", ".*_cache", "__pycache__", "*.egg-info"),
    *("build", "dist", "_build", "_generated", "mutants", "bmgd-demo.png"),
)
LEFTOVERS = (
    *("build/wheel/x.py", "dist/old.whl", ".venv/x.py", ".venv-demo/x.py", ".venv-lowest/x.py"),
    *("src/bmgd_data/__pycache__/x.pyc", "src/bmgd_data.egg-info/x", "tests/__pycache__/x.pyc"),
    *(".hypothesis/x", ".pytest_cache/x", ".mypy_cache/x", "docs/_build/x.html"),
    *(".coverage", "docs/notebooks/x.ipynb"),
)
"""What work in the tree leaves behind; .gitignore keeps it out."""
HOST = (".ci/", ".github/", ".pre-commit-config.yaml", ".readthedocs.yaml")
"""What only the repository and its hosts use."""


def tree(to: Path) -> Path:
    """A copy of the tree, with files that work leaves behind."""
    shutil.copytree(ROOT, to, ignore=IGNORED)
    shutil.rmtree(to / "docs" / "notebooks", ignore_errors=True)  # the docs' build puts them there
    for name in LEFTOVERS:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).write_text("left over", encoding="utf-8")
    return to


def build(folder: Path, out: Path, *what: str, umask: int = -1, **environment: str) -> list[Path]:
    """The files that `python -m build` makes of a tree, by the hatchling that is installed."""
    own = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), *what]
    ran = subprocess.run(
        [*command, str(folder)],
        env=own | {"PYTHONPATH": ""} | environment,
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    return sorted(out.iterdir())


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path, Path]:
    """A copy of the tree, the wheel that is made of its sdist, and that sdist."""
    for name in ("build", "hatchling", "hatch_fancy_pypi_readme"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    folder = tmp_path_factory.mktemp("built")
    copy = tree(folder / "tree")
    wheel, sdist = build(copy, folder / "out")
    return copy, wheel, sdist


def test_built_elsewhere_at_another_time_by_another_user_is_the_same_to_the_byte(built, tmp_path):
    """And a wheel made of the sdist is the one that is made of the tree."""
    copy = tmp_path / "another and longer path" / "tree"
    shutil.copytree(built[0], copy)
    for path in [copy, *copy.rglob("*")]:
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700 if path.is_dir() else 0o600)
    surroundings = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    again = build(copy, tmp_path / "out", "--sdist", "--wheel", umask=0o077, **surroundings)
    assert [path.name for path in again] == [path.name for path in built[1:]]
    for one, other in zip(built[1:], again, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_the_wheel_holds_the_package_and_nothing_else(built):
    copy, wheel, _ = built
    names = set(zipfile.ZipFile(wheel).namelist())
    information = f"bmgd_data-{bmgd_data.__version__}.dist-info"
    own = {name for name in names if name.startswith(information)}
    expected = {
        path.relative_to(copy / "src").as_posix()
        for path in (copy / "src" / "bmgd_data").rglob("*")
        if path.is_file() and path.relative_to(copy).as_posix() not in LEFTOVERS
    }
    assert names - own == expected
    assert {name.removeprefix(f"{information}/") for name in own} == {
        *("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    }
    needed = {
        *("__init__.py", "__main__.py", "py.typed", "cli/__init__.py", "tfds/README.md"),
        *("tfds/CITATIONS.bib", "tfds/TAGS.txt", "tfds/bmgd_dataset_builder.py"),
    }
    assert needed <= {name.removeprefix("bmgd_data/") for name in names}


def test_its_readme_has_no_relative_address(built):
    """Pages that show README alone cannot follow one."""
    _, wheel, _ = built
    name = f"bmgd_data-{bmgd_data.__version__}.dist-info/METADATA"
    metadata = zipfile.ZipFile(wheel).read(name).decode()
    repository = lowest.PROJECT["urls"]["Repository"]
    own = [each for each in ADDRESS.findall(metadata) if not each.startswith("#")]
    assert f"{repository}/raw/main/docs/_static/demo.png" in own
    assert f"{repository}/blob/main/docs/splits.md" in own
    assert [each for each in own if not each.startswith("https://")] == []


def test_readme_leads_to_files_that_are_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    own = [each for each in ADDRESS.findall(text) if not each.startswith(("#", "https://"))]
    assert len(own) > 10
    assert [each for each in own if not (ROOT / each.partition("#")[0]).exists()] == []


def test_the_command_goes_by_two_names(built):
    """`uvx bmgd-data` and `pipx run bmgd-data` run the one that is called as the distribution is."""
    _, wheel, _ = built
    parser = configparser.ConfigParser()
    name = f"bmgd_data-{bmgd_data.__version__}.dist-info/entry_points.txt"
    parser.read_string(zipfile.ZipFile(wheel).read(name).decode())
    assert dict(parser["console_scripts"]) == dict.fromkeys(
        ("bmgd", "bmgd-data"), "bmgd_data.cli:app"
    )


def test_the_sdist_holds_all_of_the_tree_but_leftovers_and_what_hosts_use(built):
    copy, _, sdist = built
    with tarfile.open(sdist) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    expected = {
        path.relative_to(copy).as_posix()
        for path in copy.rglob("*")
        if path.is_file() and not path.relative_to(copy).as_posix().startswith(HOST)
    }
    assert names == expected - set(LEFTOVERS) | {"PKG-INFO"}
    assert {"SECURITY.md", "LICENSE", "README.md", "constraints.txt", "Makefile"} <= names


@pytest.mark.skipif(WHEEL is None, reason="the wheel is not installed; `make test-wheel` does it")
def test_what_these_tests_run_is_the_wheel():
    own = importlib.metadata.distribution("bmgd-data")
    assert own.locate_file("bmgd_data").samefile(Path(WHEEL, "bmgd_data"))
    assert Path(bmgd_data.__file__).is_relative_to(WHEEL)
    code = "import bmgd_data.cli; print(bmgd_data.cli.__file__)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert Path(child.stdout.strip()).is_relative_to(WHEEL)


def test_every_dependency_has_a_lower_bound_and_no_upper_one():
    project = lowest.PROJECT
    extras = project["optional-dependencies"].values()
    for listed in (project["dependencies"], *extras, group("dev")):
        for requirement in map(Requirement, listed):
            if requirement.name != project["name"]:
                assert [bound.operator for bound in requirement.specifier] == [">="], requirement


def test_lowest_follows_extras_that_name_extras():
    found = lowest.lowest("lightning")
    assert {Requirement(line).name for line in found} >= {"numpy", "torch", "lightning"}
    assert len(found) == len(set(found))
    assert all("==" in line for line in found)


def test_the_versions_that_were_tried_together_are_named_for_all_and_allowed():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = {
        plain(name): Version(version)
        for name, version in re.findall(r"^([^#\s=]+)==(\S+)$", text, re.MULTILINE)
    }
    wanted = [*lowest.PROJECT["dependencies"], *lowest.required("all"), *group("dev")]
    for requirement in map(Requirement, wanted):
        if requirement.marker is None or requirement.marker.evaluate():
            assert requirement.specifier.contains(pins[plain(requirement.name)]), requirement


def group(name: str) -> list[str]:
    """What a dependency group requires, with the groups that it includes."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [
        requirement
        for entry in content["dependency-groups"][name]
        for requirement in ([entry] if isinstance(entry, str) else group(entry["include-group"]))
    ]


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_readme_and_classifiers_tell_of_the_same_pythons():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    run = re.findall(r"Python :: (3\.\d+)", "\n".join(lowest.PROJECT["classifiers"]))
    assert re.findall(r"^\| (3\.\d+)\.\d+ \|", readme, re.MULTILINE) == run
    assert lowest.PROJECT["requires-python"] == f">={run[0]}"


def test_security_states_the_limits_that_hold():
    from bmgd_data._container import members, sevenzip_header
    from bmgd_data._ingest import raster, rows

    text = " ".join((ROOT / "SECURITY.md").read_text(encoding="utf-8").split())
    for limit in (
        f"{members.MAX_MEMBERS:,} members",
        f"{members.MAX_MEMBER_BYTES >> 20} MB a member",
        f"{members.MAX_BYTES >> 30} GB of members",
        f"{sevenzip_header.MAX_DICTIONARY_BYTES >> 30} GB of dictionary",
        f"{members.MAX_LISTING_BYTES >> 20} MB of header",
        f"{raster.MAX_VALUES:,} values (pixels times channels)",
        f"{rows.MAX_BYTES >> 30} GB of arrays",
    ):
        assert limit in text, limit


def test_the_docs_show_these_limits_and_no_others():
    """They stand once and are included."""
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    assert ':::{include} ../SECURITY.md\n:start-after: "## Limits"\n:::' in text
    assert not re.search(r"\d (MB|GB)", text)


@pytest.mark.skipif(not (ROOT / ".github").is_dir(), reason="an sdist has no workflows")
def test_actions_are_pinned_by_commit_and_may_do_nothing_by_default():
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = workflow.read_text(encoding="utf-8")
        used = re.findall(r"uses: (.*)", text)
        assert used, workflow
        for action in used:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", action), action
        assert "\npermissions: {}\n" in text, workflow
        assert "${{ secrets" not in text, workflow


def test_addresses_that_do_not_exist_yet_are_in_one_place():
    urls = lowest.PROJECT["urls"]
    assert {"Repository", "Documentation", "Issues", "Changelog", "Paper", "Data"} == urls.keys()
    placeholder = "github.com/" + "OWNER"
    assert all(
        (placeholder in url) == (name in ("Repository", "Issues", "Changelog"))
        for name, url in urls.items()
    )
    own = [*(ROOT / "src").rglob("*.py"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]
    for path in own:
        assert placeholder not in path.read_text(encoding="utf-8"), path


def test_the_version_is_the_same_in_the_citation():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {bmgd_data.__version__}\n" in text
