"""Cellpose: its own loader for training, and its own writer for the predictions."""

from importlib.metadata import version

import numpy as np
from cellpose import io
from truth import BASE, names, require_same, samples, tell

truth, known = samples(), names("cellpose")
train, test = BASE / "cellpose" / "train", BASE / "cellpose" / "test"
images, labels, files, *rest = io.load_train_test_data(
    str(train), str(test), image_filter="_img", mask_filter="_masks"
)
for found, masks, paths, split in ((images, labels, files, "train"), (*rest, "test")):
    for image, mask, path in zip(found, masks, paths, strict=True):
        name = known[f"{split}/{path.rsplit('/', 1)[-1]}"]
        require_same(image, truth[f"{name}/image"], f"image {name}")
        require_same(mask, truth[f"{name}/instances"], f"labels {name}")
out = BASE / "predicted" / "cellpose"
out.mkdir(parents=True)
flows = [[np.zeros((1, 1))] * 4 for _ in rest[0]]
io.save_masks(rest[0], rest[1], flows, rest[2], png=False, tif=True, savedir=str(out))
tell(version("cellpose"), f"{len(images)} + {len(rest[0])} images and labels equal")
