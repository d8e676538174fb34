"""The commands that fetch, verify, list and remove data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.filesize import decimal as size
from typer import Option

from bmgd_data._system import home
from bmgd_data.cli import console, leaks
from bmgd_data.cli.console import say
from bmgd_data.cli.options import Root, Source, takes

if TYPE_CHECKING:
    from bmgd_data._store.store import Store
    from bmgd_data.cli.upkeep import Item


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
    from bmgd_data._pipeline import open_store, origin_of, verify_command
    from bmgd_data._store import acceptance, derived
    from bmgd_data.cli import findings

    method = data.pop("instances")
    rows: list[list[str]] = []
    kept: list[bool] = []
    all_wanted = findings.wanted(**data)
    stores: list[Store] = []
    try:
        for wanted in all_wanted:
            opened = open_store(wanted, accept_changed=accept_changed)
            stores.append(opened)
            key = opened.index.key
            trusted = origin_of(wanted).status(key)
            rows.append([wanted.condition.name, str(len(opened)), key[:16], trusted])
            kept.append(bool(derived.labelled(opened, method, wanted.root).digest))
    finally:
        if rows:  # shown also if a later one fails
            console.show(("stiffness", ">images", "sha256", "trust"), rows)
        acceptance.tell(stores, verify_command(all_wanted))
    for line in findings.meanings(row[-1] for row in rows):
        say(line)
    if all(kept):
        say(f"Labels by {method} are kept with the data.")
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
    from bmgd_data._pipeline import verify_command
    from bmgd_data._store import acceptance
    from bmgd_data.cli import findings
    from bmgd_data.leaks import measure
    from bmgd_data.reader import Reader

    all_wanted = findings.wanted(**data)
    found = [findings.examine(wanted) for wanted in all_wanted]
    stores = [finding.store for finding in found if finding.store is not None]
    doubts = acceptance.doubts(stores)
    if accept:
        acceptance.accept(stores)
    else:
        for finding in found:
            finding.doubted = any(finding.store in doubt.stores for doubt in doubts)
    findings.show(found)
    if doubts:
        say("\nDoubts, which are accepted from now on:" if accept else "\nDoubts:")
        for doubt in doubts:
            say(f"  {doubt.text}")
    wrong = findings.complaints(found)
    if doubts and not accept:
        wrong.append(
            "Some samples may be wrong; see the doubts above. Look at the images and masks that "
            f"are named. If they are right: `{verify_command(all_wanted)} --accept`"
        )
    if wrong:
        for text in wrong:
            console.complain(text)
        raise typer.Exit(1)
    leaks.show_schemes(measure(Reader("all", download=False, **data)))
    in_bytes = size(sum(finding.size for finding in found))
    say(f"\n{in_bytes} were read again; nothing has changed since they were built.")


def checksums(root: Root = None, source: Source = None) -> None:
    """Print the sha256 of the archives seen, as a file for BMGD_CHECKSUMS, which pins them.

    Their trust is printed to the standard error stream.
    """
    from bmgd_data.cli import findings

    found = findings.seen_archives(findings.wanted(root, source))
    say(json.dumps({archive: key for archive, (key, _) in found.items()}, indent=4))
    for _, line in found.values():
        console.remark(line)


def where(
    root: Root = None,
    long: Annotated[bool, Option("--long", "-l", help="Also list what is in it.")] = False,
) -> None:
    """Print the folder that data is kept in."""
    from bmgd_data.cli import upkeep

    say(str(home.root(root)))
    if long and (found := upkeep.items(home.root(root))):
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
    from bmgd_data.cli import upkeep

    chosen = {"archives": archives, "stores": stores, "records": records, "notes": False}
    kinds = {kind for kind, wanted in chosen.items() if wanted or everything}
    if not kinds:
        raise typer.BadParameter("Say what to remove: --archives, --stores, --records or --all.")
    kept_in = home.root(root)
    found = [item for item in upkeep.items(kept_in) if item.kind in kinds]
    if source is not None:
        found = upkeep.of_source(found, source)
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
    for item in found:
        upkeep.remove(kept_in, item)
    if everything and source is None:
        upkeep.leave(kept_in)
    say(f"Removed {size(sum(item.size for item in found))}.")


def _list(found: list[Item]) -> None:
    rows = [
        [item.path.name, item.kind, size(item.size), item.origin]
        for item in found
        if item.kind != "locks"
    ]
    if locked := len(found) - len(rows):
        rows.append([f"{locked} files", "locks", size(0), ""])
    rows.append(["all", "", size(sum(item.size for item in found)), ""])
    console.show(("name", "kind", ">size", "from"), rows, total=True)
