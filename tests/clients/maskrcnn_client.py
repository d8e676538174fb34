"""torchvision's Mask R-CNN: one training step on CocoDetection, as its tutorial does it."""

import json
from importlib.metadata import version

import numpy as np
import torch
from torchvision.datasets import CocoDetection, wrap_dataset_for_transforms_v2
from torchvision.models.detection import maskrcnn_resnet50_fpn
from torchvision.transforms import v2
from truth import BASE, require_same, samples, tell

truth = samples()
folder = BASE / "coco" / "train"
steps = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
data = CocoDetection(str(folder / "images"), str(folder / "annotations_rle.json"), transforms=steps)
data = wrap_dataset_for_transforms_v2(data, target_keys=["image_id", "boxes", "labels", "masks"])
images = {
    image["id"]: image
    for image in json.loads((folder / "annotations_rle.json").read_text())["images"]
}
batch = []
for image, target in data:
    known = images[target["image_id"]]
    labels, raw = truth[f"{known['name']}/instances"], truth[f"{known['name']}/image"]
    require_same(
        np.rint(image[0].numpy() * 255), np.rint(raw * (255 / known["full_scale"])), known["name"]
    )
    stacked = np.stack([labels == label for label in range(1, labels.max() + 1)])
    require_same(target["masks"].numpy() > 0, stacked, f"masks of {known['name']}")
    batch.append((image.as_subclass(torch.Tensor), target))
torch.manual_seed(0)
size = {"min_size": 256, "max_size": 256}
model = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=2, **size).train()
inputs, targets = zip(*batch[:2], strict=True)
plain = [
    {k: v.as_subclass(torch.Tensor) if torch.is_tensor(v) else v for k, v in t.items()}
    for t in targets
]
loss = sum(model(list(inputs), plain).values())
loss.backward()
if not torch.isfinite(loss):
    raise SystemExit(f"the loss is {loss}")
tell(
    version("torchvision"),
    f"{len(batch)} images, boxes and masks equal; loss {loss:.2f} after a step",
)
