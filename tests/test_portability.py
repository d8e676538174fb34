"""What can be told of other systems without running on them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import unlike_posix
from bmgd_data import Reader
from bmgd_data._system import disk
from common import TINY

SOURCE = Path(__file__).parents[1] / "src"


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.relative_to(SOURCE).as_posix()
)
def test_nothing_that_windows_lacks_is_named(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    }
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
            named |= {alias.name for alias in node.names if node.module == "os"}
    assert not named & set(unlike_posix.FUNCTIONS)
    assert not imported & set(unlike_posix.MODULES)


@pytest.mark.skipif(not Path("/proc").exists(), reason="no file system known that cannot fsync")
def test_a_file_system_that_cannot_fsync_a_folder():
    disk.fsync(Path("/proc"))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no /proc to see open files in")
def test_it_works_where_posix_is_missing_and_open_files_are_locked(tiny_root, serve, tmp_path):
    kept = Reader("all", 950, source=TINY, root=tiny_root)
    archives = tiny_root / "sources" / kept.source.slug
    ran = subprocess.run(
        [
            *(sys.executable, "-X", "warn_default_encoding"),
            *(unlike_posix.__file__, str(tmp_path), serve(archives)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
