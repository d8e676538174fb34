"""What `bmgd verify` and `bmgd checksums` find and show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bmgd_data import _pipeline, facts
from bmgd_data._origin import sources, trust
from bmgd_data._pipeline import Wanted
from bmgd_data._system import disk, home
from bmgd_data._system.progress import bar
from bmgd_data.cli import console
from bmgd_data.cli.console import say
from bmgd_data.errors import BMGDError, DatasetNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from bmgd_data._store.store import Store

_MEANING: Final = trust.MEANING | {"changed": "not what it was when it was read; see below"}
_WORTH: Final = {"pinned": "the pinned one", "not the pinned one": "not the pinned one"}


def wanted(
    root: Path | None, source: str | None, stiffness: list[str] | None = None
) -> list[Wanted]:
    """The conditions that options name."""
    named, folder = sources.resolve(source), home.root(root)
    return [Wanted(folder, named, each) for each in facts.parse_stiffness(stiffness)]


@dataclass
class Finding:
    """What was found of one condition."""

    wanted: Wanted
    store: Store | None = None  # if it can be opened
    trusted: str = "-"  # a key of `_MEANING`
    size: int = 0  # bytes that were read again
    missing: str = ""  # why it is not here
    changed: list[str] = field(default_factory=list)  # of what this package keeps
    faults: list[str] = field(default_factory=list)  # messages on other faults
    doubted: bool = False  # whether samples may be wrong

    @property
    def state(self) -> str:
        """The outcome, in two words."""
        if self.missing:
            return "not here"
        if self.changed or (self.store and self.faults):
            return "changed"
        if self.faults:
            return "damaged"
        return "in doubt" if self.doubted else "ok"

    @property
    def row(self) -> list[str]:
        """Its row in the table."""
        counted = ["-", "-", "-"]
        if self.store is not None:
            index, regions = self.store.index, sum(self.store.instances("components").counts)
            counted = [str(len(self.store)), str(regions), f"{index.minimum}..{index.maximum}"]
        return [self.wanted.condition.name, *counted, self.trusted, self.state]


def examine(wanted: Wanted) -> Finding:
    """Read all data of a condition again, without the network.

    Arrays are compared with the digests from when they were built, and the archive, if it is still
    here, with its sha256 then. Local sources that were never read are read now.
    """
    finding = Finding(wanted)
    try:
        opened = _pipeline.open_store(wanted, download=False, unaccepted=True)
        finding.size = disk.size_of(opened.path)
        with bar(f"checking {wanted.condition.name}", finding.size, in_bytes=True) as progress:
            finding.changed = opened.verify(progress)
        origin = _pipeline.origin_of(wanted)
        if origin.changed_since(opened.index.key):
            what = f"{origin.shown} has changed since it was read"
            if wanted.source.remote:
                finding.changed.append(what)
            else:
                command = sources.command("download", [wanted])
                finding.faults.append(
                    f"{what}, though its size and date have not. Get the right one, or take this "
                    f"one with `{command} --accept-changed`."
                )
        finding.store = opened
        known = origin.status(opened.index.key)
        finding.trusted = "changed" if finding.changed or finding.faults else known
    except DatasetNotFoundError as error:
        finding.missing = str(error)
    except BMGDError as error:
        finding.faults.append(str(error))
    return finding


def show(findings: Sequence[Finding]) -> None:
    """Print a table, how to read it, and every note; nothing if no data is here."""
    if all(finding.missing for finding in findings):
        return
    wanted = findings[0].wanted
    say(f"{wanted.source.label}, kept in {wanted.root}")
    wrong = {n: "bold red" for n, finding in enumerate(findings) if finding.state != "ok"}
    titles = ("stiffness", ">images", ">components", ">values", "trust", "state")
    console.show(titles, [finding.row for finding in findings], styles=wrong)
    stores = [finding.store for finding in findings if finding.store is not None]
    if stores and all(len(store) == store.condition.images for store in stores):
        say("images: as many as the paper counts.")
    say("components: connected regions in the masks; nuclei that touch count as one.")
    for line in meanings(finding.trusted for finding in findings if finding.store is not None):
        say(line)
    for store in stores:
        if store.has("provided"):
            labels = sum(store.instances("provided").counts)
            say(f"{store.condition.name}: the archive has labels of {labels} nuclei too.")
    notes = [f"  {store.condition.name}: {note}" for store in stores for note in store.index.notes]
    for line in ("", "Notes (harmless):" if notes else "No notes.", *notes):
        say(line)


def complaints(findings: Sequence[Finding]) -> list[str]:
    """A message on all that has changed, is damaged, or is missing."""
    messages = [fault for finding in findings for fault in finding.faults]
    if changed := [what for finding in findings for what in finding.changed]:
        messages.append(
            "\n  ".join(["Not what was kept:", *changed]) + "\n`bmgd clean --stores` removes the "
            "arrays, and `bmgd download` makes them again; it fetches changed archives again."
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


def meanings(statuses: Iterable[str]) -> list[str]:
    """A line on each word that was used, once."""
    return [f"{status}: {_MEANING[status]}." for status in dict.fromkeys(statuses)]


def seen_archives(all_wanted: Sequence[Wanted]) -> dict[str, tuple[str, str]]:
    """The digest of each archive that was seen of a source, and a line on its trust.

    Raises:
        DatasetNotFoundError: No archive was seen.
        ValueError: The source is generated.
    """
    source, root = all_wanted[0].source, all_wanted[0].root
    if source.generated:
        raise ValueError(
            "Generated data has no checksums: it is known by its parameters. Name another "
            "--source, or leave it out for upstream."
        )
    found = {}
    for wanted in all_wanted:
        seen, archive = trust.recall(wanted.note), wanted.condition.archive
        if seen is not None and not seen.unpacked:
            word = trust.status(source, wanted.condition, seen.key, unpacked=False)
            worth = _WORTH.get(word, "not compared with anything yet")
            line = f"{archive}: seen on {seen.first_seen} from {seen.source}; {worth}"
            found[archive] = seen.key, line
    if not found:
        raise DatasetNotFoundError(
            f"No archive of {source.label} was seen by {root}. Run `bmgd download` "
            "first, with the same --source and --root; an unpacked folder has no archives."
        )
    return found
