"""nnU-Net: its integrity check, fingerprint, plans and preprocessing, and two training steps."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from truth import BASE, names, require_same, samples, tell

RAW, NAME = BASE / "nnunet", "Dataset001_BMGD"
FOLDERS = {
    "nnUNet_raw": RAW,
    "nnUNet_preprocessed": BASE / "nnunet-preprocessed",
    "nnUNet_results": BASE / "nnunet-results",
}
os.environ.update({key: str(folder) for key, folder in FOLDERS.items()})


def main() -> None:
    import numpy as np
    import torch
    from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO
    from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json
    from nnunetv2.run.run_training import get_trainer_from_args
    from nnunetv2.utilities.file_path_utilities import load_json

    truth, known = samples(), names("nnunet")
    described = load_json(str(RAW / NAME / "dataset.json"))
    first = str(RAW / next(file for file in known if "imagesTr" in file))
    if determine_reader_writer_from_dataset_json(described, first) is not NaturalImage2DIO:
        sys.exit("another reader is chosen")
    reader = NaturalImage2DIO()
    out = BASE / "predicted" / "nnunet"
    out.mkdir(parents=True)
    for file, name in known.items():
        label = file.replace("/images", "/labels").replace("_0000.png", ".png")
        image, _ = reader.read_images([str(RAW / file)])
        mask, properties = reader.read_seg(str(RAW / label))
        require_same(image, truth[f"{name}/image"], f"image {name}")
        require_same(mask, truth[f"{name}/mask"], f"mask {name}")
        if "labelsTs" in label:
            reader.write_seg(mask[0].astype(np.uint8), str(out / Path(label).name), properties)
    command = Path(sys.executable).with_name("nnUNetv2_plan_and_preprocess")
    options = ["-d", "1", "--verify_dataset_integrity", "-c", "2d", "-npfp", "1", "-np", "1"]
    subprocess.run([command, *options], check=True, stdout=sys.stderr)
    done = FOLDERS["nnUNet_preprocessed"] / NAME
    split = RAW / NAME / "splits_final.json"
    shutil.copy(split, done)
    trainer = get_trainer_from_args("1", "2d", 0, device=torch.device("cpu"))
    trainer.num_epochs, trainer.num_iterations_per_epoch = 1, 2
    trainer.num_val_iterations_per_epoch = 1
    trainer.configuration_manager.configuration["batch_size"] = 2
    trainer.run_training()
    train, val = trainer.do_split()
    if (train, val) != tuple(load_json(str(split))[0].values()):
        sys.exit("it trains on another split")
    losses = trainer.logger.get_value("train_losses", None)
    if not np.isfinite(losses).all():
        sys.exit(f"the losses are {losses}")
    tell(
        version("nnunetv2"),
        f"{len(known)} images and masks equal; check, plans, preprocessing, two training steps "
        "on our split",
    )


if __name__ == "__main__":  # its steps start processes that import this file
    main()
