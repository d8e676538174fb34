"""A table for people: titles, rows and notes, as text, Markdown or HTML."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

from bmgd_data.errors import printable

if TYPE_CHECKING:
    from collections.abc import Sequence


class Grid(NamedTuple):
    """Cells of text under titles, with sentences that say how to read them."""

    titles: Sequence[str]
    """A title that starts with ">" belongs to a right-aligned column, as of numbers."""
    rows: Sequence[Sequence[str]]
    """One text a column, each."""
    notes: Sequence[str] = ()
    caption: str = ""
    """What the table shows; HTML alone has it."""

    @property
    def heads(self) -> list[str]:
        """The titles without marks of alignment."""
        return [title.lstrip(">") for title in self.titles]

    def to_text(self) -> str:
        """The cells in columns of one width, and the notes below them."""
        lines = [self.heads, *([*map(printable, row)] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        right = [title.startswith(">") for title in self.titles]
        texts = [
            "  ".join(
                cell.rjust(width) if numbers else cell.ljust(width)
                for cell, width, numbers in zip(line, widths, right, strict=True)
            ).rstrip()
            for line in lines
        ]
        return "\n".join([*texts, "", *self.notes]).rstrip()

    def to_markdown(self) -> str:
        """A Markdown table, and the notes as a list below it."""
        rule = ["---:" if title.startswith(">") else "---" for title in self.titles]
        rows = [[printable(cell).replace("|", "\\|") for cell in row] for row in self.rows]
        lines = [f"| {' | '.join(line)} |" for line in (self.heads, rule, *rows)]
        return "\n".join([*lines, "", *(f"- {note}" for note in self.notes)]).rstrip()

    def to_html(self) -> str:
        """A table whose first column names the rows, and the notes as a list below it."""
        kinds = [' class="number"' if title.startswith(">") else "" for title in self.titles]
        heads = "".join(
            f'<th scope="col"{kind}>{escape(head)}</th>'
            for head, kind in zip(self.heads, kinds, strict=True)
        )
        rows = "".join(
            f'<tr><th scope="row">{_escaped(row[0])}</th>'
            + "".join(
                f"<td{kind}>{_escaped(cell)}</td>"
                for cell, kind in zip(row[1:], kinds[1:], strict=True)
            )
            + "</tr>\n"
            for row in self.rows
        )
        caption = f"<caption>{_escaped(self.caption)}</caption>" if self.caption else ""
        notes = "".join(f"<li>{_escaped(note)}</li>" for note in self.notes)
        return f"<table>{caption}<thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody></table>" + (
            f"<ul>{notes}</ul>" if notes else ""
        )


def _escaped(text: str) -> str:
    """For HTML, without characters that steer the reading direction."""
    return escape(printable(text))
