"""Score a trained baseline: ``python evaluate.py runs/resnet50``. See README.md."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from overlay import Shown, panels, representative
from rich.console import Console
from rich.progress import track
from settings import BEST, THRESHOLD

from bmgd_data import instances
from bmgd_data.errors import BMGDError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from model import Baseline
    from settings import Settings

    from bmgd_data import BMGD, metrics

# torch takes seconds to import, so functions import it: --help is quick.


def evaluate(
    checkpoint: Path,
    split: str = "test",
    *,
    out: Path | None = None,
    labels: Path | None = None,
    symmetric: bool = False,
    where: str = "auto",
    **changes: Any,
) -> dict[str, Any]:
    """Score a checkpoint on one split of its data.

    Args:
        checkpoint: A file of `train.py`.
        split: "train", "val" or "test", in the protocol of the training.
        out: Folder for scores-<split>.json, scores-<split>.md and overlay-<split>.png; <split> is
            followed by "-symmetric" and the name of `labels` if they are given.
        labels: Folder of better true instance masks than the data's own, as <sample name>.tif.
        symmetric: Average predictions over flips and quarter turns.
        where: Device, "auto" for the GPU if there is one.
        changes: Settings to use instead of those of the training, such as the source.

    Returns:
        The content of the JSON file: `data`, `encoder`, `split`, the `checkpoint`'s sha256, and
        `scores` by stiffness and for "all", as in `bmgd_data.metrics.Table`.

    Raises:
        SystemExit: The checkpoint or a label image is missing or does not fit.
    """
    from data import origin, splits
    from infer import device
    from model import trained

    from bmgd_data import leaks, metrics

    module = trained(checkpoint).to(device(where))
    settings = dataclasses.replace(module.settings, **changes)
    parts = splits(settings)
    data: BMGD = getattr(parts, split)
    alike = None if split == "train" else leaks.exposed(data.reader, parts.train.reader.names)
    method = settings.instances if settings.instances in instances.DERIVED else "watershed"
    counted: list[metrics.ImageCounts] = []
    shown: list[Shown] = []
    predicted = _predicted(module, data, settings, symmetric)
    console = Console(stderr=True)
    for row, (name, pa, image, truth, labelled, chance) in track(
        enumerate(predicted),
        f"Scoring {split}",
        total=len(data),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ):
        found = chance > THRESHOLD
        true = labelled if labels is None else _label_image(labels, name, truth.shape)
        pixels = metrics.count_pixels(truth, chance, where=name)
        nuclei = metrics.count_instances(true, instances.DERIVED[method](found), where=name)
        near = None if alike is None else bool(alike[row])
        counted.append(metrics.ImageCounts(f"{pa}Pa", pixels, nuclei, near))
        shown.append(Shown(name, pa, pixels.hard.f1, image, truth, found))
    true_ones = f"those of {labels.name}" if labels else settings.instances
    table = metrics.tabulate(
        counted,
        batch_size=settings.batch,
        notes=(
            f"True instances: {true_ones}. Predicted instances: {method}.",
            f"Foreground: probability above {THRESHOLD:g}. Pooled: counts summed over all images.",
            "The paper does not say whether its scores are pooled, or soft ones over batches.",
            *(["Probabilities are means over eight flips and turns."] if symmetric else []),
        ),
    )
    result = {
        "data": origin(data),
        "encoder": settings.encoder,
        "split": split,
        "checkpoint": digest(checkpoint),
        **table.to_dict(),
    }
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        name = named(split, labels, symmetric=symmetric)
        (out / f"scores-{name}.json").write_text(
            json.dumps(result, indent=2) + "\n", encoding="utf-8"
        )
        text = f"# {heading(result)}\n\n{table.to_markdown()}"
        (out / f"scores-{name}.md").write_text(text, encoding="utf-8")
        panels(representative(shown), out / f"overlay-{name}.png", heading(result))
    return result


def named(split: str, labels: Path | None = None, *, symmetric: bool = False) -> str:
    """Part of the names of files with scores: only plain ones are named by the split alone."""
    return split + "-symmetric" * symmetric + (f"-{labels.name}" if labels else "")


def digest(checkpoint: Path) -> str:
    """The file's sha256."""
    with checkpoint.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def show(checkpoint: Path, name: str, **changes: Any) -> Shown:
    """Predict one test image of a checkpoint's data.

    Args:
        checkpoint: A file of `train.py`.
        name: Name of the sample.
        changes: Settings to use instead of those of the training.
    """
    from data import splits
    from infer import device
    from model import trained

    from bmgd_data import BMGD, metrics

    module = trained(checkpoint).to(device())
    settings = dataclasses.replace(module.settings, **changes)
    data = BMGD.of(splits(settings).test.reader[[name]])
    (found,) = _predicted(module, data, settings, symmetric=False)
    _, pa, image, truth, _, chance = found
    return Shown(
        name, pa, metrics.count_pixels(truth, chance).hard.f1, image, truth, chance > THRESHOLD
    )


def _predicted(
    module: Baseline, data: BMGD, settings: Settings, symmetric: bool
) -> Iterator[tuple[str, int, Any, Any, Any, Any]]:
    """Name, stiffness, and image, mask, instances, probability as (H, W) arrays, one by one."""
    import torch
    from data import loader
    from infer import chances

    for batch in loader(data, settings):
        images = batch["image"].as_subclass(torch.Tensor)
        found = chances(module, images.to(module.device), symmetric=symmetric)
        yield from zip(
            batch["name"],
            batch["stiffness_pa"].tolist(),
            images[:, 0].numpy(),
            batch["mask"].numpy().astype(bool),
            batch["instances"].numpy(),
            found,
            strict=True,
        )


def _label_image(folder: Path, name: str, shape: tuple[int, ...]) -> Any:
    import tifffile

    path = folder / f"{name}.tif"
    if not path.is_file():
        raise SystemExit(f"--labels: {path} is missing. Each sample needs <sample name>.tif there.")
    labels = tifffile.imread(path).astype(np.int32)
    if labels.shape != shape:
        raise SystemExit(f"--labels: {path} has shape {labels.shape}, its image {shape}.")
    return labels


def heading(result: dict[str, Any]) -> str:
    """One line that names the network, the split and the data."""
    return f"U-Net, {result['encoder']}: {result['split']} split of {result['data']}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, score, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="Folder of a run, or a checkpoint.")
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument("--source", help="Where the data is now, if it has moved.")
    parser.add_argument("--root", help="Folder for prepared data.")
    parser.add_argument("--labels", type=Path, help="Folder of better instances: <name>.tif.")
    parser.add_argument("--symmetric", action="store_true", help="Average over flips and turns.")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...")
    parser.add_argument("--out", type=Path, help="Folder for the scores. [the run's]")
    options = parser.parse_args(arguments)
    checkpoint = options.run / BEST if options.run.is_dir() else options.run
    out = options.out or checkpoint.parent
    changes = {name: getattr(options, name) for name in ("source", "root")}
    try:
        evaluate(
            checkpoint,
            options.split,
            out=out,
            labels=options.labels,
            symmetric=options.symmetric,
            where=options.device,
            **{name: value for name, value in changes.items() if value is not None},
        )
    except (BMGDError, ValueError) as error:
        raise SystemExit(str(error)) from error
    name = named(options.split, options.labels, symmetric=options.symmetric)
    print((out / f"scores-{name}.md").read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    main()
