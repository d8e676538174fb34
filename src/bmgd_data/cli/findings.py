"""What `bmgd verify` and `bmgd checksums` tell: what was compared with what, and the outcome."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bmgd_data import pipeline
from bmgd_data._origin import trust
from bmgd_data._store import acceptance
from bmgd_data._system import disk
from bmgd_data._system.progress import bar
from bmgd_data.cli import console
from bmgd_data.errors import BMGDError, DatasetNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bmgd_data._origin.origin import Origin
    from bmgd_data._origin.trust import Seen
    from bmgd_data._store.acceptance import Doubt
    from bmgd_data._store.store import Store
    from bmgd_data.pipeline import Wanted

MEANING: Final = trust.MEANING | {"changed": "not what it was when it was read; see below"}
"""What is said about where the data comes from."""

COLUMNS: Final = (
    *("", ">images", ">pairs /paper", ">components /paper", ">values"),
    *("sha256", "trust", ">labels"),
)


@dataclass
class Finding:
    """What was found of one condition."""

    wanted: Wanted
    row: list[str] = field(default_factory=list)
    """For `COLUMNS`; empty where it is missing or cannot be opened."""
    notes: list[str] = field(default_factory=list)
    """Harmless."""
    store: Store | None = None
    """The open store, where there is one."""
    status: str = ""
    """How far its origin can be trusted: a word of `MEANING`, or "changed"."""
    size: int = 0
    """Bytes that were read again."""
    missing: str = ""
    """Why it is not here."""
    changed: list[str] = field(default_factory=list)
    """What has changed of what this package keeps."""
    faults: list[str] = field(default_factory=list)
    """Whole messages on what else is wrong."""


def examine(wanted: Wanted) -> Finding:
    """Read all that is kept of a condition again, without the network.

    The arrays are compared with the digests taken when they were built, and the archive, where it
    is still there, with the sha256 it had then. Local sources that were never read are read now.
    """
    finding = Finding(wanted)
    try:
        opened = pipeline.open_store(wanted, download=False, unaccepted=True)
        finding.store = opened
        finding.size = disk.size_of(opened.path)
        finding.notes = opened.index.notes
        with bar(f"checking {wanted.condition.name}", in_bytes=True) as progress:
            progress.start_over(finding.size)
            finding.changed = opened.verify(progress)
        origin = pipeline.origin_of(wanted)
        if origin.changed_since(opened.index.key):
            _say_changed(finding, origin)
        known = status(origin, opened.index.key)
        finding.status = "changed" if finding.changed or finding.faults else known
        finding.row = _row(opened, finding.status)
    except DatasetNotFoundError as error:
        finding.missing = str(error)
    except BMGDError as error:
        finding.faults.append(str(error))
    return finding


def status(origin: Origin, key: str) -> str:
    """How far a digest can be trusted: a word of `MEANING`."""
    wanted = origin.wanted
    return trust.status(wanted.source, wanted.condition, key, unpacked=origin.unpacked)


def _say_changed(finding: Finding, origin: Origin) -> None:
    what, wanted = f"{origin.shown} has changed since it was read", finding.wanted
    if wanted.source.remote:
        finding.changed.append(what)
    else:
        finding.faults.append(
            f"{what}, though its size and date have not. Get the right one, or take this one with "
            f"`bmgd download --source {shlex.quote(wanted.source.label)} --stiffness "
            f"{wanted.condition.name} --accept-changed`."
        )


def _row(opened: Store, status: str) -> list[str]:
    index, condition = opened.index, opened.condition
    regions = sum(opened.instances("components").counts)
    brought = opened.has("provided")
    return [
        condition.name,
        str(index.images),
        f"{len(opened)}/{condition.images}",
        f"{regions}/{condition.nuclei}",
        f"{index.minimum}..{index.maximum}",
        index.key[:6],
        status,
        str(sum(opened.instances("provided").counts)) if brought else "none",
    ]


def remarks(findings: Sequence[Finding]) -> list[str]:
    """What stands below the table: how to read it, and every note in full."""
    lines = [
        "pairs: images with their masks.",
        "components: connected regions in the masks; fewer than nuclei where some touch.",
        "labels: instance labels that the archive brought along.",
        *meanings(finding.status for finding in findings),
    ]
    notes = [
        f"  {finding.wanted.condition.name}: {what}"
        for finding in findings
        for what in finding.notes
    ]
    return [*lines, "", "Notes (harmless):" if notes else "No notes.", *notes]


def doubts(findings: Sequence[Finding]) -> list[Doubt]:
    """What may make samples wrong, and was not accepted."""
    return acceptance.doubts(_stores(findings))


def accept(findings: Sequence[Finding]) -> list[Doubt]:
    """Record that the doubts were looked at; returns them."""
    return acceptance.accept(_stores(findings))


def _stores(findings: Sequence[Finding]) -> list[Store]:
    return [finding.store for finding in findings if finding.store is not None]


def meanings(statuses: Iterable[str]) -> list[str]:
    """A line on each word that was used, once."""
    return [f"{status}: {MEANING[status]}." for status in dict.fromkeys(statuses)]


def complaints(findings: Sequence[Finding]) -> list[str]:
    """A message on everything that has changed, is damaged, or is missing."""
    messages = [fault for finding in findings for fault in finding.faults]
    if changed := [what for finding in findings for what in finding.changed]:
        messages.append(
            "\n  ".join(["Not what was kept:", *changed]) + "\n`bmgd clean --stores` removes the "
            "arrays, and `bmgd download` makes them anew; it fetches changed archives again."
        )
    missing = [finding for finding in findings if finding.missing]
    if len(missing) > 1 and missing[0].wanted.source.remote:
        names = ", ".join(finding.wanted.condition.name for finding in missing)
        wanted = missing[0].wanted
        messages.append(
            f"Not here: {names} of {wanted.source.label}, in {wanted.root}. Run `bmgd download`, "
            "or say what to verify with --stiffness, --source or --root."
        )
    else:
        messages += [finding.missing for finding in missing]
    return messages


def verdict(findings: Sequence[Finding]) -> str:
    """A sentence that says no more than was compared; for findings without complaint."""
    size = console.size(sum(finding.size for finding in findings))
    return f"{size} read again, and as they were when they were built."


def seen_archives(all_wanted: Iterable[Wanted]) -> dict[str, Seen]:
    """What was seen of a source's archives, by archive name.

    Raises:
        DatasetNotFoundError: Nothing was seen.
        ValueError: The source is generated.
    """
    found = {}
    for wanted in all_wanted:
        if wanted.source.generated:
            raise ValueError(
                "Generated data has no checksums: it is known by its parameters. Name another "
                "--source, or leave it out for upstream."
            )
        seen = trust.recall(wanted.note)
        if seen is not None and not seen.unpacked:
            found[wanted.condition.archive] = seen
    if not found:
        raise DatasetNotFoundError(
            f"No archive of {wanted.source.label} was seen by {wanted.root}. Run `bmgd download` "
            "first, with the same --source and --root; an unpacked folder has no archives."
        )
    return found


def worth(all_wanted: Iterable[Wanted], found: dict[str, Seen]) -> list[str]:
    """How far each of these digests can be trusted, in a line."""
    lines = []
    for wanted in all_wanted:
        if seen := found.get(wanted.condition.archive):
            word = trust.status(wanted.source, wanted.condition, seen.key, unpacked=False)
            lines.append(
                f"{wanted.condition.archive}: seen on {seen.first_seen} from {seen.source}; "
                f"{_WORTH[word]}"
            )
    return lines


_WORTH: Final = {
    "pinned": "the pinned one",
    "not the pinned one": "not the pinned one",
    "first-seen": "not compared with anything yet",
    "not compared": "not compared with anything yet",
}
