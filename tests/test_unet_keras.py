"""The example in examples/unet_keras: its modules are imported from its folder."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from bmgd_data import Reader
from bmgd_data.metrics import Evaluator
from common import TINY

# torch's Triton and TensorFlow both bring LLVM; Triton loaded second ends the process.
with contextlib.suppress(ImportError):
    import triton  # noqa: F401

if importlib.util.find_spec("tensorflow") is None:
    pytest.skip("TensorFlow is not installed", allow_module_level=True)

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "unet_keras"
MODULES = [path.stem for path in EXAMPLE.glob("*.py")]
ENCODERS = (
    *("resnet50", "mobilenet_v2", "inceptionresnetv2"),
    *("inception_v3", "densenet121", "vgg19"),
)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TensorFlow's own


@pytest.fixture(scope="module", autouse=True)
def _example_importable():
    others = {name: sys.modules.pop(name) for name in MODULES if name in sys.modules}
    sys.path.insert(0, str(EXAMPLE))
    yield
    sys.path.remove(str(EXAMPLE))
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.modules.update(others)


def norms(net):
    """Batch norms, whose averages must follow within an epoch of a small set."""
    import keras

    for layer in net.layers:
        if isinstance(layer, keras.Model):
            yield from norms(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            yield layer


@pytest.mark.parametrize(
    "encoder",
    [
        pytest.param(
            name, marks=[] if name in ("mobilenet_v2", "inception_v3") else pytest.mark.release
        )
        for name in ENCODERS
    ],
)
@pytest.mark.release
def test_maps_of_each_encoder_are_exact_halves(encoder):
    """Their sizes, and that a mask comes out of any size that is a multiple of 32."""
    import unet

    assert set(unet.ENCODERS) == set(ENCODERS)
    net = unet.unet(encoder, "none")
    maps = net.get_layer(encoder)(np.zeros((1, 96, 64, 3), np.float32))
    sizes = [tuple(each.shape[1:3]) for each in maps]
    assert sizes == [(3, 2), (6, 4), (12, 8), (24, 16), (48, 32)]
    assert all(layer.momentum == 0.9 for layer in norms(net))
    (rescaling,) = (layer for layer in net.layers if type(layer).__name__ == "Rescaling")
    assert (rescaling.scale, rescaling.offset) == unet._INPUTS[unet.ENCODERS[encoder][1]]
    chance = np.asarray(net(np.random.default_rng(0).random((2, 96, 64, 1), np.float32)))
    assert chance.shape == (2, 96, 64, 1)
    assert (chance > 0).all()
    assert (chance < 1).all()


def test_inception_keeps_its_weights_when_it_is_padded():
    import keras
    import unet

    body = keras.applications.InceptionV3(
        include_top=False, weights=None, input_shape=(None, None, 3)
    )
    padded = unet._halving(body)
    for ours, theirs in zip(padded.get_weights(), body.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [type(layer) for layer in padded.layers] == [type(layer) for layer in body.layers]


@pytest.mark.parametrize("network", ["ResNet50", "MobileNetV2", "DenseNet121"])
def test_inputs_are_what_the_imagenet_weights_were_trained_on(network):
    import keras
    import unet

    name, module = {
        "ResNet50": ("resnet50", keras.applications.resnet50),
        "MobileNetV2": ("mobilenet_v2", keras.applications.mobilenet_v2),
        "DenseNet121": ("densenet121", keras.applications.densenet),
    }[network]
    scale, offset = unet._INPUTS[unet.ENCODERS[name][1]]
    grey = np.linspace(0, 1, 5, dtype=np.float32)[:, None] * np.ones(3, np.float32)
    expected = module.preprocess_input(255 * grey[None, None].copy())[0, 0]
    np.testing.assert_allclose(grey * scale + offset, expected, rtol=1e-4, atol=1e-3)


def test_scores_and_loss_are_those_of_segmentation_models():
    import unet

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (3, 8, 8, 1)).astype(np.uint8)
    chance = rng.random((3, 8, 8, 1), np.float32)
    found = chance > 0.5
    both, one = (found & (truth > 0)).sum(), found.sum() + truth.sum()
    assert float(unet.f1(truth, chance)) == pytest.approx(2 * both / one, rel=1e-4)
    assert float(unet.iou(truth, chance)) == pytest.approx(both / (one - both), rel=1e-4)
    entropy = -np.mean(np.where(truth, np.log(chance), np.log(1 - chance)))
    dice = 1 - 2 * (truth * chance).sum() / (truth.sum() + chance.sum())
    assert float(unet.bce_dice(truth, chance)) == pytest.approx(entropy + dice, rel=1e-4)


def test_images_are_stretched_between_two_quantiles():
    import data

    rng = np.random.default_rng(0)
    image = rng.random((2, 32, 32, 1), np.float32) * 0.4 + np.array([0.1, 0.3])[:, None, None, None]
    low, high = np.quantile(image, (0.01, 0.998), axis=(1, 2, 3), keepdims=True, method="nearest")
    expected = np.clip((image - low) / (high - low), 0, 1)
    np.testing.assert_allclose(data.standardised(np.float32(image)), expected, atol=0.01)
    flat = np.full((1, 8, 8, 1), 0.2, np.float32)
    flat[0, 0, 0] = 0.21
    assert float(np.max(data.standardised(flat))) < 0.11


def test_batches_without_a_crop_are_the_readers_samples_in_order(tiny_root, monkeypatch):
    import data

    reader = Reader("val", source=TINY, root=tiny_root)
    scales = {pa: 40 * 4095 + pa for pa in reader.full_scales}  # too dark to be stretched fully
    monkeypatch.setattr(Reader, "full_scales", scales)
    pairs = list(data.batches(reader, 3).unbatch().as_numpy_iterator())
    for sample, (image, mask) in zip(reader, pairs, strict=True):
        share = np.float32(sample["image"] / scales[sample["stiffness_pa"]])[None, ..., None]
        np.testing.assert_allclose(image[None], data.standardised(share), atol=1e-5)
        np.testing.assert_array_equal(mask[..., 0], sample["mask"])


def test_crops_of_image_and_mask_stay_together(tiny_root):
    import data

    reader = Reader("train", "950Pa", source=TINY, root=tiny_root)
    image, mask = next(data.batches(reader, len(reader), 128).as_numpy_iterator())
    assert image.shape == mask.shape == (len(reader), 128, 128, 1)
    assert image[mask > 0].mean() > image[mask == 0].mean() + 0.1


@pytest.mark.release
def test_a_run_trains_predicts_and_is_scored(tiny_root, tmp_path, capsys):
    import train

    options = ["--source", TINY, "--root", str(tiny_root), "--out", str(tmp_path / "run")]
    fast = ["--weights", "none", "--epochs", "2", "--batch", "4", "--crop", "32", "--quiet"]
    train.main([*options, *fast])
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert float(rows[1]["loss"]) < float(rows[0]["loss"])
    assert 0 <= float(rows[1]["val_f1"]) <= 1
    train.main([*options, "--predict", "test"])
    told = capsys.readouterr().out
    assert re.search(r"bmgd evaluate '.*run/test' --split test --source", told)
    evaluator = Evaluator("test", source=TINY, root=tiny_root)
    evaluator.add_folder(tmp_path / "run" / "test")
    assert evaluator.table().to_dict()["scores"]["all"]["images"] == len(
        Reader("test", source=TINY, root=tiny_root)
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--crop", "100"], "--crop 100"),
        (["--predict", "test"], "train first"),
        (["--weights", "gone.h5"], "--weights gone.h5: no such file"),
    ],
)
def test_what_cannot_be_done_is_reported(arguments, told, tmp_path, tiny_root, capsys):
    import train

    options = ["--source", TINY, "--root", str(tiny_root), "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as error:
        train.main([*options, *arguments])
    assert told in f"{error.value} {capsys.readouterr().err}"
