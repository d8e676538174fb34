"""Notebooks run as they are, and what this package does differently in a notebook's kernel."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from common import TINY

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
manager = pytest.importorskip("jupyter_client.manager")
pytest.importorskip("ipykernel")

NOTEBOOKS = sorted((Path(__file__).parents[1] / "examples" / "notebooks").glob("*.ipynb"))
NEEDS = {"class": ["matplotlib"], "tour": ["matplotlib", "torchvision"]}


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    for needed in NEEDS[path.stem]:
        pytest.importorskip(needed)
    monkeypatch.setenv("BMGD_SOURCE", TINY)
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, resources=where).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [o.text for o in outputs if o.get("name") == "stderr"] == [], "no warning"
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
    if path.stem == "tour":
        printed = "".join(output.get("text", "") for output in outputs)
        assert float(re.findall(r"pixel F1 ([\d.]+) %", printed)[-1]) > 70


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path):
    """The docs run it and show them; a kept copy would grow old."""
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


# ------------------------------------------------------------------------------------ in a kernel


@pytest.fixture(scope="module")
def kernel():
    """Run code in a kernel; gives the messages that it sends meanwhile."""
    hushed = {key: value for key, value in os.environ.items() if not key.startswith("BMGD_")}
    started, client = manager.start_new_kernel(kernel_name="python3", env=hushed)

    def run(code: str) -> list[dict]:
        messages = []
        client.execute_interactive(code, timeout=60, output_hook=messages.append)
        return [each for each in messages if each["msg_type"] in SHOWN]

    yield run
    client.stop_channels()
    started.shutdown_kernel(now=True)


SHOWN = {"display_data", "error", "execute_result", "stream", "update_display_data"}
SLOW_WORK = """
import time
from bmgd_data._system.progress import bar
with bar("reading <250> Pa.7z", 5) as step:
    for _ in range(5):
        time.sleep(0.2)
        step(1)
"""


def test_progress_shows_in_one_place_and_goes(kernel):
    first, *later = kernel(SLOW_WORK)
    assert first["msg_type"] == "display_data"
    plain, drawn = (first["content"]["data"][kind] for kind in ("text/plain", "text/html"))
    done = re.fullmatch(r"reading <250> Pa\.7z: ([1-4]) of 5", plain)[1]
    assert (
        drawn
        == f'<progress value="{done}" max="5"></progress> reading &lt;250&gt; Pa.7z: {done} of 5'
    )
    assert {message["msg_type"] for message in later} == {"update_display_data"}
    places = {m["content"]["transient"]["display_id"] for m in (first, *later)}
    assert len(places) == 1
    assert later[-1]["content"]["data"] == {"text/html": "", "text/plain": ""}


def test_bytes_are_shown_as_megabytes(kernel):
    code = SLOW_WORK.replace("5) as", "in_bytes=True) as").replace("step(1)", "step(3_000_000)")
    first, *_ = kernel(code)
    assert re.fullmatch(r"reading <250> Pa\.7z: \d+ MB", first["content"]["data"]["text/plain"])
    assert "<progress></progress>" in first["content"]["data"]["text/html"]


@pytest.mark.parametrize(
    "code",
    [
        SLOW_WORK.replace("0.2", "0"),
        "import os; os.environ['BMGD_QUIET'] = '1'\n" + SLOW_WORK + "del os.environ['BMGD_QUIET']",
    ],
    ids=["at-once", "BMGD_QUIET"],
)
def test_nothing_is_shown_of_what_ends_at_once_or_where_asked(kernel, code):
    assert kernel(code) == []


def test_an_error_is_its_message_and_tb_shows_the_rest(kernel):
    code = """
from bmgd_data.errors import StorageError
def deep():
    try:
        1 / 0
    except ZeroDivisionError as error:
        raise StorageError("No room.\\x1b[2J Free some.") from error
deep()
"""
    (told,) = kernel(code)
    assert told["msg_type"] == "error"
    lines = ["StorageError: No room.\\x1b[2J Free some.", "", "To see where it arose: %tb"]
    assert told["content"]["traceback"] == lines
    for magic in ("%tb", "%tb Verbose"):
        (whole,) = kernel(magic)
        text = "\n".join(whole["content"]["traceback"])
        assert "ZeroDivisionError" in text
        assert "direct cause" in text
        assert "deep" in text
    (other,) = kernel("1 / 0")
    assert len(other["content"]["traceback"]) > 3, "errors of others are shown as ever"


def test_an_error_of_the_reader_is_its_message(kernel, tmp_path):
    (told,) = kernel(f"import bmgd_data\nbmgd_data.Reader(source={str(tmp_path / 'none')!r})")
    first, *rest = told["content"]["traceback"]
    assert first.startswith("DatasetNotFoundError: ")
    assert rest == ["", "To see where it arose: %tb"]
