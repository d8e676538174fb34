"""Scores of other libraries on the pairs on which definitions differ; prints the table of docs/scores.md.

    python tests/metrics/libraries.py

It shows the libraries that this environment has, and needs numpy alone besides them. test_libraries.py
compares them with ours.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Score = Callable[[NDArray[np.integer], NDArray[np.integer]], float]

# ---------------------------------------------------------------------------------- scores of pixels


def monai_pixels(metric: str) -> Score:
    def score(truth, prediction):
        import torch
        from monai import metrics

        measure = getattr(metrics, metric)()
        measure(*(torch.from_numpy(side > 0)[None, None].float() for side in (prediction, truth)))
        return float(measure.aggregate())

    return score


def torchmetrics_pixels(module: str, metric: str, **options) -> Score:
    def score(truth, prediction):
        import importlib

        import torch

        measure = getattr(importlib.import_module(f"torchmetrics.{module}"), metric)(**options)
        sides = [torch.from_numpy((side > 0).astype(int))[None] for side in (prediction, truth)]
        measure.update(*sides)
        return float(measure.compute())

    return score


def smp(name: str) -> Score:
    def score(truth, prediction):
        import torch
        from segmentation_models_pytorch import metrics

        sides = [torch.from_numpy((s > 0).astype(int))[None, None] for s in (prediction, truth)]
        counts = metrics.get_stats(*sides, mode="binary")
        return float(getattr(metrics, name)(*counts, reduction="micro-imagewise"))

    return score


def keras(name: str, **options) -> Score:
    def score(truth, prediction):
        from keras import metrics

        measure = getattr(metrics, name)(**options)
        measure.update_state(
            *((side > 0).astype(np.float32).reshape(-1, 1) for side in (truth, prediction))
        )
        return float(np.ravel(measure.result())[-1])

    return score


def medpy(name: str) -> Score:
    def score(truth, prediction):
        from medpy.metric import binary

        return float(getattr(binary, name)(prediction > 0, truth > 0))

    return score


def simpleitk(name: str) -> Score:
    def score(truth, prediction):
        import SimpleITK

        measure = SimpleITK.LabelOverlapMeasuresImageFilter()
        measure.Execute(
            *(SimpleITK.GetImageFromArray((s > 0).astype(np.uint8)) for s in (truth, prediction))
        )
        return float(getattr(measure, name)())

    return score


PIXELS = {
    "MONAI DiceMetric": ("monai", "f1", monai_pixels("DiceMetric")),
    "MONAI MeanIoU": ("monai", "iou", monai_pixels("MeanIoU")),
    "torchmetrics DiceScore, no background": (
        "torchmetrics",
        "f1",
        torchmetrics_pixels(
            "segmentation",
            "DiceScore",
            num_classes=2,
            include_background=False,
            input_format="index",
        ),
    ),
    "torchmetrics MeanIoU, no background": (
        "torchmetrics",
        "iou",
        torchmetrics_pixels(
            "segmentation", "MeanIoU", num_classes=2, include_background=False, input_format="index"
        ),
    ),
    "torchmetrics BinaryF1Score": (
        "torchmetrics",
        "f1",
        torchmetrics_pixels("classification", "BinaryF1Score"),
    ),
    "torchmetrics BinaryJaccardIndex": (
        "torchmetrics",
        "iou",
        torchmetrics_pixels("classification", "BinaryJaccardIndex"),
    ),
    "segmentation-models-pytorch f1_score": ("segmentation-models-pytorch", "f1", smp("f1_score")),
    "segmentation-models-pytorch iou_score": (
        "segmentation-models-pytorch",
        "iou",
        smp("iou_score"),
    ),
    "Keras BinaryIoU, class 1": ("keras", "iou", keras("BinaryIoU", target_class_ids=[1])),
    "Keras F1Score": ("keras", "f1", keras("F1Score", threshold=0.5)),
    "MedPy dc": ("medpy", "f1", medpy("dc")),
    "MedPy jc": ("medpy", "iou", medpy("jc")),
    "SimpleITK Dice": ("SimpleITK", "f1", simpleitk("GetDiceCoefficient")),
    "SimpleITK Jaccard": ("SimpleITK", "iou", simpleitk("GetJaccardCoefficient")),
}
"""Name: distribution, the score of ours that it is, and the function of (truth, prediction)."""

# ------------------------------------------------------------------------------- scores of instances


def monai_pq(truth, prediction):
    import torch
    from monai.metrics import PanopticQualityMetric

    measure = PanopticQualityMetric(num_classes=1, metric_name="pq")
    sides = [
        torch.from_numpy(np.stack([s, s > 0]).astype(np.int64))[None] for s in (prediction, truth)
    ]
    measure(*sides)
    return float(measure.aggregate())


def torchmetrics_pq(truth, prediction):
    import torch
    from torchmetrics.detection import PanopticQuality

    measure = PanopticQuality(things={1}, stuffs={0}, return_per_class=True)
    sides = [
        torch.from_numpy(np.stack([s > 0, s], -1).astype(np.int64))[None]
        for s in (prediction, truth)
    ]
    measure.update(*sides)
    return float(np.ravel(measure.compute())[0])  # things come first


def stardist_ap(truth, prediction):
    from stardist.matching import matching

    return float(matching(truth.astype(int), prediction.astype(int), thresh=0.5).accuracy)


def stardist_pq(truth, prediction):
    from stardist.matching import matching

    return float(matching(truth.astype(int), prediction.astype(int)).panoptic_quality)


def cellpose_ap(truth, prediction):
    from cellpose.metrics import average_precision

    return float(average_precision([truth.astype(int)], [prediction.astype(int)], [0.5])[0][0, 0])


def panoptica_pq(truth, prediction):
    from panoptica import InputType, NaiveThresholdMatching, Panoptica_Evaluator

    measure = Panoptica_Evaluator(
        expected_input=InputType.UNMATCHED_INSTANCE, instance_matcher=NaiveThresholdMatching()
    )
    sides = (side.astype(np.uint16) for side in (prediction, truth))
    return float(measure.evaluate(*sides, verbose=False)["ungrouped"].pq)


def coco_recall(package: str) -> Score:
    """Recall at an IoU of 0.5 of masks, by the library's own evaluation."""

    def score(truth, prediction):
        coco, evaluation, encode = _coco(package)
        images = [{"id": 1, "height": truth.shape[0], "width": truth.shape[1]}]
        found = []
        for labels in (truth, prediction):
            entries = []
            for number, label in enumerate(np.unique(labels[labels > 0]), 1):
                code = encode(np.asfortranarray(labels == label, np.uint8))
                text = {**code, "counts": bytes(code["counts"]).decode()}
                area = int((labels == label).sum())
                entry = {"id": number, "image_id": 1, "category_id": 1, "segmentation": text}
                entries.append(
                    {**entry, "area": area, "iscrowd": 0, "bbox": [0, 0, 1, 1], "score": 1.0}
                )
            found.append(entries)
        true = coco()
        true.dataset = {
            "images": images,
            "annotations": found[0],
            "categories": [{"id": 1, "name": "nucleus"}],
        }
        true.createIndex()
        measure = evaluation(true, true.loadRes(found[1]), "segm")
        for step in ("evaluate", "accumulate"):
            getattr(measure, step)()
        recall = np.asarray(measure.eval["recall"])  # IoU, class, area, most detections
        return float(recall[0, 0, 0, -1])

    return score


def _coco(package):
    if package == "hotcoco":
        from hotcoco import COCO, COCOeval, mask

        return COCO, COCOeval, mask.encode
    if package == "pycocotools":
        from pycocotools import mask
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        return COCO, COCOeval, mask.encode
    from faster_coco_eval import COCO, COCOeval_faster, mask

    return COCO, COCOeval_faster, mask.encode


INSTANCES = {
    "MONAI PanopticQualityMetric": ("monai", "pq", monai_pq),
    "torchmetrics PanopticQuality, nuclei": ("torchmetrics", "pq", torchmetrics_pq),
    "StarDist matching, accuracy": ("stardist", "ap50", stardist_ap),
    "StarDist matching, panoptic quality": ("stardist", "pq", stardist_pq),
    "Cellpose average_precision": ("cellpose", "ap50", cellpose_ap),
    "panoptica PQ": ("panoptica", "pq", panoptica_pq),
    "pycocotools recall": ("pycocotools", "recall", coco_recall("pycocotools")),
    "hotcoco recall": ("hotcoco", "recall", coco_recall("hotcoco")),
    "faster-coco-eval recall": ("faster-coco-eval", "recall", coco_recall("faster_coco_eval")),
}

# ------------------------------------------------------------------------------------------- the table

EMPTY = np.zeros((8, 8), np.uint16)
ONE = np.pad(np.ones((2, 4), np.uint16), ((2, 4), (2, 2)))
HALF = np.pad(np.ones((2, 2), np.uint16), ((2, 4), (2, 4)))
"""Half of ONE: the IoU is exactly 0.5."""
PAIRS = {"both empty": (EMPTY, EMPTY), "false alarm": (EMPTY, ONE), "IoU 0.5": (ONE, HALF)}


def installed(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def quiet(score: Score, truth: NDArray[np.integer], prediction: NDArray[np.integer]) -> str:
    """The score as text, or the name of what it raises."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            return f"{score(truth, prediction):.4g}"
        except Exception as error:  # whatever a library raises
            return type(error).__name__


def corners() -> dict[str, int]:
    """Regions that libraries count, by default, of two pixels that touch at a corner."""
    two = np.eye(2, dtype=np.uint8)
    found = {}
    with contextlib.suppress(ImportError):
        from skimage.measure import label

        found["scikit-image"] = int(label(two).max())
    with contextlib.suppress(ImportError):
        from scipy import ndimage

        found["SciPy"] = ndimage.label(two)[1]
    with contextlib.suppress(ImportError):
        import cv2

        found["OpenCV"] = cv2.connectedComponents(two)[0] - 1
    with contextlib.suppress(ImportError):
        import SimpleITK

        image = SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray(two))
        found["SimpleITK"] = int(SimpleITK.GetArrayFromImage(image).max())
    return found


def at_half() -> dict[str, bool]:
    """Whether a probability of exactly 0.5 is foreground."""
    found = {}
    with contextlib.suppress(ImportError):
        import torch
        from torchmetrics.classification import BinaryF1Score

        score = BinaryF1Score()(torch.tensor([0.5]), torch.tensor([1]))
        found["torchmetrics BinaryF1Score"] = bool(score == 1)
    with contextlib.suppress(ImportError):
        import torch
        from monai.transforms import AsDiscrete

        found["MONAI AsDiscrete"] = bool(AsDiscrete(threshold=0.5)(torch.tensor([0.5]))[0] == 1)
    with contextlib.suppress(ImportError):
        import torch
        from segmentation_models_pytorch.metrics import get_stats

        half, one = torch.tensor([[[[0.5]]]]), torch.tensor([[[[1]]]])
        counts = get_stats(half, one, mode="binary", threshold=0.5)
        found["segmentation-models-pytorch get_stats"] = bool(counts[0].sum() == 1)
    with contextlib.suppress(ImportError):
        from keras import metrics

        for name, options in (
            ("BinaryIoU", {"target_class_ids": [1]}),
            ("F1Score", {"threshold": 0.5}),
        ):
            measure = getattr(metrics, name)(**options)
            measure.update_state(np.ones((1, 1), np.float32), np.full((1, 1), 0.5, np.float32))
            found[f"Keras {name}"] = bool(np.ravel(measure.result())[-1] > 0.5)
    return found


def main() -> None:
    print(f"| score | version | {' | '.join(PAIRS)} |\n|{' --- |' * (2 + len(PAIRS))}")
    for name, (distribution, _, score) in (PIXELS | INSTANCES).items():
        if version := installed(distribution):
            cells = (quiet(score, *pair) for pair in PAIRS.values())
            print(f"| {name} | {version} | {' | '.join(cells)} |")
    print("Corners:", corners())
    print("0.5 is foreground:", at_half())


if __name__ == "__main__":
    main()
