"""Tables as text, Markdown and HTML."""

from __future__ import annotations

from bmgd_data._tables import Grid

GRID = Grid(
    ("name", ">nuclei"),
    [["a|b", "3"], ["<i>\u202e", "12"]],
    ["Counted & checked."],
    "Nuclei of two images",
)


def test_text_has_columns_of_one_width_and_notes_below():
    assert GRID.to_text().splitlines() == [
        "name       nuclei",
        "a|b             3",
        "<i>\\u202e      12",
        "",
        "Counted & checked.",
    ]


def test_markdown_keeps_the_columns_of_a_cell_with_a_bar():
    assert GRID.to_markdown().splitlines() == [
        "| name | nuclei |",
        "| --- | ---: |",
        "| a\\|b | 3 |",
        "| <i>\\u202e | 12 |",
        "",
        "- Counted & checked.",
    ]


def test_html_is_escaped_and_names_its_rows():
    html = GRID.to_html()
    assert "<caption>Nuclei of two images</caption>" in html
    assert '<th scope="row">&lt;i&gt;\\u202e</th><td class="number">12</td>' in html
    assert "<li>Counted &amp; checked.</li>" in html
    assert "<ul>" not in GRID._replace(notes=()).to_html()


def test_a_table_without_rows_is_its_head():
    empty = Grid(("name", ">nuclei"), [])
    assert empty.to_text() == "name  nuclei"
    assert "<tbody></tbody>" in empty.to_html()
