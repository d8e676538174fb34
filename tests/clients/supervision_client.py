"""supervision: the data sets it makes of the COCO export, and their masks."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
from supervision import DetectionDataset
from tifffile import imwrite
from truth import BASE, names, require_same, samples, tell

truth, known = samples(), names("coco")
out = BASE / "predicted" / "supervision"
out.mkdir(parents=True)
nuclei = 0
for split in ("train", "val", "test"):
    folder = BASE / "coco" / split
    found = DetectionDataset.from_coco(
        str(folder / "images"), str(folder / "annotations_rle.json"), force_masks=True
    )
    for path, _, detections in found:
        file = Path(path)
        name = known[f"{split}/images/{file.name}"]
        labels = truth[f"{name}/instances"]
        again = np.zeros_like(labels)
        masks = detections.mask if len(detections) else []
        for number, mask in enumerate(masks, 1):
            again[mask] = number
        require_same(again, labels, f"masks of {name}")
        nuclei += len(masks)
        if split == "test":
            imwrite(out / f"{file.stem}.tif", again)
tell(version("supervision"), f"{len(known)} images, {nuclei} masks, equal")
