"""napari under Xvfb: files opened as if dropped on the window, and this package's samples."""

import sys
from importlib.metadata import version

import napari
from truth import BASE, names, require_same, samples, tell

truth, known = samples(), names("folders")
viewer = napari.Viewer(show=True)
opened = 0
for file, name in known.items():
    if not file.startswith("test/"):
        continue
    path = BASE / "folders" / file
    (image,) = viewer.open(str(path), plugin="napari")
    labels = str(path).replace("/images/", "/masks/")
    (mask,) = viewer.open(labels, plugin="napari", layer_type="labels")
    require_same(image.data, truth[f"{name}/image"], f"image {name}")
    require_same(mask.data, truth[f"{name}/instances"], f"labels {name}")
    opened += 1
out = BASE / "predicted" / "napari"
out.mkdir(parents=True)
for layer in viewer.layers[1::2]:
    layer.save(str(out / f"{layer.name.split(' ')[0]}.tif"), plugin="napari")
scale = tuple(float(step) for step in image.scale)
viewer.layers.clear()
viewer.open_sample("bmgd-data", "bmgd")  # File > Open Sample > BMGD; run.py names the source
for image, labels in zip(viewer.layers[::2], viewer.layers[1::2], strict=True):
    for row, name in enumerate(image.metadata["names"]):
        require_same(image.data[row], truth[f"{name}/image"], f"sample image {name}")
        require_same(labels.data[row], truth[f"{name}/instances"], f"sample labels {name}")
    if {*image.scale[1:], *labels.scale[1:]} != {0.25}:
        sys.exit(f"the samples' scale is {image.scale}")
samples_shown = sum(len(layer.data) for layer in viewer.layers[::2])
viewer.close()
tell(
    version("napari"),
    f"{opened} images and label layers equal; scale {scale}; {samples_shown} samples equal",
)
