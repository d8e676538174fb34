"""napari: files opened as a person drops them on the window, under Xvfb."""

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
viewer.close()
tell(version("napari"), f"{opened} images and label layers equal; scale {scale}")
