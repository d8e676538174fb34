"""Fetch, verify, list and remove the data kept below a root: what the commands of `bmgd` call.

>>> from bmgd_data import upkeep
>>> [ready] = upkeep.download("1200Pa", source="phantom")
>>> upkeep.verify("1200Pa", source="phantom").ok
True
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from bmgd_data import _pipeline, facts
from bmgd_data import instances as instance_methods
from bmgd_data._origin import sources, trust
from bmgd_data._pipeline import Wanted
from bmgd_data._store import acceptance, derived
from bmgd_data._system import disk, home, locks
from bmgd_data._system.progress import bar
from bmgd_data._tables import Grid
from bmgd_data.errors import BMGDError, DatasetNotFoundError, StorageError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from bmgd_data._store.store import Store
    from bmgd_data.facts import Stiffness

    AnyPath = str | os.PathLike[str]

__all__ = [
    "KINDS",
    "MEANING",
    "Checked",
    "Checksum",
    "Kept",
    "Prepared",
    "Verification",
    "checksums",
    "download",
    "kept",
    "remove",
    "verify",
]

KINDS: Final = tuple(home.KINDS)
"""Kinds of what is kept."""
MEANING: Final = trust.MEANING | {"changed": "not what it was when it was read; see below"}
"""The words for trust, explained."""

_REPLACED: Final = ", replaced"


class Prepared(NamedTuple):
    """One stiffness that is ready to be read."""

    stiffness: str
    images: int
    key: str
    """sha256 of the archive; of a folder, over its files; of generated data, over its parameters"""
    trust: str
    """A key of `MEANING`."""
    labels_kept: bool
    """Whether the instance labels are kept; they are not where the root is read-only."""


def download(
    stiffness: Stiffness | Iterable[Stiffness] | None = None,
    *,
    root: AnyPath | None = None,
    source: AnyPath | None = None,
    instances: str = "components",
    accept_changed: bool = False,
    each: Callable[[Prepared], object] | None = None,
) -> list[Prepared]:
    """Fetch missing data, check it, and prepare it for reading, with its instance labels.

    Args:
        stiffness: One or several, as `Reader` takes them. None: all four.
        root: Folder that data is kept in. None: BMGD_HOME, or the user's cache folder.
        source: As `Reader` takes it. None: BMGD_SOURCE, or upstream.
        instances: The method whose labels are computed and kept.
        accept_changed: Fetch again, and trust the archive even if it differs from the first one;
            pins still bind, and the old data is kept.
        each: Called with each stiffness as soon as it is ready; a later one may still fail.

    Raises:
        ValueError: An invalid argument; the message lists the valid values.
        BMGDError: As from `Reader`.
    """
    method = instance_methods.parse_method(instances)
    all_wanted = _wanted(stiffness, root, source)
    ready: list[Prepared] = []
    stores: list[Store] = []
    try:
        for wanted in all_wanted:
            opened = _pipeline.open_store(wanted, accept_changed=accept_changed)
            stores.append(opened)
            key = opened.index.key
            trusted = _pipeline.origin_of(wanted).status(key)
            row = Prepared(wanted.condition.name, len(opened), key, trusted, labels_kept=False)
            try:
                labels = derived.labelled(opened, method, wanted.root)
                row = row._replace(labels_kept=bool(labels.digest))
            finally:
                ready.append(row)
                if each is not None:
                    each(row)
    finally:
        acceptance.warn_of_doubts(stores, _pipeline.verify_command(all_wanted))
    return ready


@dataclass
class Checked:
    """What `verify` found of one stiffness."""

    stiffness: str
    images: int | None = None
    """None if the store cannot be opened; likewise the next two."""
    components: int | None = None
    """Connected regions in the masks; nuclei that touch count as one."""
    values: tuple[int, int] | None = None
    """The smallest and the largest pixel."""
    trust: str = "-"
    """A key of `MEANING`, or "-"."""
    size: int = 0
    """Bytes that were read again."""
    provided: int | None = None
    """Nuclei in the label images of the archive, if it has any."""
    notes: list[str] = field(default_factory=list)
    """What is unusual and harmless."""
    missing: str = ""
    """Why it is not here."""
    changed: list[str] = field(default_factory=list)
    """What has changed of the data that is kept."""
    faults: list[str] = field(default_factory=list)
    """Messages on other faults."""
    doubted: bool = False
    """Whether samples may be wrong."""

    @property
    def state(self) -> str:
        """The outcome: "ok", "in doubt", "changed", "damaged" or "not here"."""
        if self.missing:
            return "not here"
        if self.changed or (self.images is not None and self.faults):
            return "changed"
        if self.faults:
            return "damaged"
        return "in doubt" if self.doubted else "ok"


class Verification(NamedTuple):
    """What `verify` found."""

    source: str
    root: Path
    rows: list[Checked]
    doubts: list[str]
    """What may make samples wrong; with ``accept=True``, what is accepted from now on."""
    errors: list[str]
    """A message on all that has changed, is damaged, is not here, or is in doubt."""

    @property
    def ok(self) -> bool:
        """Whether everything is here, unchanged and free of doubts."""
        return not self.errors

    def grid(self) -> Grid:
        """A line for each stiffness, for people."""
        return Grid(
            ("stiffness", ">images", ">components", ">values", "trust", "state"),
            [
                [
                    row.stiffness,
                    *("-" if n is None else str(n) for n in (row.images, row.components)),
                    "-" if row.values is None else "{}..{}".format(*row.values),
                    *(row.trust, row.state),
                ]
                for row in self.rows
            ],
            ["components: connected regions in the masks; nuclei that touch count as one."],
            f"{self.source}, kept in {self.root}",
        )

    def __repr__(self) -> str:
        return "\n".join([self.grid().caption, self.grid().to_text(), *self.doubts, *self.errors])


def verify(
    stiffness: Stiffness | Iterable[Stiffness] | None = None,
    *,
    root: AnyPath | None = None,
    source: AnyPath | None = None,
    accept: bool = False,
) -> Verification:
    """Read all data again and compare it with its digests; nothing is downloaded.

    Arrays are compared with the digests from when they were built, and the archive, if it is still
    here, with its sha256 then. Local sources that were never read are read now.

    Args:
        stiffness: One or several, as `Reader` takes them. None: all four.
        root: Folder that data is kept in. None: BMGD_HOME, or the user's cache folder.
        source: As `Reader` takes it. None: BMGD_SOURCE, or upstream.
        accept: Record that a user has checked the doubts, and the samples are right.

    Raises:
        ValueError: An invalid argument; the message lists the valid values.
        DatasetNotFoundError: The source names a path that does not exist.
    """
    all_wanted = _wanted(stiffness, root, source)
    examined = [_examine(wanted) for wanted in all_wanted]
    rows = [row for row, _ in examined]
    stores = [store for _, store in examined if store is not None]
    doubts = acceptance.doubts(stores)
    errors = _errors(all_wanted, rows)
    if accept:
        acceptance.accept(stores)
    elif doubts:
        for row, store in examined:
            row.doubted = any(store in doubt.stores for doubt in doubts)
        errors.append(
            "Some samples may be wrong; see the doubts above. Look at the images and masks that "
            f"are named. If they are right: `{_pipeline.verify_command(all_wanted)} --accept`"
        )
    label, kept_in = all_wanted[0].source.label, all_wanted[0].root
    return Verification(label, kept_in, rows, [doubt.text for doubt in doubts], errors)


def _examine(wanted: Wanted) -> tuple[Checked, Store | None]:
    row, opened = Checked(wanted.condition.name), None
    try:
        opened = _pipeline.open_store(wanted, download=False, unaccepted=True)
        row.size = disk.size_of(opened.path)
        with bar(f"checking {wanted.condition.name}", row.size, in_bytes=True) as progress:
            row.changed = opened.verify(progress)
        origin = _pipeline.origin_of(wanted)
        if origin.changed_since(opened.index.key):
            what = f"{origin.shown} has changed since it was read"
            if wanted.source.remote:
                row.changed.append(what)
            else:
                command = sources.command("download", [wanted])
                row.faults.append(
                    f"{what}, though its size and date have not. Get the right one, or take this "
                    f"one with `{command} --accept-changed`."
                )
        index = opened.index
        row.components = sum(opened.instances("components").counts)
        row.images, row.values, row.notes = len(opened), (index.minimum, index.maximum), index.notes
        row.trust = "changed" if row.changed or row.faults else origin.status(index.key)
        if opened.has("provided"):
            row.provided = sum(opened.instances("provided").counts)
    except DatasetNotFoundError as error:
        row.missing = str(error)
    except BMGDError as error:
        row.faults.append(str(error))
    return row, opened if row.images is not None else None


def _errors(all_wanted: list[Wanted], rows: list[Checked]) -> list[str]:
    """A message on all that has changed, is damaged, or is missing."""
    messages = [fault for row in rows for fault in row.faults]
    if changed := [what for row in rows for what in row.changed]:
        messages.append(
            "\n  ".join(["Not what was kept:", *changed]) + "\n`bmgd clean --stores` removes the "
            "arrays, and `bmgd download` makes them again; it fetches changed archives again."
        )
    missing, wanted = [row for row in rows if row.missing], all_wanted[0]
    if len(missing) > 1 and wanted.source.remote:
        names = ", ".join(row.stiffness for row in missing)
        messages.append(
            f"Not here: {names} of {wanted.source.label}, in {wanted.root}. Run `bmgd download`, "
            "or say what to verify with --stiffness, --source or --root."
        )
    else:
        messages += [row.missing for row in missing]
    return messages


class Checksum(NamedTuple):
    """An archive that was seen of a source."""

    archive: str
    sha256: str
    first_seen: str
    """Date, UTC, ISO 8601."""
    source: str
    trust: str
    """A key of `MEANING`."""


def checksums(*, root: AnyPath | None = None, source: AnyPath | None = None) -> list[Checksum]:
    """The sha256 of each archive that was seen of a source, to be pinned by BMGD_CHECKSUMS.

    Args:
        root: Folder that data is kept in. None: BMGD_HOME, or the user's cache folder.
        source: As `Reader` takes it. None: BMGD_SOURCE, or upstream.

    Raises:
        DatasetNotFoundError: No archive was seen.
        ValueError: The source is generated.
    """
    all_wanted = _wanted(None, root, source)
    named = all_wanted[0].source
    if named.generated:
        raise ValueError(
            "Generated data has no checksums: it is known by its parameters. Name another "
            "source, or leave it out for upstream."
        )
    found = []
    for wanted in all_wanted:
        seen = trust.recall(wanted.note)
        if seen is not None and not seen.unpacked:
            word = trust.status(named, wanted.condition, seen.key, unpacked=False)
            row = (wanted.condition.archive, seen.key, seen.first_seen, seen.source, word)
            found.append(Checksum(*row))
    if not found:
        raise DatasetNotFoundError(
            f"No archive of {named.label} was seen by {all_wanted[0].root}. Run `bmgd download` "
            "first, with the same source and root; an unpacked folder has no archives."
        )
    return found


class Kept(NamedTuple):
    """An entry that this package keeps below a root."""

    kind: str
    """One of `KINDS`."""
    path: Path
    files: tuple[Path, ...]
    """What is removed with it: files in it, or the entry itself."""
    source: str
    """The source that it came from, if that is known."""
    size: int
    """Bytes."""


def kept(
    root: AnyPath | None = None,
    *,
    kinds: Iterable[str] = KINDS,
    source: AnyPath | None = None,
) -> list[Kept]:
    """List what this package keeps below a root; other files are never listed.

    Args:
        root: Folder that data is kept in. None: BMGD_HOME, or the user's cache folder.
        kinds: Of `KINDS`.
        source: Only what came from this source, which may no longer exist. None: all.

    Raises:
        ValueError: An unknown kind.
        StorageError: The folder cannot be read.
    """
    chosen = list(kinds)
    if unknown := [kind for kind in chosen if kind not in KINDS]:
        raise ValueError(f"Unknown kinds {unknown}. Valid: {', '.join(KINDS)}.")
    kept_in = home.root(root)
    with disk.reachable(kept_in):
        found = _all_kept(kept_in)
    if source is not None:
        found = _of_source(found, str(source))
    return [each for each in found if each.kind in chosen]


def remove(found: Iterable[Kept], *, root: AnyPath | None = None) -> int:
    """Remove entries that `kept` listed, each while no process makes it; returns their bytes.

    Nothing that a process computes is taken away from it: `remove` waits for its locks. With lock
    files, folders that are left empty go too.

    Args:
        found: What to remove, as `kept` gives it.
        root: The root that they were listed in.

    Raises:
        StorageError: Something cannot be removed.
    """
    kept_in, found = home.root(root), list(found)
    for each in found:
        if each.kind != "locks":
            _remove(kept_in, each)
    if any(each.kind == "locks" for each in found):
        for path in (path for kind, path, _ in home.kept(kept_in) if kind == "locks"):
            path.unlink(missing_ok=True)
        for folder in home.folders(kept_in):
            with contextlib.suppress(OSError):  # not empty, or not there
                folder.rmdir()
    return sum(each.size for each in found)


def _remove(root: Path, each: Kept) -> None:
    with (
        contextlib.ExitStack() as held,
        disk.reachable(root),
        disk.explained(each.path.parent),
    ):
        for name in home.lock_names(root, each.path):
            held.enter_context(locks.lock(root, name))
        for path in each.files:
            if path.is_dir():
                disk.discard(path)
            else:
                path.unlink(missing_ok=True)


def _all_kept(root: Path) -> list[Kept]:
    """All that is kept, with the sources that the notes name."""
    entries = list(home.kept(root))
    notes = [note for kind, _, files in entries if kind == "notes" for note in files]
    seen = {note: now for note in notes if (now := _recalled(note))}
    source_of = {key: now.source + _REPLACED for now in seen.values() for key in now.before}
    source_of |= {now.key: now.source for now in seen.values()}
    by_key = {key[:16]: source for key, source in source_of.items()}
    by_slug = {note.parent.name: now.source for note, now in seen.items()}
    found = []
    for kind, path, files in entries:
        name = path.name.lstrip(".")
        if kind == "stores":
            known = by_key.get(name.split("-")[1], "")
        else:
            known = next((by_slug[slug] for slug in by_slug if name.startswith(slug)), "")
        size = sum(disk.size_of(each) if each.is_dir() else each.stat().st_size for each in files)
        found.append(Kept(kind, path, files, known, size))
    return found


def _recalled(note: Path) -> trust.Seen | None:
    with contextlib.suppress(StorageError):  # unreadable notes can be removed, too
        return trust.recall(note)
    return None


def _of_source(found: list[Kept], named: str) -> list[Kept]:
    labels, slug = {named}, "-"
    with contextlib.suppress(BMGDError, ValueError):
        source = sources.resolve(named)
        labels.add(source.label)
        slug = source.slug
    return [
        each
        for each in found
        if each.source.removesuffix(_REPLACED) in labels
        or each.path.name.lstrip(".").startswith(slug)
    ]


def _wanted(
    stiffness: Stiffness | Iterable[Stiffness] | None, root: AnyPath | None, source: AnyPath | None
) -> list[Wanted]:
    kept_in = home.root(root)
    named = sources.resolve(source, kept_in)
    return [Wanted(kept_in, named, each) for each in facts.parse_stiffness(stiffness)]
