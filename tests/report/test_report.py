"""The page: what it says, and, in a real browser, whether it shows and sorts."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from bmgd_data import Reader
from bmgd_data.errors import StorageError
from common import TINY

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")
from bmgd_data import report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PROBE = """
<script>
const errors = [];
addEventListener("error", event => errors.push(event.message || event.target.tagName), true);
addEventListener("securitypolicyviolation", event => errors.push(event.violatedDirective));
addEventListener("load", async () => {
  for (const image of document.images) image.loading = "eager";
  const pending = () => [...document.images].some(image => !image.complete);
  for (let turn = 0; turn < 100 && pending(); turn++) await new Promise(r => setTimeout(r, 50));
  const names = () => [...sheet.children].map(tile => tile.querySelector("strong").textContent);
  const found = {
    errors, images: document.images.length, before: names(),
    blank: [...document.images].filter(image => !image.naturalWidth).length,
    charts: [...document.querySelectorAll("figure svg")].map(svg => svg.getBoundingClientRect().height),
    wide: document.documentElement.scrollWidth - innerWidth,
    ink: getComputedStyle(document.querySelector("figure svg text")).fill,
  };
  for (const value of ["agreement", "many", "small", "name"]) {
    order.value = value;
    order.dispatchEvent(new Event("change"));
    found[value] = names();
  }
  found.told = document.getElementById("told").textContent;
  const pre = document.createElement("pre");
  pre.id = "probe";
  pre.textContent = JSON.stringify(found);
  document.body.append(pre);
});
</script>
"""


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


@pytest.fixture(scope="module")
def reader(tiny_root):
    return Reader("test", source=TINY, root=tiny_root, instances="watershed")


@pytest.fixture(scope="module")
def path(reader, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    report.write(reader, path)
    return path


@pytest.fixture(scope="module")
def page(path):
    return Page(path.read_text(encoding="utf-8"))


def test_it_shows_all_images_whatever_the_split(reader, page):
    assert f"{len(reader.whole)} images" in page.text
    for name in reader.whole.names:
        assert name in page.text


def test_counts_stand_beside_the_papers(reader, page):
    nuclei = reader.whole.n_nuclei
    row = f"all 48 {nuclei.sum()} {nuclei.mean():.2f} 819 9561 11.67"
    assert row in " ".join(page.text.split())
    assert "told apart by watershed" in page.text


def test_it_says_where_the_data_is_from_and_that_it_is_not_bmgd(page):
    assert "generated: made by this package; not BMGD" in page.text
    assert "They are not BMGD" in page.text
    assert "No doubts" in page.text


def test_doubts_and_notes_come_as_text_and_never_as_markup(reader, tmp_path, monkeypatch):
    doubt = "950Pa: <script>alert(1)</script> & more"
    monkeypatch.setattr(Reader, "doubts", property(lambda _: [doubt]))
    monkeypatch.setattr(Reader, "notes", property(lambda _: [doubt]))
    report.write(reader, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.count(html.escape(doubt)) == 2
    assert "<script>alert" not in text
    assert "No doubts" not in text


def test_nothing_is_fetched(page):
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object")
        for name in ("src", "href", "xlink:href", "srcset"):
            target = attributes.get(name) or "#"
            assert target.startswith(("#", "data:image/"))


def test_a_screen_reader_gets_everything(page):
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert all(attributes["alt"] for attributes in images)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.tags:
        if tag == "svg":
            assert attributes["aria-hidden"] == "true"
        for name in ("aria-labelledby", "for"):
            if name in attributes:
                assert attributes[name] in ids
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels == [1, *[2] * (len(levels) - 1)]


def test_the_worst_pairs_are_those_that_fit_least(reader, page):
    found = reader.whole.agreement
    margin = np.abs(found["own"]) - found["turned"]
    worst = [reader.whole.names[row] for row in np.argsort(margin, kind="stable")[:12]]
    shown = re.findall(r"(\S+): [\d.]+; correlation", page.text)
    assert shown == worst


def test_the_same_data_gives_the_same_bytes(reader, path, tmp_path):
    report.write(reader, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == path.read_bytes()


def test_a_file_that_cannot_be_written(reader, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "_render", lambda _: "")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="in the way of what is written"):
        report.write(reader, tmp_path / "file" / "report.html")


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_and_sorts_it(reader, path, tmp_path, width):
    probed = tmp_path / "probed.html"
    text = path.read_text(encoding="utf-8")
    probed.write_text(text.replace("<title>", PROBE + "<title>"), encoding="utf-8")
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000")
    where = (f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900")
    command = [
        str(CHROMIUM),
        *options,
        *where,
        "--enable-logging=stderr",
        "--dump-dom",
        probed.as_uri(),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "CONSOLE" not in ran.stderr
    probe = ran.stdout.partition('<pre id="probe">')[2].partition("</pre>")[0]
    found = json.loads(html.unescape(probe))
    assert found["errors"] == []
    assert found["blank"] == 0
    assert found["images"] == len(reader.whole) + 12 + 1
    assert len(found["charts"]) == 5
    assert min(found["charts"]) > 150
    assert found["wide"] <= 0, "nothing makes the page wider than the window"
    whole = reader.whole
    assert found["before"] == found["name"] == whole.names
    for order, values in (("agreement", whole.agreement["auc"]), ("many", -whole.n_nuclei)):
        expected = [whole.names[row] for row in np.argsort(values, kind="stable")]
        assert found[order] == expected
    assert sorted(found["small"]) == sorted(whole.names)
    assert found["told"] == "Sorted by names."
