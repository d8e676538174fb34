"""Run each docs page's code in an environment that has what the page installs, and nothing else.

A page that installs nothing needs the core alone. `make release-check` runs this; ``python
tests/pages.py grain.md`` runs one page.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
PARTS = re.compile(r"^```(\w*)\n(.*?)^```|`(pip install [^`]+)`", re.DOTALL | re.MULTILINE)
PIP = re.compile(r"^(?:\$ )?pip (install .*)$", re.MULTILINE)
CORE = ["install", "bmgd-data"]


class Stage(NamedTuple):
    """Some install lines of a page, and all of its code above the next ones."""

    installs: list[list[str]]
    """Arguments of pip."""
    code: str


def stages(text: str) -> Iterator[Stage]:
    """What a reader who follows a page from top to bottom installs and runs."""
    installs, code, waiting = [CORE], "", False
    for language, block, inline in PARTS.findall(text):
        if language == "python":
            code, waiting = f"{code}{block}\n", True
        elif lines := [shlex.split(line, comments=True) for line in PIP.findall(inline or block)]:
            if waiting:
                yield Stage(installs, code)
                installs, waiting = [], False
            installs += lines
    if waiting:
        yield Stage(installs, code)


def run(page: Path, wheel: Path, folder: Path) -> str:
    """Make the environment, and run the page's code in it; gives what went wrong, or nothing."""
    python = folder / "venv" / "bin" / "python"
    venv.create(python.parents[1], with_pip=True)
    own = {
        "BMGD_SOURCE": "phantom:size=0.02",
        "BMGD_HOME": str(folder / "home"),
        "TFDS_DATA_DIR": str(folder / "tfds"),
    }
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    for number, stage in enumerate(stages(page.read_text(encoding="utf-8"))):
        work = folder / f"stage-{number}"  # its code runs from the top, so it must find no exports
        work.mkdir()
        here = {"cwd": work, "env": inherited | own, "capture_output": True, "text": True}
        commands = [
            ["-m", "pip", "-q", *(re.sub("^bmgd-data", str(wheel), part) for part in line)]
            for line in stage.installs
        ]
        for command in [*commands, ["-c", stage.code]]:
            done = subprocess.run([python, *command], check=False, **here)
            if done.returncode:
                return f"{shlex.join(command)}\n{done.stdout[-1000:]}{done.stderr[-3000:]}"
    return ""


def main() -> None:
    """Run the chosen pages, print a table, and fail if one failed."""
    pages = [
        page
        for page in sorted((ROOT / "docs").glob("*.md"))
        if any(stages(page.read_text(encoding="utf-8")))
    ]
    names = [page.name for page in pages]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", metavar="PAGE", default=names, help=", ".join(names))
    parser.add_argument("--wheel", type=Path, help="the package; default: the one in dist/")
    parser.add_argument("--work", type=Path, default=Path("build/pages"))
    chosen = parser.parse_args()
    if unknown := set(chosen.pages) - set(names):
        parser.error(f"no code in {', '.join(sorted(unknown))}; pages: {', '.join(names)}")
    wheel = chosen.wheel or next((ROOT / "dist").glob("*.whl"), None)
    if wheel is None:
        parser.error("there is no wheel in dist/; make one with `make dist`, or give --wheel")
    failed = []
    for name in chosen.pages:
        folder = chosen.work.absolute() / name.removesuffix(".md")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        started = time.monotonic()
        fault = run(ROOT / "docs" / name, wheel.absolute(), folder)
        size = sum(path.lstat().st_size for path in folder.joinpath("venv").rglob("*"))
        took = f"{time.monotonic() - started:.0f} s, {size / 1e9:.1f} GB installed"
        print(f"{name}: {'FAILED' if fault else 'passed'} ({took})", flush=True)
        if fault:
            print(fault, file=sys.stderr, flush=True)
            failed.append(name)
        shutil.rmtree(folder)
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
