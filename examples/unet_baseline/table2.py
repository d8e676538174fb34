"""All encoders of the paper's Table 2, beside the paper: ``python table2.py``. See README.md.

Runs that are there are used: finished ones are not trained again, killed ones resume.
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

from evaluate import digest, evaluate, show
from overlay import panels
from settings import BEST, RESULT, Settings, add_options, from_options
from train import check_data, find_begun, require_same

from bmgd_data import facts
from bmgd_data.errors import BMGDError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from data import Splits

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
_SHARES: Final = (40, 80, 160, 320)
_ALIKE: Final = "test images with a look-alike in train"
_SCORES: Final = ("f1", "iou", "instance_f1", "pq")
Results = dict[str, dict[str, list[dict[str, Any]]]]
"""By encoder and variant, what `run` gives for each seed."""


def variants(protocol: str, settings: Settings) -> Iterator[tuple[str, Settings]]:
    """The runs of one encoder and seed in a protocol, each with its name in the table."""
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
    parts = splits(settings)
    check_data(folder, result["data"], origin(parts.train))
    result |= {"run": folder.name, "checkpoint": digest(folder / BEST)} | _told(parts)
    for split in ("val", "test"):
        kept = _scores(folder, split, result, settings.root)
        scores = kept["scores"]["all"]
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


def _scores(folder: Path, split: str, result: dict[str, Any], root: str) -> dict[str, Any]:
    """The scores in a run's folder, if they are of its best epoch and its data; else new ones."""
    path = folder / f"scores-{split}.json"
    if path.is_file():
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if all(kept.get(key) == result[key] for key in ("checkpoint", "data")):
            return kept
    return evaluate(folder / BEST, split, out=folder, root=root)


def _told(parts: Splits) -> dict[str, Any]:
    """What a reader of the table wants to know of the split."""
    reader = parts.train.reader
    together = reader.grouped or (reader.fold_number is not None and reader.knows_groups)
    if together:
        source = "given ones" if reader.knows_groups else "found in pixels and file names"
        groups = f"kept whole within one part ({source})"
    else:
        groups = "not kept together: slices of one colony may be in several parts"
    sizes = " / ".join(str(len(part)) for part in parts)
    return {"digest": reader.digest, "scheme": reader.scheme, "groups": groups, "sizes": sizes}


def _train(settings: Settings, folder: Path, *, progress: bool) -> None:
    """Train in a separate process: several GPUs need it, and it frees all memory."""
    command = [sys.executable, str(Path(__file__).with_name("train.py")), "--out", str(folder)]
    for name, value in dataclasses.asdict(settings).items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    command += ["--resume", *([] if progress else ["--quiet"])]
    ended = subprocess.run(command, check=False)  # noqa: S603 - a script of this folder
    if ended.returncode:
        raise SystemExit(f"{folder}: training stopped, see above. The same command continues it.")


def picture(runs: Mapping[str, str], settings: Settings, out: Path) -> None:
    """One test image through every encoder, as in the paper's Fig. 3.

    It is the image with the median number of nuclei: the choice does not depend on a network.

    Args:
        runs: Name of a run's folder, by encoder.
        settings: Those of any of the runs.
        out: The folder of the runs; table2.png is written there.
    """
    from data import origin, splits

    test = splits(settings).test
    counts = test.reader.n_nuclei
    name = test.reader.names[counts.argsort(kind="stable")[len(counts) // 2]]
    rows = [show((out / run / BEST).resolve(), name, root=settings.root) for run in runs.values()]
    title = f"{name}, test split of {origin(test)}; contrast stretched, threshold 0.5"
    panels(rows, out / "table2.png", title, [PAPER[encoder] for encoder in runs])


def paper_table(results: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    """The paper's scores and ours, one row per encoder: the seeds' mean and standard deviation."""
    heads = (
        *("encoder", "F1 paper", "val", "test", "difference"),
        *("IoU paper", "val", "test", "difference"),
        *("val loss (BCE + Dice)", "paper's loss*"),
        *("parameters", "training", "images/s", "inst. F1", "PQ", _ALIKE),
    )
    papers = {each.encoder: each for each in facts.BASELINES}
    rows = []
    for encoder, seeds in results.items():
        paper = papers[PAPER[encoder]]
        cells = [paper.encoder]
        for key, theirs in (("f1", paper.f1), ("iou", paper.iou)):
            val, test = ([100 * each[split][key] for each in seeds] for split in ("val", "test"))
            difference = f"{statistics.mean(test) - theirs:+.2f}"
            cells += [f"{theirs:.2f}", _spread(val), _spread(test), difference]
        cells += [
            _spread([each["best"]["val_loss"] for each in seeds], digits=4),
            f"{paper.val_loss:.4f}",
            f"{seeds[0]['parameters'] / 1e6:.1f} M",
            _duration(statistics.mean(each["train_seconds"] for each in seeds)),
            f"{statistics.mean(each['images_per_second'] for each in seeds):.1f}",
            *(_spread([100 * e["test"][key] for e in seeds]) for key in ("instance_f1", "pq")),
            _alike(seeds[0]["test"]),
        ]
        rows.append(cells)
    return _markdown(heads, rows)


def protocol_table(results: Results, *, mean: bool = True) -> str:
    """Test scores of each run, by encoder, and with `mean` those of all its runs."""
    rows = []
    for encoder, by_variant in results.items():
        columns = []
        for name, seeds in by_variant.items():
            scores = [[100 * each["test"][key] for each in seeds] for key in _SCORES]
            columns.append([statistics.mean(each) for each in scores])
            test = seeds[0]["test"]
            sizes = [str(test["images"]), _alike(test)]
            rows.append([encoder, name, *sizes, *map(_spread, scores)])
        if mean:
            spread = [_spread(each) for each in zip(*columns, strict=True)]
            rows.append([encoder, "all: mean ± standard deviation", "", "", *spread])
    heads = ("encoder", "run", "test images", _ALIKE, "F1", "IoU", "inst. F1", "PQ")
    return _markdown(heads, rows)


def _spread(values: Sequence[float], digits: int = 2) -> str:
    """Mean, and the sample standard deviation (divisor n - 1) of several."""
    told = f"{statistics.mean(values):.{digits}f}"
    return f"{told} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else told


def runs_table(results: Results) -> str:
    """Each run: its seed, chosen epoch, scores and checkpoint."""
    heads = ("run", "seed", "epoch", "of", "val F1", "test F1", "sha256 of best.ckpt")
    rows = [
        [
            each["run"],
            str(each["settings"]["seed"]),
            f"{each['best']['epoch']:.0f}",
            str(each["epochs"]),
            *(f"{100 * each[split]['f1']:.2f}" for split in ("val", "test")),
            each["checkpoint"],
        ]
        for each in _every(results)
    ]
    return _markdown(heads, rows)


def _every(results: Results) -> Iterator[dict[str, Any]]:
    for by_variant in results.values():
        for seeds in by_variant.values():
            yield from seeds


def _alike(test: dict[str, Any]) -> str:
    return "not counted" if test["alike"] is None else f"{test['alike']} of {test['images']}"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{seconds / 60:.1f} min"


def report(protocol: str, results: Results) -> str:
    """The table, with its data above it and its limits and methods below."""
    every = list(_every(results))
    data = _all(each["data"] for each in every)
    lines = [
        f"# U-Net baselines: {protocol}",
        "",
        f"Data: **{data}**. {_caution(data)}".rstrip(),
        "Scores in percent, pooled over all pixels (or nuclei) of the split, threshold 0.5.",
    ]
    if len({each["settings"]["seed"] for each in every}) > 1:
        lines.append("± is the standard deviation over seeds (divisor n - 1).")
    lines.append("")
    if protocol == "table2":
        lines += [
            paper_table({encoder: only[""] for encoder, only in results.items()}),
            "Difference = ours on test - paper. The paper does not say which images its scores are",
            "of, nor whether they are validation or test images.",
            "",
            "\\* Not comparable with ours: the paper does not say which loss it is.",
        ]
    else:
        lines.append(protocol_table(results, mean=protocol != "learning-curve"))
    lines += ["", "## Methods", "", methods(every), "", runs_table(results)]
    lines.append("Scores of each stiffness are in each run's scores-test.md.")
    return "\n".join(lines).rstrip() + "\n"


def methods(every: Sequence[dict[str, Any]]) -> str:
    """One paragraph that answers what a reviewer asks."""
    settings = [each["settings"] for each in every]

    def setting(name: str) -> str:
        return _all(Path(str(s[name])).name if name == "scheme" else s[name] for s in settings)

    alike = [each["test"] for each in every if each["test"]["alike"] is not None]
    seeds = sorted({each["seed"] for each in settings})
    versions = sorted({f"{p} {v}" for each in every for p, v in each["versions"].items()})
    sentences = (
        (
            f"Data: {_all(each['data'] for each in every)}, sha256 of all images and masks "
            f"{_all(each['digest'] for each in every)}."
        ),
        (
            f"Images for training / validation / test: {_all(each['sizes'] for each in every)}, by "
            f"scheme {_all(each['scheme'] for each in every)}."
        ),
        f"Groups: {_all(each['groups'] for each in every)}.",
        f"Images of test that look like one of training: {_all(map(_alike, alike))}; the more, the "
        "less the scores say about new colonies."
        if alike
        else "Look-alikes of test images in training were not counted.",
        f"Seeds of weights, order and augmentation: {_all(seeds)}."
        + (" With one seed, the spread is not known." if len(seeds) == 1 else ""),
        f"Encoder weights: {setting('weights')}.",
        (
            f"AdamW with a peak learning rate of {setting('lr')}, at most {setting('epochs')} "
            f"epochs, batches of {setting('batch')} per process, crops of {setting('crop')} pixels."
        ),
        (
            "Epoch: that of the highest pooled validation F1, for each run by itself; a run ended "
            f"with its last epoch, or {setting('patience')} after its best one. Test was scored "
            "with the weights of that best epoch."
        ),
        f"True instances: {setting('instances')}.",
        f"Hardware: {_all(each['device'] for each in every)}.",
        f"Versions: {', '.join(versions)}.",
    )
    return "\n".join(sentences)


def _all(values: Iterable[Any]) -> str:
    """The distinct values, in their order."""
    return "; ".join(dict.fromkeys(map(str, values)))


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
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0], metavar="SEED",
        help="Train each network with each of these; the table has mean and spread. [0]",
    )  # fmt: skip
    add_options(parser, leave_out=("encoder", "hold_out", "fold", "train_images", "seed"))
    options = parser.parse_args(arguments)
    try:
        _make(options)
    except (BMGDError, ValueError) as error:
        if os.environ.get("BMGD_DEBUG"):
            raise
        raise SystemExit(str(error)) from error


def _make(options: argparse.Namespace) -> None:
    planned = [
        (encoder, name, settings, (options.out / settings.name).resolve())
        for encoder in dict.fromkeys(options.encoders)
        for seed in dict.fromkeys(options.seeds)
        for name, settings in variants(
            options.protocol, from_options(options, encoder=encoder, seed=seed)
        )
    ]
    for *_, settings, folder in planned:  # before hours of training
        if begun := find_begun(folder):
            require_same(settings, folder, begun)
    results: Results = {}
    for encoder, name, settings, folder in planned:
        print(folder.name, flush=True)
        result = run(settings, folder, progress=not options.quiet)
        results.setdefault(encoder, {}).setdefault(name, []).append(result)
        text = report(options.protocol, results)
        scheme = "" if settings.scheme == "random" else f"-{Path(settings.scheme).stem}"
        table = options.out / f"{options.protocol}{scheme}.md"
        table.write_text(text, encoding="utf-8")
    if options.protocol == "table2":
        runs = {encoder: only[""][0]["run"] for encoder, only in results.items()}
        picture(runs, settings, options.out)
    print(text, end="")


if __name__ == "__main__":
    main()
