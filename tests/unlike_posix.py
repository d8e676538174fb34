"""Run as a program: removes from Python what Windows lacks, and then uses bmgd_data.

    python tests/unlike_posix.py <folder to work in> <URL of a mirror>

POSIX-only functions of `os` are gone; a folder cannot be opened, nor a file fsynced that is open
for reading only; open or mapped files cannot be renamed, replaced or removed, nor the folders they
lie in; text files that this package opens without naming an encoding are an error. What remains
untried of Windows is everything else.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
import types
import warnings
from pathlib import Path

FUNCTIONS = (
    *("chown", "chroot", "confstr", "ctermid", "fchdir", "fchmod", "fchown", "fdatasync", "fork"),
    *("forkpty", "fpathconf", "getegid", "geteuid", "getgid", "getgroups", "getloadavg", "getpgid"),
    *("getpgrp", "getpriority", "getresgid", "getresuid", "getsid", "getuid", "getxattr", "killpg"),
    *("initgroups", "lchown", "listxattr", "lockf", "major", "makedev", "minor", "mkfifo", "mknod"),
    *("nice", "openpty", "pathconf", "posix_fadvise", "posix_fallocate", "posix_spawn", "pread"),
    *("preadv", "pwrite", "pwritev", "readv", "removexattr", "sched_getaffinity", "sched_yield"),
    *("sendfile", "setegid", "seteuid", "setgid", "setgroups", "setpgid", "setpriority", "setsid"),
    *("setuid", "setxattr", "splice", "sync", "sysconf", "tcgetpgrp", "ttyname", "uname", "wait"),
    *("writev", "O_CLOEXEC", "O_DIRECTORY", "O_DSYNC", "O_NOCTTY", "O_NONBLOCK", "O_SYNC"),
)
"""Of `os`; https://docs.python.org/3/library/os.html says that Windows lacks them."""

MODULES = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty")


def main(folder: Path, mirror: str) -> None:
    impoverish()
    use(folder, mirror)


def use(folder: Path, mirror: str) -> None:
    """Fetch, build, label, export, read back, verify, and fail to remove open files."""
    from typer.testing import CliRunner

    from bmgd_data import Reader
    from bmgd_data.cli import app
    from bmgd_data.export import export

    def bmgd(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, [*arguments, "--root", str(folder / "root")])
        return result.exit_code, result.output

    given = {"stiffness": 950, "root": folder / "root"}
    fetched = Reader("all", source=mirror, instances="watershed", **given)
    exported = export(fetched, "tiff", folder / "exported")
    unpacked = Reader("all", source=exported, **given)
    again = Reader("all", source=exported, **given)
    assert [sample["name"] for sample in unpacked] == fetched.names
    assert all((a == b).all() for a, b in zip(again.images, fetched.images, strict=True))
    code, said = bmgd("verify", "--source", mirror, "--stiffness", "950")
    assert code == 0, said
    code, said = bmgd("clean", "--all", "--yes")
    assert code == 1, said
    assert "cannot be removed: in use. Close programs that use it" in said, said
    assert fetched[0]["image"].any(), "what was open is whole"
    del fetched, unpacked, again
    code, said = bmgd("clean", "--all", "--yes")
    assert code == 0, said
    left = [path for path in (folder / "root").rglob("*") if path.is_file()]
    assert not left, left


def impoverish() -> None:
    """Remove it for this package, not for libraries, which know the system."""
    for name in ("cli", "export", "_origin.fetch", "phantom", "reader"):
        importlib.import_module(f"bmgd_data.{name}")
    for name in ("pooch", "py7zr", "requests", "typer.testing"):
        importlib.import_module(name)
    warnings.filterwarnings("error", category=EncodingWarning, module=r"bmgd_data\b")
    for name in ("rename", "replace", "remove", "unlink", "rmdir"):
        setattr(os, name, refusing(getattr(os, name)))
    has = {name: value for name, value in vars(os).items() if name not in FUNCTIONS}
    poor = types.SimpleNamespace(**has | {"name": "nt", "open": opening(os.open)})
    for name, module in sys.modules.items():
        if name.startswith("bmgd_data") and getattr(module, "os", None) is os:
            module.os = poor


def refusing(function):
    """The function, as on systems that lock open files."""

    def refuse(*paths, **options):
        folder = options.get("dir_fd", options.get("src_dir_fd"))
        at = Path(f"/proc/self/fd/{folder}") if folder is not None else Path()
        for path in paths:
            full = os.path.realpath(at / os.fspath(path))
            for used in in_use():
                if used == full or used.startswith(full + os.sep):
                    raise PermissionError(errno.EACCES, "in use", used)
        return function(*paths, **options)

    return refuse


def in_use() -> set[str]:
    """Files that this process has open or mapped."""
    opened = {path.resolve() for path in Path("/proc/self/fd").iterdir()}
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    mapped = {line.split(maxsplit=5)[5] for line in maps if " /" in line}
    return {str(path) for path in opened if path.is_file()} | mapped


def opening(function):
    """os.open, as on systems that cannot open folders or fsync files opened for reading."""

    def open_(path, flags, *rest, **options):
        if Path(path).is_dir() or not flags & (os.O_RDWR | os.O_WRONLY):
            raise PermissionError(errno.EACCES, "as Windows has it", str(path))
        return function(path, flags, *rest, **options)

    return open_


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
