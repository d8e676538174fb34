"""nnU-Net: the data set made of the folders export as the docs show, and its integrity check."""

import shutil
import sys
from importlib.metadata import version

import numpy as np
from nnunetv2.dataset_conversion.generate_dataset_json import generate_dataset_json
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO
from tifffile import imread, imwrite
from truth import BASE, names, require_same, samples, tell


def main() -> None:
    truth, known = samples(), names("folders")
    source, target = BASE / "folders" / "train", BASE / "nnunet" / "Dataset001_BMGD"
    for folder in ("imagesTr", "labelsTr"):
        (target / folder).mkdir(parents=True)
    files = sorted((source / "images").glob("*.tif"))
    for file in files:
        shutil.copy(file, target / "imagesTr" / f"{file.stem}_0000.tif")
        label = (imread(source / "foreground" / file.name) > 0).astype(np.uint8)
        imwrite(target / "labelsTr" / file.name, label)
    generate_dataset_json(
        str(target),
        {0: "DAPI"},
        {"background": 0, "nucleus": 1},
        len(files),
        ".tif",
        overwrite_image_reader_writer="NaturalImage2DIO",
    )
    verify_dataset_integrity(str(target), num_processes=1)
    reader = NaturalImage2DIO()
    for file in files:
        name = known[f"train/images/{file.name}"]
        image, _ = reader.read_images([str(target / "imagesTr" / f"{file.stem}_0000.tif")])
        mask, _ = reader.read_seg(str(target / "labelsTr" / file.name))
        require_same(image, truth[f"{name}/image"], f"image {name}")
        require_same(mask, truth[f"{name}/mask"], f"mask {name}")
    out = BASE / "predicted" / "nnunet"
    out.mkdir(parents=True)
    for file in sorted((BASE / "folders" / "test" / "foreground").glob("*.tif")):
        mask, properties = reader.read_seg(str(file))
        reader.write_seg((mask[0] > 0).astype(np.uint8), str(out / file.name), properties)
    sys.stdout.flush()
    tell(version("nnunetv2"), f"integrity check passed, {len(files)} images and masks equal")


if __name__ == "__main__":  # its check starts processes that import this file
    main()
