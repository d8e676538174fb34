"""Ultralytics: its own loader's masks, one epoch of a small model, labels of the test split."""

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from tifffile import imwrite
from truth import BASE, names, require_same, samples, tell
from ultralytics import YOLO
from ultralytics.cfg import get_cfg
from ultralytics.data import build_yolo_dataset
from ultralytics.data.utils import check_det_dataset

SIDE = 256  # of the images
truth, known = samples(), names("yolo")
description = str(BASE / "yolo" / "data.yaml")
data = check_det_dataset(description, autodownload=False)
whole = {"task": "segment", "imgsz": SIDE, "mask_ratio": 1, "overlap_mask": False}
out = BASE / "predicted" / "ultralytics"
out.mkdir(parents=True)
worst, nuclei = 1.0, 0
for split in ("train", "val", "test"):
    loaded = build_yolo_dataset(get_cfg(overrides=whole), data[split], 1, data, mode="val")
    for item in loaded:
        file = Path(item["im_file"])
        name = known[f"{split}/images/{file.name}"]
        labels = truth[f"{name}/instances"]
        raw = truth[f"{name}/image"]
        require_same(item["img"][0].numpy(), np.rint(raw * (255 / 4095)), f"picture of {name}")
        masks = item["masks"].numpy()[: len(item["cls"])] > 0
        if len(masks) != labels.max():
            sys.exit(f"{name}: {len(masks)} masks of {labels.max()} nuclei")
        again = np.zeros_like(labels)
        for number, mask in enumerate(masks, 1):
            nucleus = labels == number
            worst = min(worst, (mask & nucleus).sum() / (mask | nucleus).sum())
            again[mask] = number
        nuclei += len(masks)
        if split == "test":
            imwrite(out / f"{file.stem}.tif", again)
if worst < 0.97:
    sys.exit(f"masks have an IoU of {worst:.3f} with ours")
model = YOLO("yolo11n-seg.yaml", task="segment")
short = {"epochs": 1, "imgsz": 128, "batch": 8, "device": "cpu", "workers": 0, "amp": False}
trained = model.train(data=description, project=str(BASE / "runs"), plots=False, **short)
if trained is None or not np.isfinite(list(trained.results_dict.values())).all():
    sys.exit(f"training gave {trained}")
tell(
    version("ultralytics"),
    f"{len(known)} images equal, {nuclei} masks with an IoU of {worst:.3f} or more; "
    "trained one epoch",
)
