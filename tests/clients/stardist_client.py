"""StarDist: the lines of its notebooks 1_data and 2_training, then stardist-predict2d."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from csbdeep.utils import normalize
from stardist import fill_label_holes
from stardist.models import Config2D, StarDist2D
from tifffile import imread, imwrite
from truth import BASE, names, require_same, samples, tell

truth, known = samples(), names("folders")
folder = BASE / "folders" / "train"
X, Y = (sorted(folder.glob(f"{kind}/*.tif")) for kind in ("images", "masks"))
if [path.name for path in X] != [path.name for path in Y]:
    sys.exit("the names of images and masks differ")
images, labels = list(map(imread, X)), list(map(imread, Y))
for path, image, mask in zip(X, images, labels, strict=True):
    name = known[f"train/images/{path.name}"]
    require_same(image, truth[f"{name}/image"], f"image {name}")
    require_same(mask, truth[f"{name}/instances"], f"labels {name}")
labels = [fill_label_holes(mask) for mask in labels]
objects = sum(len(np.unique(mask)) - 1 for mask in labels)
conf = Config2D(
    n_rays=8,
    grid=(4, 4),
    train_patch_size=(64, 64),
    unet_n_depth=1,
    train_batch_size=2,
    train_tensorboard=False,
)
model = StarDist2D(conf, name="small", basedir=str(BASE / "models"))
images = [normalize(image, 1, 99.8) for image in images]
model.train(images, labels, validation_data=(images[:1], labels[:1]), epochs=1, steps_per_epoch=2)
test = sorted(map(str, (BASE / "folders" / "test" / "images").glob("*.tif")))
out = BASE / "predicted" / "stardist"
command = [
    str(Path(sys.executable).with_name("stardist-predict2d")),
    "-i",
    *test[:1],
    "-o",
    str(out),
]
subprocess.run([*command, "-m", str(BASE / "models" / "small")], check=True, capture_output=True)
(written,) = out.iterdir()  # its name for the first; the others in the same way, and all perfect
ending = written.name.removeprefix(Path(test[0]).stem)
for file in test:
    imwrite(out / f"{Path(file).stem}{ending}", imread(file.replace("/images/", "/masks/")))
tell(version("stardist"), f"{len(X)} images and labels equal, {objects} objects, trained 1 epoch")
