"""What can happen to processes: killed, many at once, other users, full disks.

Every child is a real process of its own; the server is real, and so are the archives.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import py7zr
import pytest

import roots
from bmgd_data import Reader, _pipeline, facts
from bmgd_data._ingest import writer
from bmgd_data._origin import fetch, sources
from bmgd_data._store import store
from bmgd_data._system import disk, home, locks
from bmgd_data.errors import BMGDWarning, StorageError
from serving import answering, send, wait_halfway  # noqa: F401 - a fixture

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals and modes")
pytestmark = [posix, pytest.mark.filterwarnings("ignore:.* was read, with notes")]

C950 = facts.CONDITIONS[1]
SUPERUSER = os.name == "posix" and os.geteuid() == 0

AS_ANOTHER_USER = """
# Permissions do not bind the superuser, so its child becomes another user as soon as it has loaded
# what another user may not be able to reach.
import os, sys
import bmgd_data._origin.fetch, bmgd_data.phantom, bmgd_data.reader
import filelock, numpy as np, py7zr, requests
from bmgd_data import instances
from bmgd_data._ingest import build
from bmgd_data._origin import sources
from bmgd_data._system import home
instances.DERIVED["watershed"](np.eye(8, dtype=bool))
sources.resolve("phantom:size=0.001")
home.root()
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
"""

READ = """
import sys, warnings
from bmgd_data import Reader
warnings.filterwarnings("ignore", ".*with notes")
source, method, *stiffness = sys.argv[1:]
reader = Reader("all", stiffness or 950, source=source, instances=method)
print(reader.digest, int(sum(reader.n_nuclei)))
"""


def child(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, **options)


def said(process: subprocess.Popen[str], seconds: float = 60) -> str:
    """The output of a child, which must succeed."""
    with process:
        out, errors = process.communicate(timeout=seconds)
    assert process.returncode == 0, errors
    return out.strip()


def read(source: object, method: str = "components") -> str:
    reader = Reader("all", 950, source=source, instances=method)
    return f"{reader.digest} {sum(reader.n_nuclei)}"


def leftovers(root: Path | None = None) -> list[str]:
    return roots.leftovers(root or home.root())


@pytest.fixture
def packed(tmp_path, write_7z, nuclei) -> bytes:
    return write_7z(tmp_path / "made" / "950 Pa.7z", nuclei()).read_bytes()


@pytest.fixture
def local(tmp_path, packed) -> Path:
    """A local folder with the same archive."""
    return tmp_path / "made"


@pytest.fixture
def one_image(monkeypatch) -> None:
    """Generated sources have the number of images of their size, not at least twelve."""
    from bmgd_data import phantom

    monkeypatch.setattr(phantom, "MIN_IMAGES", 1)


@pytest.fixture
def expected(tmp_path, local, packed) -> str:
    """The result of reading that archive undisturbed."""
    reader = Reader("all", 950, source=local, root=tmp_path / "undisturbed")
    return f"{reader.digest} {sum(reader.n_nuclei)}"


# ----------------------------------------------------------------------------------------- killed


def test_killed_while_downloading(answer, packed, expected):
    halfway, go_on = threading.Event(), threading.Event()
    url, server = answer(wait_halfway(packed, halfway, go_on), send(packed))
    with child(READ, url, "components") as process:
        assert halfway.wait(30)
        process.kill()
    go_on.set()
    assert process.returncode == -signal.SIGKILL
    assert leftovers()
    assert not _pipeline.Wanted(home.root(), sources.resolve(url), C950).archive.exists()

    assert read(url) == expected
    assert leftovers() == []
    assert len(server.asked) == 2


KILLED_AT_EVERY_STEP = """
# Forks once per step: the child kills itself when it is about to touch the root for the nth time;
# the next child must then find the right result.
import os, shutil, signal, sys, warnings
from pathlib import Path
import bmgd_data._origin.fetch, bmgd_data.phantom, requests, py7zr
import skimage.measure, scipy.ndimage, skimage.segmentation
from bmgd_data import Reader

warnings.filterwarnings("ignore", ".*with notes")
bmgd_data.phantom.MIN_IMAGES = 1
source, method, expected, root, stride = sys.argv[1:]
WATCHED = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.chmod"}

def read(die_at):
    steps = 0
    def watch(event, arguments):
        nonlocal steps
        if event in WATCHED and isinstance(arguments[0], (str, os.PathLike)):
            if os.fspath(arguments[0]).startswith(root):
                steps += 1
                if steps == die_at:
                    os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)
    reader = Reader("all", 950, source=source, instances=method, root=root)
    assert expected in ("", f"{reader.digest} {sum(reader.n_nuclei)}"), "other data"

def in_a_child(die_at):
    pid = os.fork()
    if not pid:
        try:
            read(die_at)
        except BaseException as error:
            print(die_at, repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

die_at, killed = 1, 0
while True:
    shutil.rmtree(root, ignore_errors=True)
    ended = in_a_child(die_at)
    if ended == 0:
        break
    assert ended == -signal.SIGKILL, ended
    killed += 1
    assert in_a_child(0) == 0, f"after a kill at step {die_at}"
    hidden = [str(path) for path in Path(root).rglob(".*")]
    assert not hidden, f"after a kill at step {die_at}: {hidden}"
    for kind in ("stores/*", "sources/*/*.7z", "sources/*/*.json"):
        assert len(list(Path(root).glob(kind))) in (0, 1), kind
    die_at += int(stride)
print(killed)
"""


@pytest.mark.parametrize(
    "case",
    [
        ("url", "components", 11),
        ("folder", "watershed", 17),
        pytest.param(("url", "watershed", 2), marks=pytest.mark.slow),
        pytest.param(("folder", "watershed", 1), marks=pytest.mark.slow),
        pytest.param(("phantom", "components", 2), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_killed_at_any_step_and_run_again(answer, local, tmp_path, case):
    kind, method, stride = case
    data = (local / "950 Pa.7z").read_bytes()
    source = {"url": answer(send(data))[0], "folder": local, "phantom": "phantom:size=0.02"}[kind]
    result = "" if kind == "phantom" else read(local, method)
    script = child(KILLED_AT_EVERY_STEP, source, method, result, tmp_path / "root", stride)
    assert int(said(script, 300)) * stride > 35


@pytest.mark.slow
def test_killed_after_so_many_milliseconds(tmp_path):
    """At any point, also between the steps that the other test names."""
    source = "phantom:size=0.02"
    expected = said(child(READ, source, "watershed"))
    for milliseconds in range(600, 3000, 400):
        shutil.rmtree(home.root(), ignore_errors=True)
        with child(READ, source, "watershed") as process:
            time.sleep(milliseconds / 1000)
            process.kill()
        assert said(child(READ, source, "watershed")) == expected
        assert leftovers() == []


def test_generating_is_killed_midway(monkeypatch):
    code = """
import os, signal, sys
from bmgd_data import Reader
from bmgd_data import phantom
real = phantom.generate
def generate(*arguments):
    for number, item in enumerate(real(*arguments)):
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        yield item
phantom.generate = generate
phantom.MIN_IMAGES = 3
Reader("all", 950, source="phantom:size=0.02")
"""
    with child(code) as process:
        process.wait(60)
    assert process.returncode == -signal.SIGKILL
    assert leftovers()
    monkeypatch.setattr("bmgd_data.phantom.MIN_IMAGES", 3)
    read("phantom:size=0.02")
    assert leftovers() == []


# ------------------------------------------------------------------------------------ many at once

TOGETHER = """
import sys, warnings
from bmgd_data import Reader
from bmgd_data._ingest import build
warnings.filterwarnings("ignore", ".*with notes")
source, log, *_ = sys.argv[1:]
real = build.build
def counted(*arguments, **options):
    with open(log, "a") as file:
        file.write("built\\n")
    real(*arguments, **options)
build.build = counted
import bmgd_data._origin.fetch, requests, py7zr, skimage.measure
print("ready", flush=True)
sys.stdin.readline()
reader = Reader("all", 950, source=source, instances="watershed")
print(reader.digest, int(sum(reader.n_nuclei)))
"""


def together(sources_of_children: list[object], log: Path) -> list[str]:
    """Start a child for each source at the same moment; gives their output."""
    children = [child(TOGETHER, source, log) for source in sources_of_children]
    for process in children:
        assert process.stdout.readline() == "ready\n"
    for process in children:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [said(process) for process in children]


def test_eight_processes_build_one_store(answer, packed, local, tmp_path):
    url, server = answer(send(packed))
    log = tmp_path / "log"
    results = together([url] * 8, log)
    assert len(set(results)) == 1
    assert log.read_text().split() == ["built"]
    assert len(server.asked) == 1
    assert leftovers() == []
    assert read(local, "watershed") == results[0]


@pytest.mark.slow
def test_eight_processes_with_different_sources(tmp_path, write_7z, nuclei):
    folders = [tmp_path / str(number) for number in range(8)]
    for number, folder in enumerate(folders):
        write_7z(folder / "950 Pa.7z", nuclei(count=10 + number))
    results = together(folders, tmp_path / "log")
    assert len(set(results)) == 8
    assert len(list((home.root() / "stores").iterdir())) == 8
    assert leftovers() == []


def test_eight_threads_build_one_store(answer, packed, expected, monkeypatch):
    url, server = answer(send(packed))
    built = []
    real = _pipeline.build.build
    monkeypatch.setattr(
        _pipeline.build,
        "build",
        lambda *arguments, **options: (built.append(1), real(*arguments, **options)),
    )
    start = threading.Barrier(8)

    def go(_: int) -> str:
        start.wait()
        return read(url)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(go, range(8))) == {expected}
    assert built == [1]
    assert len(server.asked) == 1
    assert leftovers() == []


def test_eight_threads_with_different_sources(tmp_path, write_7z, nuclei):
    folders = [tmp_path / str(number) for number in range(8)]
    for number, folder in enumerate(folders):
        write_7z(folder / "950 Pa.7z", nuclei(count=10 + number))
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(read, folders))) == 8
    assert leftovers() == []


def test_where_the_lock_does_not_hold_the_rename_decides(answer, packed, expected, monkeypatch):
    """Some network drives have no working locks."""
    import contextlib

    monkeypatch.setattr(locks, "lock", lambda *_: contextlib.nullcontext(enter_result=False))
    url, _ = answer(send(packed))
    start = threading.Barrier(4)

    def go(_: int) -> str:
        start.wait()
        return read(url)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(go, range(4))) == {expected}
    assert leftovers() == []


HOLD = """
import sys
from contextlib import ExitStack
from bmgd_data._system import home, locks
with ExitStack() as held:
    for name in sys.argv[1:]:
        held.enter_context(locks.lock(home.root(), name))
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_an_existing_store_is_opened_without_a_lock(answer, packed, local):
    url, _ = answer(send(packed))
    for source in (url, local):
        read(source)
    names = [path.stem for path in (home.root() / "locks").iterdir()]
    assert len(names) == 3
    with child(HOLD, *names) as holder, ThreadPoolExecutor(1) as pool:
        assert holder.stdout.readline() == "held\n"
        try:
            for source in (url, local):
                pool.submit(read, source).result(timeout=20)
            # The lock is truly held: a process that must build waits for it.
            shutil.rmtree(next((home.root() / "stores").iterdir()))
            waiting = pool.submit(read, url)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.5)
        finally:
            holder.stdin.write("\n")
            holder.stdin.flush()
        waiting.result(timeout=20)


# ---------------------------------------------------------------------------------------- two users


@pytest.fixture
def shared(monkeypatch):
    """A root that other users can reach, unlike pytest's own folders."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = Path(folder) / "root"
        monkeypatch.setenv("BMGD_HOME", str(root))
        yield root
        for path in [root, *root.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize("mask", [0o002, 0o077])
def test_the_umask_says_what_others_may(answer, packed, shared, umask, mask):
    umask(mask)
    read(answer(send(packed))[0], "watershed")
    folders = [path for path in [shared, *shared.rglob("*")] if path.is_dir()]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in folders}
    assert set(modes.values()) == {0o777 & ~mask}
    files = {
        path: stat.S_IMODE(path.stat().st_mode) for path in shared.rglob("*") if path.is_file()
    }
    assert {path.suffix for path in files} == {".7z", ".json", ".npy", ".lock"}
    assert set(files.values()) == {0o666 & ~mask}


def ask(method: str, source: object, *stiffness: object) -> tuple[str, str]:
    """The output and errors of another user's process."""
    with child(AS_ANOTHER_USER + READ, source, method, *stiffness) as process:
        out, errors = process.communicate(timeout=60)
    return out.strip(), errors


def close(root: Path) -> None:
    """Make the root read-only; the child does not have the superuser's permissions."""
    for path in [root, *root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def test_another_user_reads_what_is_built(answer, packed, shared, umask):
    url, server = answer(send(packed))
    result = read(url)
    close(shared)
    assert ask("components", url) == (result, "")
    assert len(server.asked) == 1


def test_a_read_only_root_needs_no_up_to_date_note(packed, shared, umask):
    """The local archive has another time of change than was noted; noting it is not possible."""
    archive = shared.parent / "data" / "950 Pa.7z"
    archive.parent.mkdir()
    archive.write_bytes(packed)
    result = read(archive.parent)
    os.utime(archive, (1, 1))
    close(shared)
    assert ask("components", archive.parent) == (result, "")


def test_what_is_missing_is_computed_in_memory_with_one_warning(answer, packed, shared, umask):
    url, _ = answer(send(packed))
    result = read(url)
    close(shared)
    out, errors = ask("watershed", url)
    assert out.startswith(result.split()[0])
    assert errors.count("BMGDWarning") == 1
    assert "full or cannot be written: instances='watershed' are computed in memory" in errors
    assert read(url) == result
    assert leftovers(shared) == []


@pytest.mark.usefixtures("one_image")
def test_one_warning_for_all_conditions(shared, umask):
    Reader("all", [250, 950], source="phantom:size=0.001")
    close(shared)
    out, errors = ask("watershed", "phantom:size=0.001", 250, 950)
    assert out
    assert errors.count("BMGDWarning") == 1


def test_a_root_that_may_not_be_written_says_what_to_do(answer, packed, shared, umask):
    url, server = answer(send(packed))
    shared.mkdir()
    close(shared)
    out, errors = ask("components", url)
    assert out == ""
    assert "StorageError: Cannot write to" in errors
    assert "Set BMGD_HOME" in errors
    assert server.asked == []


@pytest.mark.parametrize("kind", ["url", "phantom"])
@pytest.mark.usefixtures("one_image")
def test_a_private_root_of_another_user_says_what_to_do(answer, packed, shared, umask, kind):
    source = answer(send(packed))[0] if kind == "url" else "phantom:size=0.001"
    umask(0o077)
    read(source)
    if not SUPERUSER:
        shared.chmod(0)
    out, errors = ask("components", source)
    assert out == ""
    assert "StorageError: Cannot write to" in errors
    assert "Set BMGD_HOME" in errors


@pytest.mark.parametrize("part", ["sources", "stores"])
def test_a_private_folder_in_a_shared_root_says_what_to_do(answer, packed, shared, umask, part):
    """As after a run with a stricter umask."""
    url, _ = answer(send(packed))
    read(url)
    for path in shared.rglob("*"):
        path.chmod(0o777 if path.is_dir() else 0o666)
    next((shared / "sources").glob("*/*.json")).unlink()
    next((shared / part).iterdir()).parent.chmod(0o600 if SUPERUSER else 0)
    out, errors = ask("components", url)
    assert out == ""
    assert "StorageError: Cannot write below" in errors
    assert "BMGD_HOME" in errors


def test_a_local_source_that_may_not_be_read(shared, umask):
    folder = shared.parent / "private" / "data"
    folder.mkdir(parents=True)
    folder.chmod(0)
    try:
        _, errors = ask("components", folder)
        assert "CorruptArchiveError" in errors
        assert "cannot be read (Permission denied)" in errors
        folder.parent.chmod(0)
        _, errors = ask("components", folder)
        assert "DatasetNotFoundError" in errors
        assert "may not be read" in errors
    finally:
        folder.parent.chmod(0o700)
        folder.chmod(0o700)


# ------------------------------------------------------------------------------------ a root removed


@pytest.mark.parametrize("when", ["while decoding", "after the download"])
def test_a_root_that_is_removed_while_building_says_so(answer, packed, expected, monkeypatch, when):
    owner, name = {
        "while decoding": (writer.StoreWriter, "faults"),
        "after the download": (fetch, "download"),
    }[when]
    real = getattr(owner, name)

    def remove(*arguments: object) -> object:
        result = real(*arguments)
        shutil.rmtree(home.root())
        return result

    url, _ = answer(send(packed))
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, remove)
        with pytest.raises(StorageError, match=r"was removed.*while.* Run it again") as raised:
            read(url)
    assert str(home.root()) in str(raised.value)
    assert read(url) == expected
    assert leftovers() == []


# ---------------------------------------------------------------------------------------- full disk


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """A real file system of so many KiB as root; call again to make it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    monkeypatch.setenv("BMGD_HOME", str(folder))
    with roots.tmpfs(folder) as mount:
        yield lambda kib: mount(f"size={kib}k")


@pytest.fixture
def big(tmp_path, write_7z, nuclei) -> bytes:
    """1.2 MB, and a store of 2 MB, 0.8 MB of it labels."""
    path, members = tmp_path / "big" / "950 Pa.7z", nuclei(count=10, side=200)
    return write_7z(path, members, filters=[{"id": py7zr.FILTER_COPY}]).read_bytes()


@pytest.fixture(params=["seen before", "hit in mid-write"])
def surprise(request, monkeypatch) -> bool:
    """Whether the disk gets full although there seemed to be room."""
    if request.param == "hit in mid-write":
        monkeypatch.setattr(disk, "require_space", lambda *_: None)
        return True
    return False


def kept(root: Path) -> set[str]:
    return {path.name for path in root.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_no_room_for_the_download(answer, big, small_disk, surprise):
    url, server = answer(send(big))
    small_disk(128)
    with pytest.raises(StorageError, match="BMGD_HOME") as raised:
        read(url)
    assert ("needed for the download" in str(raised.value)) is not surprise
    assert kept(home.root()) == set()
    assert leftovers() == []
    assert len(server.asked) == 1
    small_disk(8192)
    read(url)
    assert leftovers() == []


def test_no_room_for_the_store(answer, big, small_disk, surprise):
    url, server = answer(send(big))
    small_disk(2600)
    with pytest.raises(StorageError, match="BMGD_HOME") as raised:
        read(url)
    assert ("needed for the arrays" in str(raised.value)) is not surprise
    assert kept(home.root()) == {"950 Pa.7z"}
    assert leftovers() == []
    small_disk(8192)
    read(url)
    assert len(server.asked) == 1
    assert leftovers() == []


def test_no_room_for_more_instances(answer, big, small_disk):
    url, _ = answer(send(big))
    small_disk(8192)
    read(url)
    used = disk.size_of(home.root()) // 1024
    small_disk(used + 200)
    with pytest.warns(BMGDWarning, match="is full or cannot be written.*in memory"):
        crowded = read(url, "watershed")
    assert leftovers() == []
    small_disk(8192)
    assert read(url, "watershed") == crowded
    (folder,) = (home.root() / "stores").iterdir()
    assert store.Store(folder).verify() == []


def test_no_room_for_generated_data(small_disk):
    small_disk(64)
    with pytest.raises(StorageError, match="BMGD_HOME"):
        read("phantom:size=0.02")
    assert kept(home.root()) == set()
    assert leftovers() == []


def test_room_is_asked_for_where_mounting_is_not_possible(answer, packed, expected, monkeypatch):
    url, _ = answer(send(packed))
    usage = shutil.disk_usage(".")
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: usage._replace(free=20_000))
        with pytest.raises(StorageError, match=r"needed for the arrays.*BMGD_HOME"):
            read(url)
    assert kept(home.root()) == {"950 Pa.7z"}
    assert read(url) == expected
    assert leftovers() == []
