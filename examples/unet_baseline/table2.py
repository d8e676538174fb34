"""All encoders of the paper's Table 2, beside the paper: ``python table2.py``. See README.md.

It continues where it stopped: finished runs are not trained again, killed ones resume.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evaluate import evaluate, show
from overlay import panels
from settings import BEST, RESULT, Settings, add_options, from_options
from train import check_data

from bmgd_data import facts
from bmgd_data.errors import BMGDError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAPER: Final = {
    "resnet50": "ResNet50",
    "mobilenet_v2": "MobileNetV2",
    "inceptionresnetv2": "Inception-ResNetV2",
    "inception_v3": "InceptionV3",
    "densenet121": "DenseNet121",
    "vgg19": "VGG19",
}
PROTOCOLS: Final = ("table2", "hold-out", "folds", "learning-curve")
_FOLDS: Final = 5
_MAY_DIFFER: Final = ("root", "logger")
"""Settings that a finished run may have had otherwise, or not at all."""
_SHARES: Final = (40, 80, 160, 320)
_ALIKE: Final = "test images with a look-alike in train"
_SCORES: Final = ("f1", "iou", "instance_f1", "pq")


def variants(protocol: str, settings: Settings) -> Iterator[tuple[str, Settings]]:
    """The runs of one encoder in a protocol, each with the name of its folder."""
    if protocol == "table2":
        yield "", settings
    elif protocol == "hold-out":
        for each in facts.CONDITIONS:
            yield f"without-{each.name}", dataclasses.replace(settings, hold_out=each.name)
    elif protocol == "folds":
        folds = settings.folds or _FOLDS
        for fold in range(folds):
            yield f"fold-{fold}-of-{folds}", dataclasses.replace(settings, folds=folds, fold=fold)
    else:
        for count in (*_SHARES, 0):
            name = f"train-{count or 'all'}"
            yield name, dataclasses.replace(settings, train_images=count)


def run(settings: Settings, folder: Path, *, progress: bool) -> dict[str, Any]:
    """Train and score one network, or read the scores that its folder already has."""
    from data import origin, splits  # imports torch, which would make --help slow

    if not (folder / RESULT).is_file():
        _train(settings, folder, progress=progress)
    result: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    told, asked = result["settings"], dataclasses.asdict(settings)
    if changed := [key for key in asked if key not in _MAY_DIFFER and asked[key] != told.get(key)]:
        raise SystemExit(
            f"{folder} was trained with another {', '.join(changed)}. Give the same settings, or "
            "another --out."
        )
    check_data(folder, result["data"], origin(splits(settings).train))
    for split in ("val", "test"):
        if not (path := folder / f"scores-{split}.json").is_file():
            evaluate(folder / BEST, split, out=folder, root=settings.root)
        scores = json.loads(path.read_text(encoding="utf-8"))["scores"]["all"]
        pixels, nuclei = scores["pixels"]["pooled"], scores["instances"]["pooled"]
        result[split] = {
            "images": scores["images"],
            "alike": scores["alike"],
            "f1": pixels["f1"],
            "iou": pixels["iou"],
            "instance_f1": nuclei["f1"],
            "pq": nuclei["pq"],
        }
    return result


def _train(settings: Settings, folder: Path, *, progress: bool) -> None:
    """Train in a separate process: several GPUs need it, and it frees all memory."""
    command = [sys.executable, str(Path(__file__).with_name("train.py")), "--out", str(folder)]
    for name, value in dataclasses.asdict(settings).items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    command += ["--resume", *([] if progress else ["--quiet"])]
    ended = subprocess.run(command, check=False)  # noqa: S603 - a script of this folder
    if ended.returncode:
        raise SystemExit(f"{folder}: training stopped, see above. The same command continues it.")


def picture(results: dict[str, dict[str, Any]], settings: Settings, out: Path) -> None:
    """One test image through every encoder, as in the paper's Fig. 3.

    It is the image with the median number of nuclei: the choice does not depend on a network.

    Args:
        results: Results of `run`, by encoder.
        settings: Those of any of the runs.
        out: The folder of the runs; table2.png is written there.
    """
    from data import origin, splits

    test = splits(settings).test
    counts = test.reader.n_nuclei
    name = test.reader.names[counts.argsort(kind="stable")[len(counts) // 2]]
    rows = [
        show((out / "table2" / encoder / BEST).resolve(), name, root=settings.root)
        for encoder in results
    ]
    title = f"{name}, test split of {origin(test)}; contrast stretched, threshold 0.5"
    panels(rows, out / "table2.png", title, [PAPER[encoder] for encoder in results])


def paper_table(results: dict[str, dict[str, Any]]) -> str:
    """The paper's scores and ours, one row per encoder."""
    heads = (
        *("encoder", "F1 paper", "val", "test", "difference"),
        *("IoU paper", "val", "test", "difference"),
        *("val loss (BCE + Dice)", "paper's loss*"),
        *("parameters", "training", "images/s", "inst. F1", "PQ", _ALIKE),
    )
    papers = {each.encoder: each for each in facts.BASELINES}
    rows = []
    for encoder, result in results.items():
        paper = papers[PAPER[encoder]]
        cells = [paper.encoder]
        for key, theirs in (("f1", paper.f1), ("iou", paper.iou)):
            val, test = (100 * result[split][key] for split in ("val", "test"))
            cells += [f"{theirs:.2f}", f"{val:.2f}", f"{test:.2f}", f"{test - theirs:+.2f}"]
        cells += [
            *(f"{result['best']['val_loss']:.4f}", f"{paper.val_loss:.4f}"),
            *(f"{result['parameters'] / 1e6:.1f} M", _duration(result["train_seconds"])),
            f"{result['images_per_second']:.1f}",
            *(f"{100 * result['test'][key]:.2f}" for key in ("instance_f1", "pq")),
            _alike(result["test"]),
        ]
        rows.append(cells)
    return _markdown(heads, rows)


def protocol_table(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Test scores of each run, by encoder, with mean and standard deviation."""
    rows = []
    for encoder, by_variant in results.items():
        for name, result in by_variant.items():
            scores = [100 * result["test"][key] for key in _SCORES]
            test = result["test"]
            sizes = [str(test["images"]), _alike(test)]
            rows.append([encoder, name, *sizes, *map("{:.2f}".format, scores)])
        columns = [[100 * each["test"][key] for each in by_variant.values()] for key in _SCORES]
        spread = [
            f"{statistics.mean(each):.2f} ± {statistics.pstdev(each):.2f}" for each in columns
        ]
        rows.append([encoder, "mean ± standard deviation", "", "", *spread])
    heads = ("encoder", "run", "test images", _ALIKE, "F1", "IoU", "inst. F1", "PQ")
    return _markdown(heads, rows)


def _alike(test: dict[str, Any]) -> str:
    return "not counted" if test["alike"] is None else f"{test['alike']} of {test['images']}"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{seconds / 60:.1f} min"


def report(protocol: str, results: dict[str, dict[str, dict[str, Any]]], settings: Settings) -> str:
    """The table, with data and settings above it and its limits below."""
    every = [result for by_variant in results.values() for result in by_variant.values()]
    data = ", ".join(sorted({result["data"] for result in every}))
    devices = ", ".join(sorted({result["device"] for result in every}))
    lines = [
        f"# U-Net baselines: {protocol}",
        "",
        f"Data: **{data}**. {_caution(data)}".rstrip(),
        f"Encoder weights: {settings.weights}. Hardware: {devices}.",
        f"Splits and folds: scheme {Path(settings.scheme).name!r}.",
        "Scores in percent, pooled over all pixels (or nuclei) of the split, threshold 0.5.",
        "The epoch was chosen on validation. The more test images have a look-alike in train, the",
        "less their scores say about new colonies.",
        "",
    ]
    if protocol == "table2":
        lines += [
            paper_table({encoder: only[""] for encoder, only in results.items()}),
            "Difference = ours on test - paper. The paper does not say which images its scores are",
            "of, nor whether they are validation or test images.",
            "",
            "\\* Not comparable with ours: the paper does not say which loss it is.",
        ]
    else:
        lines.append(protocol_table(results))
    return "\n".join(lines).rstrip() + "\n"


def _caution(data: str) -> str:
    if data.startswith("upstream "):
        return ""
    if "(generated)" in data:
        return "**Not BMGD: differences from the paper mean nothing.**"
    return "**Unless this is a copy of BMGD, differences from the paper mean nothing.**"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line; train, score and write the table after each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--protocol", choices=PROTOCOLS, default="table2")
    parser.add_argument(
        "--encoders", nargs="+", choices=tuple(PAPER), default=list(PAPER), metavar="ENCODER",
        help="Only these. [all six]",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("runs"), help="Folder of the runs.")
    parser.add_argument("--quiet", action="store_true", help="No progress bars.")
    add_options(parser, leave_out=("encoder", "hold_out", "fold", "train_images"))
    options = parser.parse_args(arguments)
    results: dict[str, dict[str, dict[str, Any]]] = {}
    try:
        for encoder in options.encoders:
            base = from_options(options, encoder=encoder)
            for name, settings in variants(options.protocol, base):
                folder = (options.out / options.protocol / encoder / name).resolve()
                print(f"{encoder} {name}".strip(), flush=True)
                result = run(settings, folder, progress=not options.quiet)
                results.setdefault(encoder, {})[name] = result
                text = report(options.protocol, results, base)
                (options.out / f"{options.protocol}.md").write_text(text, encoding="utf-8")
        if options.protocol == "table2":
            picture({encoder: only[""] for encoder, only in results.items()}, base, options.out)
    except (BMGDError, ValueError) as error:
        if os.environ.get("BMGD_DEBUG"):
            raise
        raise SystemExit(str(error)) from error
    print(text, end="")


if __name__ == "__main__":
    main()
