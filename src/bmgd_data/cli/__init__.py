"""The `bmgd` command: parses, asks the library, prints."""

from __future__ import annotations

import errno
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from bmgd_data import __version__, conditions, facts
from bmgd_data._store import acceptance
from bmgd_data._system import home
from bmgd_data.cli import console, leaks, outputs, study
from bmgd_data.cli.about import about
from bmgd_data.cli.console import say
from bmgd_data.cli.options import (
    Download,
    Instances,
    Quiet,
    Root,
    Scheme,
    Source,
    Split,
    Stiffness,
    valid_source,
)
from bmgd_data.errors import BMGDError

if TYPE_CHECKING:
    from bmgd_data._store.store import Store
    from bmgd_data.cli.upkeep import Item
    from bmgd_data.pipeline import Wanted

_OUTPUT_FAULTS: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class _Group(TyperGroup):
    """Ends every expected error as one message; BMGD_DEBUG=1 or --debug shows where it arose."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            if error.errno not in _OUTPUT_FAULTS:  # those of files are StorageErrors by now
                raise
            console.give_up(error)
            sys.exit(1)

    def invoke(self, ctx: Any) -> Any:
        with console.tidy_warnings():
            try:
                return super().invoke(ctx)
            except (BMGDError, ValueError) as error:
                if home.switched_on("BMGD_DEBUG") or ctx.params.get("_debug"):
                    raise
                console.complain(error)
                raise typer.Exit(1) from error


app = typer.Typer(cls=_Group, add_completion=False, pretty_exceptions_enable=False)


def _valid_picture(path: Path) -> Path:
    endings = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
    if path.suffix.lower() not in endings:
        raise typer.BadParameter(f"{path} should end in {', '.join(endings)}.")
    return path


def _show_version(value: bool) -> None:
    if value:
        say(f"bmgd-data {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def main(
    ctx: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    _debug: Annotated[bool, typer.Option("--debug", help="Show errors with tracebacks.")] = False,
) -> None:
    """BMGD, the Breast Mammary Gland Dataset: nuclei images and masks as trustworthy samples.

    Start with `bmgd demo`, which needs no network; `bmgd download` fetches the data itself.
    """
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


@app.command()
def demo(
    *,
    out: Annotated[
        Path, typer.Option(callback=_valid_picture, help="The picture to write: PNG, JPEG or TIFF.")
    ] = Path("bmgd-demo.png"),
    stiffness: Stiffness = None,
    root: Root = None,
    source: Annotated[
        str,
        typer.Option(
            callback=valid_source,
            help="'phantom:full' generates as many images as the paper counts; takes all that "
            "`bmgd download --source` takes, too.",
        ),
    ] = "phantom",
    download: Download = True,
    scheme: Scheme = "random",
    instances: Instances = "watershed",
    _quiet: Quiet = False,
) -> None:
    """Take generated data through the whole pipeline and draw it; no network is needed."""
    from bmgd_data.cli import showcase
    from bmgd_data.plot import captions
    from bmgd_data.reader import Reader

    read = partial(
        Reader,
        stiffness=stiffness,
        root=root,
        source=source,
        download=download,
        scheme=scheme,
        instances=instances,
    )
    reader = read("all")
    say(f"{len(reader)} images, from archives to samples ({captions(reader)['note']}).")
    console.show(showcase.COUNTS, showcase.counts(reader), total=True)
    say(f"Nuclei: in the masks, by {reader.instance_method}; the paper's, annotated by hand.")
    say("\nA batch of the train split:")
    for line in showcase.batch(read("train")):
        say(f"  {line}")
    showcase.draw(reader, out)
    say(f"\nA picture of it: {out}\nThe data is in: {reader.root}\n\nGo on in Python with\n")
    for line in showcase.next_lines(reader, root_given=root is not None):
        say(f"  {line}")


@app.command()
def download(
    stiffness: Stiffness = None,
    root: Root = None,
    source: Source = None,
    accept_changed: Annotated[
        bool,
        typer.Option(
            "--accept-changed",
            help="Fetch again, and trust what comes even if it differs from what was seen first; "
            "what is pinned still binds, and the old data is kept.",
        ),
    ] = False,
    instances: Instances = "components",
    _quiet: Quiet = False,
) -> None:
    """Fetch what is missing, check it, and make it ready to be read.

    Instance labels are computed once and kept. Where several people share a read-only folder, name
    the method that they will use.
    """
    from bmgd_data._store import derived
    from bmgd_data.cli import findings
    from bmgd_data.pipeline import open_store, origin_of, verify_command

    rows: list[list[str]] = []
    kept: list[bool] = []
    all_wanted = _wanted(root, source, stiffness)
    stores: list[Store] = []
    try:
        for wanted in all_wanted:
            opened = open_store(wanted, accept_changed=accept_changed)
            stores.append(opened)
            index = opened.index
            rows.append(
                [
                    wanted.condition.name,
                    str(len(index.names)),
                    index.key[:16],
                    findings.status(origin_of(wanted), index.key),
                ]
            )
            kept.append(bool(derived.labelled(opened, instances, wanted.root).digest))
    finally:
        if rows:  # also of what came before an error
            console.show(("stiffness", ">images", "sha256", "trust"), rows)
        acceptance.tell(stores, verify_command(all_wanted))
    for line in findings.meanings(row[-1] for row in rows):
        say(line)
    if all(kept):
        say(f"Labels by {instances} are kept with the data.")
    say(f"\nReady to be read in {home.root(root)}.")


@app.command()
def verify(
    stiffness: Stiffness = None,
    root: Root = None,
    source: Source = None,
    accept: Annotated[
        bool,
        typer.Option(
            "--accept", help="Record that the doubts shown were looked at, and samples are right."
        ),
    ] = False,
    _quiet: Quiet = False,
) -> None:
    """Read all data again and compare it with its digests; nothing is downloaded.

    The last table says how many look-alikes each scheme puts on both sides; see `bmgd leaks`.

    Ends with exit code 1 if anything has changed, is damaged, is not here, or is in doubt.
    """
    from bmgd_data.cli import findings
    from bmgd_data.leaks import measure
    from bmgd_data.pipeline import verify_command
    from bmgd_data.reader import Reader

    wanted = _wanted(root, source, stiffness)
    found = [findings.examine(each) for each in wanted]
    if present := [finding for finding in found if finding.row]:
        say(f"{wanted[0].source.label}, kept in {wanted[0].root}")
        console.show(findings.COLUMNS, [finding.row for finding in present])
        for line in findings.remarks(present):
            say(line)
    doubts = findings.accept(found) if accept else findings.doubts(found)
    if doubts:
        say("\nDoubts, which are accepted from now on:" if accept else "\nDoubts:")
        for doubt in doubts:
            say(f"  {doubt.text}")
    wrong = findings.complaints(found)
    if doubts and not accept:
        wrong.append(
            "Some samples may be wrong; see the doubts above. Look at the images and masks that "
            f"are named. If they are right: `{verify_command(wanted)} --accept`"
        )
    if wrong:
        for text in wrong:
            console.remark(text, "error")
        raise typer.Exit(1)
    reader = Reader("all", stiffness, root=root, source=source, download=False)
    leaks.show_schemes(measure(reader))
    say(f"\n{findings.verdict(found)}")


@app.command()
def evaluate(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Holds the predictions as <sample name>.tif, .tiff or .png, such as "
            "1200Pa/<stem>.tif, or named as `bmgd export` and then Cellpose, StarDist or ilastik "
            "name them: binary masks, instance labels, or TIFF of probabilities."
        ),
    ],
    *,
    split: Split = "test",
    stiffness: Stiffness = None,
    root: Root = None,
    source: Source = None,
    download: Download = True,
    scheme: Scheme = "random",
    instances: Instances = "components",
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Also write the scores there, with what makes them checkable: digests of data and "
            "predictions, scheme, split. - prints it instead.",
        ),
    ] = None,
    _quiet: Quiet = False,
) -> None:
    """Score predictions: pixels and nuclei, overall and by stiffness."""
    from bmgd_data.metrics import Evaluator

    evaluator = Evaluator(
        split,
        stiffness,
        root=root,
        source=source,
        download=download,
        scheme=scheme,
        instances=instances,
    )
    evaluator.add_folder(folder)
    if json_file != Path("-"):
        table = evaluator.table()
        console.show(*table.cells())
        for note in table.notes:
            say(note)
    if json_file:
        console.write(json_file, json.dumps(evaluator.to_dict(), indent=1) + "\n")


app.command()(leaks.leaks)
app.command()(outputs.export)
app.command()(outputs.tfds)
app.command()(study.nuclei)
app.command()(study.report)


@app.command()
def info(
    bibtex: Annotated[bool, typer.Option("--bibtex", help="Only the BibTeX entry.")] = False,
) -> None:
    """Tell what the data set is, how to cite it, and the licences; needs no data."""
    if bibtex:
        say(facts.BIBTEX.rstrip())
    else:
        about()


@app.command()
def checksums(root: Root = None, source: Source = None) -> None:
    """Print the sha256 of the archives seen, as facts.SHA256 and BMGD_CHECKSUMS take them.

    What they are worth is told on the standard error stream.
    """
    from bmgd_data.cli import findings

    wanted = _wanted(root, source, None)
    found = findings.seen_archives(wanted)
    say(json.dumps({name: seen.key for name, seen in found.items()}, indent=4))
    for line in findings.worth(wanted, found):
        console.remark(line)


@app.command()
def where(
    root: Root = None,
    long: Annotated[bool, typer.Option("--long", "-l", help="Also what is in it.")] = False,
) -> None:
    """Print the folder that data is kept in."""
    from bmgd_data.cli import upkeep

    say(str(home.root(root)))
    if long and (found := upkeep.items(home.root(root))):
        _list(found)
    elif long:
        say("Nothing of this package is in it.")


@app.command()
def clean(
    *,
    root: Root = None,
    archives: Annotated[
        bool, typer.Option("--archives", help="Downloaded or generated archives.")
    ] = False,
    stores: Annotated[
        bool, typer.Option("--stores", help="What samples are read from; built again when needed.")
    ] = False,
    records: Annotated[
        bool, typer.Option("--records", help="Records for TensorFlow Datasets kept here.")
    ] = False,
    everything: Annotated[
        bool,
        typer.Option("--all", help="All of these, and the notes of what was seen."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
) -> None:
    """Remove data from the folder it is kept in; sources elsewhere are never touched."""
    from bmgd_data.cli import upkeep

    chosen = {"archives": archives, "stores": stores, "records": records, "notes": False}
    kinds = {kind for kind, wanted in chosen.items() if wanted or everything}
    if not kinds:
        raise typer.BadParameter("Say what to remove: --archives, --stores, --records or --all.")
    where = home.root(root)
    found = [item for item in upkeep.items(where) if item.kind in kinds]
    if not found:
        say(f"There is nothing to remove in {where}.")
        return
    say(f"To be removed from {where}:")
    _list(found)
    if dry_run:
        say("Nothing was removed (--dry-run).")
        return
    if not yes:
        typer.confirm("Remove all this?", abort=True)
    for item in found:
        upkeep.remove(where, item)
    if everything:
        upkeep.leave(where)
    say(f"Removed {console.size(sum(item.size for item in found))}.")


def _wanted(root: Path | None, source: str | None, stiffness: list[str] | None) -> list[Wanted]:
    from bmgd_data._origin import sources
    from bmgd_data.pipeline import Wanted

    named = sources.resolve(source)
    chosen = conditions.parse_stiffness(stiffness)
    return [Wanted(home.root(root), named, condition) for condition in chosen]


def _list(found: list[Item]) -> None:
    rows = [
        [item.kind, item.path.name, item.origin, console.size(item.size)]
        for item in found
        if item.kind != "locks"
    ]
    if locks := len(found) - len(rows):
        rows.append(["locks", f"{locks} files", "", console.size(0)])
    rows.append(["all", "", "", console.size(sum(item.size for item in found))])
    console.show(("kind", "name", "from", ">size"), rows, total=True)
