"""The commands that fetch, verify, list and remove data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.filesize import decimal as size
from typer import Option

from bmgd_data._system import home
from bmgd_data._tables import Grid
from bmgd_data.cli import console
from bmgd_data.cli.console import say
from bmgd_data.cli.options import Root, Source, takes
from bmgd_data.facts import CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bmgd_data.upkeep import Kept, Verification


@takes("stiffness", "root", "source", "instances")
def download(
    *,
    accept_changed: Annotated[
        bool,
        Option(
            "--accept-changed",
            help="Fetch again, and trust the archive even if it differs from the first one; pins "
            "still bind, and the old data is kept.",
        ),
    ] = False,
    data: dict[str, Any],
) -> None:
    """Fetch missing data, check it, and prepare it for reading.

    Instance labels are computed once and kept. If several users share a read-only folder, name the
    method that they will use.
    """
    from bmgd_data import upkeep

    ready: list[upkeep.Prepared] = []
    try:
        upkeep.download(**data, accept_changed=accept_changed, each=ready.append)
    finally:
        if ready:  # shown also if a later one fails
            rows = [[row.stiffness, str(row.images), row.key[:16], row.trust] for row in ready]
            console.show(Grid(("stiffness", ">images", "sha256", "trust"), rows))
    _explain(row.trust for row in ready)
    if all(row.labels_kept for row in ready):
        say(f"Labels by {data['instances']} are kept with the data.")
    say(f"\nThe data is ready in {home.root(data['root'])}.")


@takes("stiffness", "root", "source")
def verify(
    *,
    accept: Annotated[
        bool,
        Option(
            "--accept", help="Record that you have checked the doubts, and the samples are right."
        ),
    ] = False,
    data: dict[str, Any],
) -> None:
    """Read all data again and compare it with its digests; nothing is downloaded.

    The last table shows how many look-alikes each scheme puts on both sides; see `bmgd leaks`.

    The exit code is 1 if anything has changed, is damaged, is not here, or is in doubt.
    """
    from bmgd_data import upkeep
    from bmgd_data.leaks import measure
    from bmgd_data.reader import Reader

    found = upkeep.verify(**data, accept=accept)
    _show_verified(found)
    if found.doubts:
        say("\nDoubts, which are accepted from now on:" if accept else "\nDoubts:")
        for doubt in found.doubts:
            say(f"  {doubt}")
    if not found.ok:
        for text in found.errors:
            console.complain(text)
        raise typer.Exit(1)
    console.show(measure(Reader("all", download=False, **data)).schemes_grid())
    in_bytes = size(sum(row.size for row in found.rows))
    say(f"\n{in_bytes} were read again; nothing has changed since they were built.")


def _show_verified(found: Verification) -> None:
    """Print a table, how to read it, and every note; nothing if no data is here."""
    if all(row.missing for row in found.rows):
        return
    say(f"{found.source}, kept in {found.root}")
    wrong = {n: "bold red" for n, row in enumerate(found.rows) if row.state != "ok"}
    console.show(found.grid(), styles=wrong)
    read = [row for row in found.rows if row.images is not None]
    counted = {condition.name: condition.images for condition in CONDITIONS}
    if read and all(row.images == counted[row.stiffness] for row in read):
        say("images: as many as the paper counts.")
    _explain(row.trust for row in read)
    for row in read:
        if row.provided is not None:
            say(f"{row.stiffness}: the archive has labels of {row.provided} nuclei too.")
    notes = [f"  {row.stiffness}: {note}" for row in read for note in row.notes]
    for line in ("", "Notes (harmless):" if notes else "No notes.", *notes):
        say(line)


def _explain(statuses: Iterable[str]) -> None:
    """A line on each word for trust that was used, once."""
    from bmgd_data import upkeep

    for status in dict.fromkeys(statuses):
        say(f"{status}: {upkeep.MEANING[status]}.")


def checksums(root: Root = None, source: Source = None) -> None:
    """Print the sha256 of the archives seen, as a file for BMGD_CHECKSUMS, which pins them.

    Their trust is printed to the standard error stream.
    """
    from bmgd_data import upkeep

    found = upkeep.checksums(root=root, source=source)
    say(json.dumps({row.archive: row.sha256 for row in found}, indent=4))
    worth = {"pinned": "the pinned one", "not the pinned one": "not the pinned one"}
    for row in found:
        trust = worth.get(row.trust, "not compared with anything yet")
        console.remark(f"{row.archive}: seen on {row.first_seen} from {row.source}; {trust}")


def where(
    root: Root = None,
    long: Annotated[bool, Option("--long", "-l", help="Also list what is in it.")] = False,
) -> None:
    """Print the folder that data is kept in."""
    from bmgd_data import upkeep

    say(str(home.root(root)))
    if long and (found := upkeep.kept(root)):
        _list(found)
    elif long:
        say("It holds nothing of this package.")


def clean(
    *,
    root: Root = None,
    source: Annotated[
        str | None,
        Option(
            metavar="SOURCE",
            help='Only data from this source, as --source elsewhere or "from" in '
            "`bmgd where --long` names it.",
        ),
    ] = None,
    archives: Annotated[
        bool, Option("--archives", help="Downloaded or generated archives.")
    ] = False,
    stores: Annotated[
        bool, Option("--stores", help="Arrays that samples are read from; built again when needed.")
    ] = False,
    records: Annotated[
        bool, Option("--records", help="Records for TensorFlow Datasets kept here.")
    ] = False,
    everything: Annotated[
        bool, Option("--all", help="All of these, and the notes on archives seen.")
    ] = False,
    yes: Annotated[bool, Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Only show what would be removed.")] = False,
) -> None:
    """Remove data from the folder it is kept in; sources elsewhere are never touched."""
    from bmgd_data import upkeep

    chosen = {"archives": archives, "stores": stores, "records": records}
    kinds = {kind for kind, wanted in chosen.items() if wanted or everything}
    if not kinds:
        raise typer.BadParameter("Say what to remove: --archives, --stores, --records or --all.")
    kinds |= {"notes"} if everything else set()
    kept_in = home.root(root)
    found = upkeep.kept(root, kinds=kinds, source=source)
    if not found:
        of = f" of {source}" if source else ""
        say(
            f"There is nothing to remove{of} in {kept_in}. `bmgd where --long` lists what is there."
        )
        return
    say(f"To be removed from {kept_in}:")
    _list(found)
    if dry_run:
        say("Nothing was removed (--dry-run).")
        return
    if not yes:
        typer.confirm("Remove all this?", abort=True)
    upkeep.remove(found, root=root)
    if everything and source is None:
        upkeep.remove(upkeep.kept(root, kinds=["locks"]), root=root)
    say(f"Removed {size(sum(each.size for each in found))}.")


def _list(found: list[Kept]) -> None:
    rows = [
        [each.path.name, each.kind, size(each.size), each.source]
        for each in found
        if each.kind != "locks"
    ]
    if locked := len(found) - len(rows):
        rows.append([f"{locked} files", "locks", size(0), ""])
    rows.append(["all", "", size(sum(each.size for each in found)), ""])
    console.show(Grid(("name", "kind", ">size", "from"), rows), total=True)
