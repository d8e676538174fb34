"""What other programs read of files is what the pages say; image_readers.py prints the tables."""

from __future__ import annotations

import re
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from image_readers import FORMS, OF_VALUES, READERS, headed, joined, table

DOCS = Path(__file__).parents[1] / "docs"


def told(page, heading):
    """By title, the cells of the table below a heading, each by the words above its column."""
    text = (DOCS / page).read_text(encoding="utf-8").split(f"{heading}\n")[1]
    rows = re.findall(r"^\| (.*) \|$", text.split("\n#")[0], re.MULTILINE)
    (_, *heads), _, *cells = (row.split(" | ") for row in rows)
    return {title: dict(zip(heads, each, strict=True)) for title, *each in cells}


def packs_12_bits():
    try:
        return bool(imagecodecs.packints_encode(np.array([1], np.uint16), 12))
    except NotImplementedError:
        return False


@pytest.mark.skipif(not packs_12_bits(), reason="this imagecodecs packs no 12 bits")
@pytest.mark.parametrize(
    ("full", "page", "heading"),
    [
        (True, "own-images.md", "## How files are read"),
        (False, "surprises.md", "## TIFF files"),
    ],
)
def test_readers_read_what_the_pages_say(full, page, heading):
    """Those that are installed here, in the version that the page names."""
    said = told(page, heading)
    heads = set(next(iter(said.values())))
    names = {head: name for head, name in headed(full).items() if head in heads}
    if full:
        assert {"this package"} <= set(names)
    # All readers decide which rows are joined, so those of the page are taken apart.
    titles = FORMS if full else OF_VALUES
    apart = {}
    for title, cells in said.items():
        first, *others = title.split(", ")
        row = [cells[head] for head in names]
        own = [title] if title in titles else [f"{first}, {other}" for other in others]
        apart |= dict.fromkeys(own, row)
    assert apart == table(names.values(), titles)


def test_forms_that_are_read_alike_share_a_row():
    rows = {"a, 1": ["right", "x"], "b": ["y", "y"], "a, 2": ["right", "x"], "a, 3": ["z", "x"]}
    assert joined(rows) == {"a, 1, 2": ["right", "x"], "b": ["y", "y"], "a, 3": ["z", "x"]}


def test_every_reader_of_the_pages_can_be_measured():
    names = {name for name, reader in READERS.items() if not reader.full}
    heads = next(iter(told("surprises.md", "## TIFF files").values()))
    assert {head.rpartition(" ")[0] for head in heads} == names
