"""Run each client in its own environment on exports of generated data; see README.md."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmgd_data import Reader
from bmgd_data.export import FORMATS, export
from bmgd_data.metrics import Evaluator

HERE = Path(__file__).resolve().parent
SPLITS = ("train", "val", "test")


class Client(NamedTuple):
    """A program that reads an export."""

    form: str
    """The export."""
    needs: tuple[str, ...]
    """What pip installs; nothing where the tests' own environment has it."""
    command: str
    """What users type."""
    by_hand: str
    """What users still do by hand."""
    under: tuple[str, ...] = ()
    """What it runs under."""
    scored: bool = False
    """Whether it writes the labels of the test split again, which must score 100."""


CLIENTS = {
    "cellpose": Client(
        "cellpose",
        ("cellpose",),
        "load_train_test_data(train, test, image_filter='_img', mask_filter='_masks')",
        "give both filters; --savedir for predictions",
        scored=True,
    ),
    "stardist": Client(
        "folders",
        ("stardist", "tensorflow-cpu"),
        "sorted(glob('images/*.tif')), sorted(glob('masks/*.tif')); stardist-predict2d",
        "nothing",
        scored=True,
    ),
    "maskrcnn": Client(
        "coco",
        (),
        "CocoDetection('images', 'annotations_rle.json'), wrap_dataset_for_transforms_v2",
        "leave out images without a nucleus, which it cannot train on",
    ),
    "supervision": Client(
        "coco",
        ("supervision", "tifffile"),
        "DetectionDataset.from_coco('images', 'annotations_rle.json', force_masks=True)",
        "nothing",
        scored=True,
    ),
    "ultralytics": Client(
        "yolo",
        ("ultralytics", "tifffile"),
        "yolo segment train data=data.yaml model=yolo11n-seg.yaml imgsz=256",
        "nothing",
        scored=True,
    ),
    "geopandas": Client("geojson", ("geopandas",), "read_file('*.geojson')", "nothing"),
    "nnunet": Client(
        "nnunet",
        ("nnunetv2",),
        "nnUNetv2_plan_and_preprocess -d 1 --verify_dataset_integrity; nnUNetv2_train 1 2d 0",
        "copy splits_final.json to the preprocessed data",
        scored=True,
    ),
    "napari": Client(
        "folders",
        ("napari[pyqt6]", "--editable", str(HERE.parents[1])),  # this package brings the samples
        "napari images/*.tif, masks: open as labels; File > Open Sample > BMGD",
        "set the scale of files to 0.25 um, which its reader leaves out",
        under=("xvfb-run", "-a"),
        scored=True,
    ),
    "imagej": Client(
        "folders",
        (),
        "imagej -b macro.ijm, with open(...) in it",
        "nothing",
        under=("xvfb-run", "-a"),
    ),
    "rois": Client(
        "rois",
        (),
        "roiManager('open', zip), getStatistics(area), run('Set...') in a macro",
        "nothing",
        under=("xvfb-run", "-a"),
    ),
}


def prepare(base: Path, source: str, root: Path) -> None:
    """Write the exports, and what is in them."""
    readers = {s: Reader(s, source=source, root=root, instances="watershed") for s in SPLITS}
    for form in sorted({client.form for client in CLIENTS.values()}):
        together = Reader("all", source=source, root=root, instances="watershed")
        export(readers if FORMATS[form].divided else together, form, base / form)
    arrays = {
        f"{sample['name']}/{key}": np.asarray(sample[key])
        for reader in readers.values()
        for sample in reader
        for key in ("image", "mask", "instances")
    }
    np.savez(base / "truth.npz", **arrays)


def python_of(name: str, environments: Path) -> Path:
    """The interpreter of a client's environment, which is made if it does not exist."""
    if not CLIENTS[name].needs:
        return Path(sys.executable)
    folder = environments / name
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *CLIENTS[name].needs], check=True)
    return python


def run(name: str, base: Path, environments: Path, source: str) -> dict[str, str]:
    """The result of one client, or why it did not run."""
    client = CLIENTS[name]
    missing = [tool for tool in client.under[:1] if shutil.which(tool) is None]
    if missing or (name in ("imagej", "rois") and shutil.which("java") is None):
        return {"version": "-", "seen": f"not run: {', '.join(missing) or 'java'} is missing"}
    command = [*client.under, python_of(name, environments), HERE / f"{name}_client.py", base]
    # What the client's own environment has, and no path to this package.
    own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    own |= {"BMGD_HOME": str(base / "root"), "BMGD_SOURCE": source}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=base, env=own)
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-4000:], file=sys.stderr)
        return {
            "version": "-",
            "seen": f"FAILED: {(done.stderr.strip() or 'no word').splitlines()[-1]}",
        }
    told: dict[str, str] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def score(name: str, base: Path, source: str, root: Path) -> str:
    """What `bmgd evaluate` gives the labels that the client has written."""
    evaluator = Evaluator("test", source=source, root=root, instances="watershed")
    evaluator.add_folder(base / "predicted" / name)
    part = evaluator.table().part("all")
    return f"{100 * part.instances.pooled.f1:.0f}"


def main() -> None:
    """Run the chosen clients, print the table, and fail if one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=CLIENTS, default=list(CLIENTS))
    parser.add_argument("--environments", type=Path, default=Path("build/clients"))
    parser.add_argument("--work", type=Path, default=Path("build/clients-work"))
    parser.add_argument("--source", default="phantom:size=0.02")
    chosen = parser.parse_args()
    base = chosen.work.absolute()
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir(parents=True)
    prepare(base, chosen.source, base / "root")
    rows = [("client", "version", "export", "command", "what it sees", "score", "by hand")]
    for name in chosen.only:
        told = run(name, base, chosen.environments.absolute(), chosen.source)
        client = CLIENTS[name]
        ran = not told["seen"].startswith(("not run", "FAILED"))
        scored = score(name, base, chosen.source, base / "root") if client.scored and ran else "-"
        row = (
            name,
            told["version"],
            client.form,
            client.command,
            told["seen"],
            scored,
            client.by_hand,
        )
        rows.append(row)
        print(*row, sep=" | ", flush=True)
    print()
    for row in (rows[0], ["---"] * len(rows[0]), *rows[1:]):
        print("|", " | ".join(row), "|")
    if any(row[4].startswith("FAILED") or row[5] not in ("-", "score", "100") for row in rows[1:]):
        sys.exit(1)


if __name__ == "__main__":
    main()
