"""The `bmgd` command, as its users meet it."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import pytest
import typer
from typer.testing import CliRunner

import bmgd_data
from bmgd_data import Reader, facts
from bmgd_data._origin import trust
from bmgd_data.cli import app
from bmgd_data.instances import DERIVED
from common import TINY

RUNNER = CliRunner()


def bmgd(*args: object, code: int = 0, **env: str):
    result = RUNNER.invoke(app, [str(arg) for arg in args], env={"COLUMNS": "80", **env})
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def process(*args: object, **env: str) -> subprocess.CompletedProcess[str]:
    """The real command, in a process of its own, into a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "bmgd_data", *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env},
    )


@pytest.fixture
def local(tmp_path, write_7z, nuclei) -> Path:
    """A folder with one small archive."""
    write_7z(tmp_path / "local" / "950 Pa.7z", nuclei())
    return tmp_path / "local"


@pytest.fixture
def mirror(local, serve) -> tuple[str, ...]:
    return ("--source", serve(local), "--stiffness", "950")


def spoil(path: Path) -> None:
    """Change one byte, past any header, and leave size and date as they were."""
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


# ------------------------------------------------------------------------------------------- help


def test_without_a_command_it_shows_help():
    shown = bmgd().output
    for command in (
        *("demo", "download", "verify", "evaluate", "leaks", "export", "tfds", "segment"),
        *("nuclei", "report", "info", "checksums", "where", "clean"),
    ):
        assert command in shown
        assert bmgd(command, "-h").output == bmgd(command, "--help").output
    assert bmgd("-h").output == shown


@pytest.mark.parametrize("width", [60, 80])
def test_help_is_complete_and_free_of_python(width):
    commands = typer.main.get_command(app).commands
    listed = " ".join(bmgd("-h", COLUMNS=str(width)).output.split())
    for name, command in commands.items():
        assert " ".join(command.help.partition("\n\n")[0].split()) in listed
        shown = command.get_help(typer.Context(command, info_name=name, terminal_width=width))
        assert max(map(len, shown.splitlines())) <= width
        assert "..." not in shown.replace("]...", "").replace("{FILES}...", "")
        assert not re.search(r"None|True|False|facts\.|list\[|<(bool|str|float)", shown), name


def test_help_of_export_lists_every_format():
    from bmgd_data.export import FORMATS

    _, _, listed = bmgd("export", "-h", COLUMNS="80").output.partition("\nFormats:\n")
    found = re.findall(r"^  (\w+) ", listed, re.MULTILINE)
    assert found == list(FORMATS)
    together = re.findall(r"\(all in one folder\)", " ".join(listed.split()))
    assert len(together) == sum(not form.divided for form in FORMATS.values())


def test_a_shell_completes_commands_and_values():
    pytest.importorskip("shellingham")
    assert "--install-completion" in bmgd("-h").output
    for line, position, expected in (
        ("bmgd eval", 1, "evaluate"),
        ("bmgd nuclei --instances w", 3, "watershed"),
        ("bmgd nuclei --stiffness 12", 3, "1200Pa"),
        ("bmgd export co", 2, "coco"),
    ):
        done = process(_BMGD_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(position))
        assert done.stdout.split() == [expected], done.stderr


def test_version():
    assert bmgd("--version").output.strip() == f"bmgd-data {bmgd_data.__version__}"


def test_importing_the_package_leaves_the_command_line_alone():
    code = "import sys, bmgd_data; sys.exit(bool({'typer', 'rich', 'PIL'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------------------------------------------------------------------- demo


def test_demo(tiny_root, tmp_path):
    out = tmp_path / "demo.png"
    shown = bmgd("demo", "--source", TINY, "--root", tiny_root, "--out", out).output
    assert "generated, not BMGD" in shown
    for condition in facts.CONDITIONS:
        row = next(line.split() for line in shown.splitlines() if condition.name in line)
        assert row[1] == "12"
        assert row[4:] == [
            str(condition.images),
            str(condition.nuclei),
            f"{condition.nuclei / condition.images:.2f}",
        ]
    assert "(8, 256, 256) uint16" in shown
    assert iio.imread(out).shape[2] == 3


@pytest.mark.parametrize("torch", [True, False])
def test_the_last_three_lines_of_demo_work(torch, tiny_root, tmp_path, monkeypatch, capsys):
    if torch:
        pytest.importorskip("torch")
    else:
        monkeypatch.setattr(bmgd_data, "__all__", ["Reader"])
    out = tmp_path / "demo.png"
    args = ("--source", TINY, "--root", tiny_root, "--out", out, "--stiffness", "250,950")
    lines = [line.strip() for line in bmgd("demo", *args).output.splitlines()[-3:]]
    assert ("BMGD" in lines[0]) is torch
    exec("\n".join(lines), {})
    shown = capsys.readouterr().out
    assert "20 images, split 'train'" in shown
    assert "Instances: components" in shown, "as the table counts"


@pytest.mark.parametrize("method", ["components", "watershed"])
def test_demo_and_the_lines_it_suggests_count_alike(method, tiny_root, tmp_path):
    args = ("--source", TINY, "--root", tiny_root, "--out", tmp_path / "demo.png")
    chosen = [] if method == "components" else ["--instances", method]
    shown = bmgd("demo", *args, *chosen, COLUMNS="120").output
    assert f"told apart by {method}" in shown
    assert f"by {method}" in " ".join(shown.split("Nuclei:")[0].split())
    total = next(line.split() for line in shown.splitlines() if line.startswith("all"))
    (said,) = re.findall(r'instances="(\w+)"\)', shown.splitlines()[-2])
    read = Reader("all", source=TINY, root=tiny_root, instances=said)
    assert total[2] == str(read.n_nuclei.sum())
    exported = bmgd("export", "folders", tmp_path / "out", *args[:4], "--stiffness", "950").output
    assert "told apart by components" in exported


def test_the_last_lines_do_not_name_upstream(local, serve, monkeypatch, tmp_path):
    monkeypatch.setattr(facts, "UPSTREAM", serve(local))
    shown = bmgd("demo", "--source", "upstream", "--stiffness", 950, "--out", tmp_path / "a.png")
    assert (
        shown.output.splitlines()[-2]
        .strip()
        .endswith('("train", stiffness=[950], instances="components")')
    )


def test_demo_of_other_data_does_not_call_it_generated(local, tmp_path):
    out = tmp_path / "demo.jpg"
    shown = bmgd("demo", "--source", local, "--stiffness", 950, "--out", out).output
    assert "generated" not in shown
    assert str(local) in shown


@pytest.mark.parametrize("out", ["demo.xyz", "demo"])
def test_demo_refuses_an_unknown_picture_format_before_any_work(out, tmp_path):
    assert ".png" in bmgd("demo", "--out", tmp_path / out, code=2).stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    "command",
    [
        *(("demo", "--out", "{}/a.png"), ("nuclei", "--out", "{}/a.csv")),
        *(("report", "--out", "{}/a.html"), ("leaks", "--csv", "{}/a.csv")),
        *(("leaks", "--json", "{}/a.json"), ("evaluate", "{here}", "--json", "{}/a.json")),
    ],
)
def test_no_folder_is_made_for_an_output(command, tmp_path):
    """The output is refused before any work, such as a download."""
    missing = tmp_path / "nowhere"
    shown = bmgd(*(word.format(missing, here=tmp_path) for word in command), code=2).stderr
    assert f"There is no folder {missing}" in " ".join(shown.split())
    assert not missing.exists()
    assert not (tmp_path / "home").exists()


def test_demo_says_where_it_cannot_write(tiny_root, tmp_path):
    (out := tmp_path / "demo.png").mkdir()
    result = bmgd("demo", "--source", TINY, "--root", tiny_root, "--out", out, code=1)
    assert f"Cannot write {out}" in result.stderr


# --------------------------------------------------------------------------------------- download


def test_download_from_a_mirror_says_that_nothing_was_compared(mirror):
    shown = bmgd("download", *mirror).output
    row = next(line.split() for line in shown.splitlines() if "950Pa" in line)
    assert row[1] == "10"
    assert row[3] == "first-seen"
    assert "no sha256 is pinned" in shown
    assert "verified" not in shown


def test_download_warns_in_one_line(mirror):
    stderr = bmgd("download", *mirror).stderr
    assert stderr.startswith("warning: ")
    assert "10 image/mask pairs, where the paper counts 54" in stderr
    assert stderr.count("\n") == 1


def test_download_accepts_a_changed_archive_only_on_request(mirror, local, write_7z, nuclei):
    bmgd("download", *mirror)
    write_7z(local / "950 Pa.7z", nuclei(count=11))
    bmgd("clean", "--archives", "--stores", "--yes")
    assert "--accept-changed" in bmgd("download", *mirror, code=1).stderr
    shown = bmgd("download", *mirror, "--accept-changed").output
    assert re.search(r"950Pa +11 ", shown)


def test_download_keeps_the_labels_of_the_named_method(mirror, monkeypatch):
    shown = bmgd("download", *mirror, "--instances", "watershed").output
    assert "Labels by watershed are kept" in shown
    monkeypatch.setitem(DERIVED, "watershed", lambda _: pytest.fail("computed again"))
    assert len(Reader("all", 950, source=mirror[1], instances="watershed")) == 10


def test_download_of_missing_provided_labels(mirror):
    shown = bmgd("download", *mirror, "--instances", "provided", code=1)
    assert re.search(r"950Pa +10 ", shown.stdout)
    assert "950Pa has no instance labels" in shown.stderr


def test_downloads_before_an_error_are_shown(mirror):
    result = bmgd("download", *mirror, "--stiffness", "1200", code=1)
    assert re.search(r"950Pa +10 ", result.stdout)
    assert "There is no http" in result.stderr
    assert "is ready" not in result.stdout


def test_offline():
    result = bmgd("download", code=1, BMGD_OFFLINE="1")
    assert "BMGD_OFFLINE is set" in result.stderr


@pytest.mark.parametrize("stiffness", ["300", "soft", "250,300"])
def test_unknown_stiffness_lists_the_valid_ones(stiffness):
    stderr = bmgd("download", "--stiffness", stiffness, code=2).stderr
    assert "'250Pa', '950Pa'" in " ".join(re.sub("│", " ", stderr).split())


@pytest.mark.parametrize("source", ["ftp://x", "/no/such/folder", "phantom:what=1"])
@pytest.mark.parametrize("command", ["download", "verify", "checksums", "demo", "leaks"])
def test_a_wrong_source_is_a_wrong_argument(source, command):
    given = " ".join(bmgd(command, "--source", source, code=2).stderr.split())
    assert "Invalid value for '--source'" in given
    assert "None" not in given
    if command != "demo":  # its default is the phantom
        shown = " ".join(bmgd(command, code=2, BMGD_SOURCE=source).stderr.split())
        assert f"BMGD_SOURCE: {given.partition('--source')[2][3:]}" in shown


def test_debug_shows_tracebacks():
    for args, env in ((["--debug"], {}), ([], {"BMGD_DEBUG": "1"})):
        done = process(*args, "download", BMGD_OFFLINE="1", **env)
        assert "Traceback" in done.stderr
        assert done.returncode == 1


# ----------------------------------------------------------------------------------------- verify


def test_verify(local):
    args = ("--source", local, "--stiffness", "950")
    shown = bmgd("verify", *args, COLUMNS="100").output
    row = next(line.split() for line in shown.splitlines() if line.startswith("950Pa"))
    opened = bmgd_data.Reader("all", "950", source=local)
    assert row[1:3] == ["10", str(opened.n_nuclei.sum())]
    images = opened.images[:]
    assert row[3] == f"{images.min()}..{images.max()}"
    assert row[4:] == ["not", "compared", "ok"]
    assert "950Pa: 10 image/mask pairs, where the paper counts 54" in shown
    assert "were read again; nothing has changed since they were built" in shown
    assert "verified" not in shown


def test_verify_mentions_provided_labels(tmp_path, write_7z, nuclei):
    members = nuclei()
    masks = {name: data for name, data in members.items() if "/mask/" in name}
    from skimage.measure import label
    from tifffile import imwrite

    for name, data in masks.items():
        labels = label(iio.imread(data, extension=".tif") > 0, connectivity=2)
        target = tmp_path / "one.tif"
        imwrite(target, labels.astype("uint16"), photometric="minisblack")
        members[name.replace("/mask/", "/label/")] = target.read_bytes()
    write_7z(tmp_path / "labelled" / "950 Pa.7z", members)
    args = ("--source", tmp_path / "labelled", "--stiffness", "950")
    shown = bmgd("verify", *args).output
    row = next(line.split() for line in shown.splitlines() if line.startswith("950Pa"))
    assert row[2] != "0"
    assert f"950Pa: the archive has labels of {row[2]} nuclei too." in shown


@pytest.mark.parametrize("array", ["images.npy", "masks.npy", "components/labels.npy"])
def test_verify_finds_a_changed_array(array, local):
    args = ("--source", local, "--stiffness", "950")
    bmgd("download", *args)
    home = Path(bmgd("where").output.strip())
    spoil(next(home.glob(f"stores/950Pa-*/{array}")))
    result = bmgd("verify", *args, code=1)
    assert f"{array} has changed" in result.stderr.replace("\\", "/")
    assert "changed" in next(line for line in result.stdout.splitlines() if "950Pa" in line)
    assert "nothing has changed" not in result.output
    bmgd("clean", "--stores", "--yes")
    assert "nothing has changed" in bmgd("verify", *args).output


def test_verify_reports_a_damaged_index(local):
    args = ("--source", local, "--stiffness", "950")
    bmgd("download", *args)
    next(Path(os.environ["BMGD_HOME"]).glob("stores/950Pa-*/index.json")).write_text("{")
    assert "index.json is not readable" in bmgd("verify", *args, code=1).stderr


def test_verify_finds_a_changed_archive(mirror):
    bmgd("download", *mirror)
    spoil(next(Path(os.environ["BMGD_HOME"]).glob("sources/*/950 Pa.7z")))
    assert "950 Pa.7z has changed since it was read" in bmgd("verify", *mirror, code=1).stderr
    bmgd("clean", "--archives", "--yes")
    assert "nothing has changed" in bmgd("verify", *mirror).output


def test_verify_finds_a_changed_local_archive_that_looks_unchanged(local):
    args = ("--source", local, "--stiffness", "950")
    bmgd("download", *args)
    spoil(local / "950 Pa.7z")
    stderr = bmgd("verify", *args, code=1).stderr
    assert "though its size and date have not" in stderr
    assert f"--stiffness 950Pa --source {local} --accept-changed" in " ".join(stderr.split())
    assert "clean" not in stderr, "the file belongs to the user"


def test_verify_names_what_is_missing_and_writes_no_data():
    result = bmgd("verify", code=1)
    assert "Not here: 250Pa, 950Pa, 1200Pa, 1800Pa of upstream" in " ".join(result.stderr.split())
    assert not result.stdout
    assert not list(Path(os.environ["BMGD_HOME"]).glob("stores/*"))


def test_verify_distinguishes_pinned_and_first_seen(mirror, tmp_path):
    bmgd("download", *mirror)
    pins = tmp_path / "pins.json"
    pins.write_text(bmgd("checksums", *mirror[:2]).stdout)
    shown = bmgd("verify", *mirror, BMGD_CHECKSUMS=str(pins)).output
    assert "pinned: the archive's sha256 is the one that is pinned" in shown
    assert "first-seen" not in shown


# -------------------------------------------------------------------------------------- checksums


def test_checksums_are_valid_python_and_a_valid_file(mirror, local, tmp_path):
    bmgd("download", *mirror)
    result = bmgd("checksums", *mirror[:2])
    import hashlib

    wanted = {"950 Pa.7z": hashlib.sha256((local / "950 Pa.7z").read_bytes()).hexdigest()}
    assert json.loads(result.stdout) == ast.literal_eval(result.stdout) == wanted
    (tmp_path / "pins").write_text(result.stdout)
    assert trust.read_checksums(tmp_path / "pins") == wanted
    assert "not compared with anything" in result.stderr
    assert re.search(r"seen on \d{4}-\d\d-\d\d from http", result.stderr)


def test_checksums_without_archives():
    result = bmgd("checksums", code=1)
    assert "No archive of upstream" in result.stderr
    assert not result.stdout
    assert "generated" in bmgd("checksums", "--source", "phantom", code=2).stderr.lower()


def test_unpacked_folders_have_no_checksums(tmp_path, nuclei):
    for name, data in nuclei().items():
        path = tmp_path / "unpacked" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    bmgd("download", "--source", tmp_path / "unpacked", "--stiffness", "950")
    for condition in facts.CONDITIONS:
        (tmp_path / "unpacked" / condition.archive[:-3]).mkdir(exist_ok=True)
    assert not bmgd("checksums", "--source", tmp_path / "unpacked", code=1).stdout


# ------------------------------------------------------------------------------------------- info


def test_info_shows_the_facts():
    shown = bmgd("info").output
    for condition in facts.CONDITIONS:
        assert f"{condition.images:>8}{condition.nuclei:>8}" in shown
    for baseline in facts.BASELINES:
        assert baseline.encoder in shown
        assert f"{baseline.f1:.2f}" in shown
    for text in (*facts.ACQUISITION.values(), facts.CITATION, facts.DATA_LICENSE, facts.REPOSITORY):
        assert text in shown
    assert not Path(os.environ["BMGD_HOME"]).exists()


def test_bibtex_alone():
    assert bmgd("info", "--bibtex").output.strip() == facts.BIBTEX.strip()


# ---------------------------------------------------------------------------------- where and clean


@pytest.fixture
def kept(mirror) -> Path:
    """A root with one archive and its store, and other files beside them."""
    bmgd("download", *mirror)
    home = Path(os.environ["BMGD_HOME"])
    for other in ("mine.txt", "sources/mine.7z", "stores/mine/a.npy", "sources/holiday/b.jpg"):
        (home / other).parent.mkdir(exist_ok=True)
        (home / other).write_text("mine")
    return home


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_where(tmp_path):
    assert bmgd("where").output == f"{os.environ['BMGD_HOME']}\n"
    assert bmgd("where", "--root", tmp_path).output == f"{tmp_path}\n"
    assert "holds nothing of this package" in bmgd("where", "--long").output
    assert not Path(os.environ["BMGD_HOME"]).exists()


def test_where_long_lists_kinds_sources_and_sizes(kept, mirror):
    shown = bmgd("where", "--long", COLUMNS="120").output
    for kind in ("archives", "stores"):
        row = next(line for line in shown.splitlines() if f" {kind} " in line)
        assert mirror[1] in row
        assert "kB" in row
    assert "mine" not in shown


def test_clean_asks(kept):
    before = files(kept)
    for args, answer in ((["--stores"], "n\n"), (["--all"], ""), (["--all", "--dry-run"], "y\n")):
        result = RUNNER.invoke(app, ["clean", *args], input=answer)
        assert result.exit_code == ("--dry-run" not in args)
        assert files(kept) == before
    assert RUNNER.invoke(app, ["clean", "--stores"], input="y\n").exit_code == 0
    assert not {name for name in files(kept) & before if name.startswith("stores/950Pa")}


@pytest.mark.parametrize(
    ("option", "gone"),
    [
        ("--archives", {"archives"}),
        ("--stores", {"stores"}),
        ("--all", {"archives", "stores", "notes"}),
    ],
)
def test_clean_removes_only_own_files_of_the_named_kind(option, gone, kept):
    before = files(kept)
    bmgd("clean", option, "--yes")
    after = files(kept)
    ours = {
        "archives": {name for name in before if name.endswith("/950 Pa.7z")},
        "stores": {name for name in before if name.startswith("stores/950Pa")},
        "notes": {name for name in before if name.endswith("/950Pa.json")},
    }
    assert all(ours.values())
    assert {name for name in before if "/mine" in name or "holiday" in name} <= after
    for kind, names in ours.items():
        assert names & after == (set() if kind in gone else names), kind
    assert "nothing to remove" in bmgd("clean", option, "--yes").output
    assert (kept / "locks").exists() is (option != "--all")


def test_clean_of_one_source_leaves_the_others(kept, mirror, tmp_path, write_7z, nuclei):
    """Named by its address, or by its label once it is gone."""
    write_7z(tmp_path / "own" / "1200 Pa.7z", nuclei("1200 Pa"))
    bmgd("download", "--source", tmp_path / "own", "--stiffness", "1200")
    assert "nothing to remove" in bmgd("clean", "--all", "--source", "phantom", "--yes").output
    before = files(kept)
    ours = {name for name in before if "1200Pa" in name and not name.startswith("locks/")}
    shutil.rmtree(tmp_path / "own")
    bmgd("clean", "--all", "--source", (tmp_path / "own").resolve(), "--yes")
    assert before - files(kept) == ours
    bmgd("clean", "--stores", "--source", mirror[1], "--yes")
    gone = before - ours - files(kept)
    assert gone
    assert all(name.startswith("stores/950Pa-") for name in gone)
    assert "nothing has changed" in bmgd("verify", *mirror).output


def test_clean_follows_no_links(kept, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    store = next(kept.glob("stores/950Pa-*"))
    store.rename(elsewhere)
    store.symlink_to(elsewhere)
    source = next(kept.glob("sources/mirror*"))
    (source / "1200 Pa.7z").symlink_to(elsewhere)
    before = files(elsewhere)
    bmgd("clean", "--all", "--yes")
    assert files(elsewhere) == before
    assert not (source / "950 Pa.7z").exists()


def test_clean_all_removes_all_own_files(kept):
    """Also records of TensorFlow Datasets."""
    slug = next(kept.glob("sources/mirror*")).name
    made = kept / "tfds" / f"{slug}-components-tfrecord" / "bmgd" / "x"
    made.parent.mkdir(parents=True)
    made.write_text("x")
    assert made.parts[-3] in bmgd("where", "--long", COLUMNS="200").output
    bmgd("clean", "--all", "--yes")
    assert {name for name in files(kept) if "mine" not in name and "holiday" not in name} == set()
    assert not (kept / "tfds").exists()


def test_clean_removes_what_killed_processes_left(kept):
    """A half-made store, and a file where a store should be."""
    store = next(kept.glob("stores/950Pa-*"))
    half = store.with_name(f".{store.name}-0123abcd.partial")
    half.mkdir()
    (half / "images.npy").touch()
    (stray := store.with_name("250Pa-0123456789abcdef-v2")).touch()
    bmgd("clean", "--stores", "--yes")
    assert {path.name for path in (kept / "stores").iterdir()} == {"mine"}
    assert not stray.exists()


def test_clean_requires_a_kind(kept):
    assert "--archives" in bmgd("clean", code=2).stderr


# ---------------------------------------------------------------------------- terminals and pipes


def test_into_a_pipe_there_is_no_colour_and_no_line_is_cut(local):
    done = process("verify", "--source", local, "--stiffness", "950")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "…" not in done.stdout
    assert "950Pa: 10 image/mask pairs, where the paper counts 54\n" in done.stdout


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_cells_are_not_cut_at_any_width(width, tiny_root):
    args = ("verify", "--source", TINY, "--root", tiny_root)
    shown = bmgd(*args, COLUMNS=str(width)).output
    assert "…" not in shown
    assert len(re.findall(r"generated +ok\b", shown)) + shown.count("state: ok\n") == 4
    if width >= 60:
        table = shown.split("\n\n")[1]
        assert max(map(len, table.splitlines())) <= width


def test_quiet_silences_the_progress_bars():
    result = bmgd("where")
    assert "BMGD_QUIET" not in os.environ
    result = bmgd("verify", "--quiet", code=1)
    assert result.stderr.startswith("error: ")
    assert os.environ.pop("BMGD_QUIET") == "1"


def test_the_installed_command_starts():
    done = process("where")
    assert done.stdout == f"{os.environ['BMGD_HOME']}\n"
