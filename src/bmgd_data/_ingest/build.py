"""From the files of a condition to its store: decode, check, label, write, all in one pass.

Files come as a stream (in a solid archive: all images, then all masks) and each is written straight
to its place in the arrays, so memory does not grow with the number of images. One thread decodes
the archive while another handles its files.
"""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from bmgd_data import __version__
from bmgd_data._ingest import pairing
from bmgd_data._ingest.conclusion import conclude
from bmgd_data._ingest.writer import StoreWriter
from bmgd_data._store import store
from bmgd_data._system import disk
from bmgd_data.errors import CorruptArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from bmgd_data import facts
    from bmgd_data._container.members import Files

_WAITING_BYTES: Final = 2**22
_PARTICULARS: Final = re.compile(r"\(.*?\)|\S*[\d/]\S*")
"""What differs between equal faults: numbers, shapes, names of files."""
_SHOWN: Final = 3
_KINDS: Final = 20
_BUILT_WITH: Final = ("imagecodecs", "numpy", "py7zr", "scipy", "tifffile")


def build(
    files: Files,
    condition: facts.Condition,
    key: str,
    final: Path,
    progress: Callable[[int], object] | None = None,
    *,
    check: Callable[[], object] | None = None,
) -> None:
    """Make the store of one condition from its archive or folder.

    Args:
        files: The open archive or folder.
        condition: Which condition it holds.
        key: Identifies what the store is built from.
        final: The store's folder; it appears whole or not at all.
        progress: Called with the number of members done since the last call.
        check: Called when all is read and nothing is kept yet; its errors come through.

    Raises:
        CorruptArchiveError: The stream or members are damaged; lists all faults.
        StorageError: The disk is full or not writable.
    """
    plan = pairing.pair_up((member.path for member in files.members), condition)
    if plan.damage:
        raise _damage(files, condition, plan.damage)
    with disk.staged(final) as folder, StoreWriter(plan, folder) as writer:
        with _in_background(writer.take) as hand_over:

            def sink(path: str, data: bytes) -> None:
                hand_over(path, data)
                if progress is not None:
                    progress(1)

            files.stream(sink)
        if check is not None:
            check()
        if faults := writer.faults():
            raise _damage(files, condition, _grouped(faults), len(faults))
        counts, described = conclude(writer, condition)
        arrays = [store.IMAGES, store.MASKS, *(f"{method}/{store.LABELS}" for method in counts)]
        with ThreadPoolExecutor() as pool:
            digests = dict(
                zip(arrays, pool.map(lambda name: disk.sha256(folder / name), arrays), strict=True)
            )
        for method, per_image in counts.items():
            store.write_side(folder / method, per_image, digests.pop(f"{method}/{store.LABELS}"))
        index = store.Index(
            format=store.FORMAT,
            condition=condition.name,
            key=key,
            digests=digests,
            versions={"bmgd-data": __version__, **{name: version(name) for name in _BUILT_WITH}},
            **described,
        )
        store.write_index(folder, asdict(index))


def _damage(
    files: Files, condition: facts.Condition, lines: Sequence[str], count: int = 0
) -> CorruptArchiveError:
    path, folder = files.path, condition.archive.removesuffix(".7z")
    if not files.unpacks:
        then = "Fix or remove the files named, or unpack the archive again, and read again."
    else:
        then = (
            f'Unpack it with `python -m {files.unpacks} "{path}" "{folder}"`, fix or remove the '
            f'files named in that folder, and read it with source="{folder}". If it is upstream\'s '
            "own archive, please report this message; `bmgd download --accept-changed` fetches it "
            "again once it is fixed there."
        )
    found = [f"{path} cannot be used; {count or len(lines)} fault(s) found:", *lines]
    return CorruptArchiveError(
        "\n  ".join(found) + f"\n{then}\nWhat cannot be fixed can be converted: see "
        '`bmgd_data.export.write_canonical` and the page "When the data looks different" of the '
        "documentation."
    )


def _grouped(faults: Sequence[str]) -> list[str]:
    """One line for the faults of many files that differ in numbers and names only."""
    alike: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for fault in faults:
        path, _, why = fault.partition(": ")
        alike[_PARTICULARS.sub("", why)].append((path, why))
    lines = []
    for group in alike.values():
        paths = ", ".join(path for path, _ in group[:_SHOWN])
        many = f"{len(group)} files, e.g. {paths}" if len(group) > _SHOWN else paths
        lines.append(f"{many}: {group[0][1]}")
    more = [f"and {len(lines) - _KINDS} other kinds of faults"] if len(lines) > _KINDS else []
    return lines[:_KINDS] + more


@contextlib.contextmanager
def _in_background(work: Callable[[str, bytes], None]) -> Iterator[Callable[[str, bytes], None]]:
    """Run `work` on what is handed over, in order, in another thread; raise its errors here."""
    waiting: deque[tuple[Future[None], int]] = deque()

    def settle(most: int) -> None:
        while sum(size for _, size in waiting) > most:
            waiting.popleft()[0].result()

    with ThreadPoolExecutor(1, "bmgd-build", initializer=_prepare) as thread:

        def hand_over(path: str, data: bytes) -> None:
            waiting.append((thread.submit(work, path, data), 1 + len(data)))
            settle(_WAITING_BYTES)  # large files do not pile up

        yield hand_over
        settle(0)


def _prepare() -> None:
    """Import what masks need while images are still being decoded; it takes most of a second."""
    with contextlib.suppress(ImportError):  # the import that needs it says why
        import scipy.ndimage  # noqa: F401
