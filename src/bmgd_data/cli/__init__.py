"""The `bmgd` command: parses, asks the library, prints.

Exit codes: 0 if all is well; 2 if an argument, BMGD_SOURCE or a named file is wrong; 1 if anything
else fails, or `bmgd verify` finds something.
"""

from __future__ import annotations

import errno
import sys
from typing import Annotated, Any, Final

import typer
from typer import Option
from typer.core import TyperGroup

from bmgd_data import __version__
from bmgd_data._system import home
from bmgd_data.cli import console, data, leaks, outputs, own, showcase, study
from bmgd_data.errors import BMGDError

_OUTPUT_FAULTS: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class _Group(TyperGroup):
    """Prints each expected error as one message; BMGD_DEBUG=1 or --debug shows the traceback."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for command in self.commands.values():
            # Otherwise the list of commands cuts sentences.
            command.short_help = (command.help or "").partition("\n\n")[0]
            shown: list[Any] = [one for one in command.params if one.param_type_name == "argument"]
            for argument in shown:  # otherwise help shows Python's types
                argument.display_type_rich = lambda ctx: ""  # noqa: ARG005

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            if error.errno not in _OUTPUT_FAULTS:  # errors of files are StorageErrors
                raise
            console.give_up(error)
            sys.exit(1)

    def invoke(self, ctx: Any) -> Any:
        with console.tidy_warnings():
            try:
                return super().invoke(ctx)
            except (BMGDError, ValueError) as error:
                if home.switched_on("BMGD_DEBUG") or ctx.params.get("_debug"):
                    error.__suppress_context__ = False
                    raise
                console.complain(str(error))
                raise typer.Exit(2 if isinstance(error, ValueError) else 1) from error


app = typer.Typer(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its frames leave no room for words on a narrow terminal
)


def _show_version(value: bool) -> None:
    if value:
        console.say(f"bmgd-data {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def main(
    ctx: typer.Context,
    _version: Annotated[
        bool, Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    _debug: Annotated[bool, Option("--debug", help="Show errors with tracebacks.")] = False,
) -> None:
    """BMGD, the Breast Mammary Gland Dataset: nuclei images and masks as trustworthy samples.

    Start with `bmgd demo`, which needs no network; `bmgd download` fetches the data itself.
    """
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


_CLASSES: Final = {outputs.export: outputs.FormatsBelow}
for command in (
    *(showcase.demo, data.download, data.verify, study.evaluate, leaks.leaks, outputs.export),
    *(
        outputs.tfds,
        own.segment,
        study.nuclei,
        study.report,
        showcase.info,
        data.checksums,
        data.where,
        data.clean,
    ),
):
    app.command(cls=_CLASSES.get(command))(command)
