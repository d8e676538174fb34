"""The U-Net on an encoder of keras.applications, its loss, and the paper's scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import keras
from keras import layers, ops

_RGB_MEAN, _RGB_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, for "torch"
_BGR_MEAN = (103.939, 116.779, 123.68)
_INPUTS: Final[dict[str, tuple[Any, Any]]] = {
    "tf": (2.0, -1.0),
    "caffe": (255.0, [-mean for mean in _BGR_MEAN]),
    "torch": (
        [1 / std for std in _RGB_STD],
        [-mean / std for mean, std in zip(_RGB_MEAN, _RGB_STD, strict=True)],
    ),
}
"""Scale and offset from grey values in 0..1, as three equal channels, to the values that the
ImageNet weights were trained on, by their names in keras.applications."""
_FILTERS = (256, 128, 64, 32, 16)
_SMOOTH, _MOMENTUM = 1e-5, 0.9


# Numbers of layers, since those before the first mixed one have no fixed names.
_INCEPTION: Final = (16, 9)
ENCODERS: Final[dict[str, tuple[str, str, tuple[str | int, ...]]]] = {
    "resnet50": (
        *("ResNet50", "caffe"),
        ("conv4_block6_out", "conv3_block4_out", "conv2_block3_out", "conv1_relu"),
    ),
    "mobilenet_v2": ("MobileNetV2", "tf", tuple(f"block_{n}_expand_relu" for n in (13, 6, 3, 1))),
    "inceptionresnetv2": (
        *("InceptionResNetV2", "tf"),
        ("block17_20_ac", "block35_10_ac", *_INCEPTION),
    ),
    "inception_v3": ("InceptionV3", "tf", ("mixed7", "mixed2", *_INCEPTION)),
    "densenet121": (
        *("DenseNet121", "torch"),
        ("pool4_relu", "pool3_relu", "pool2_relu", "conv1_relu"),
    ),
    "vgg19": ("VGG19", "caffe", (*(f"block{n}_conv4" for n in (5, 4, 3)), "block2_conv2")),
}
"""The paper's six: the network, its kind of input, and the layers with its maps of 1/16, 1/8, 1/4
and 1/2 of the size, as in segmentation_models, which the paper used."""


def unet(encoder: str, weights: str = "imagenet") -> keras.Model:
    """Build a U-Net as segmentation_models does.

    Args:
        encoder: A key of `ENCODERS`.
        weights: Weights of the encoder: "imagenet" (downloaded), "none", or the path of a file that
            keras.applications offers for this network without its top.

    Returns:
        A model from grey values (B, H, W, 1) in 0..1 to the probability of nucleus, of the same
        shape. H and W are multiples of 32.

    Raises:
        SystemExit: The weights are not available; the message names the option.
    """
    network, inputs, skips_at = ENCODERS[encoder]
    scale, offset = _INPUTS[inputs]
    body = _halving(_pretrained(network, weights))
    for layer in body.layers:  # as slow as 0.999 in MobileNetV2, which suits ImageNet's step counts
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = _MOMENTUM
    found = [
        body.get_layer(**{"name" if isinstance(skip, str) else "index": skip}).output
        for skip in skips_at
    ]
    maps = keras.Model(body.input, [body.output, *found], name=encoder)
    grey = keras.Input((None, None, 1), name="image")
    three = layers.Rescaling(scale, offset)(layers.Concatenate()([grey, grey, grey]))
    features, *skips = maps(three)
    for number, filters in enumerate(_FILTERS):
        features = layers.UpSampling2D()(features)
        if number < len(skips):
            features = layers.Concatenate()([features, skips[number]])
        for _ in range(2):
            features = layers.Conv2D(filters, 3, padding="same", use_bias=False)(features)
            features = layers.ReLU()(layers.BatchNormalization(momentum=_MOMENTUM)(features))
    nucleus = layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="nucleus")(features)
    return keras.Model(grey, nucleus, name=f"unet_{encoder}")


def _pretrained(network: str, weights: str) -> keras.Model:
    if weights not in ("imagenet", "none") and not Path(weights).is_file():
        raise SystemExit(f"--weights {weights}: no such file. Give imagenet, none or a file.")
    build: Any = getattr(keras.applications, network)
    chosen = None if weights == "none" else weights
    try:
        return build(include_top=False, weights=chosen, input_shape=(None, None, 3))
    except Exception as error:
        raise SystemExit(
            f"The weights {weights!r} of {network} are not available ({error}). Connect to the "
            "network, or give --weights none for random ones, or the path of a file that fits."
        ) from error


def _halving(body: keras.Model) -> keras.Model:
    """Pad the inceptions, so that each stage halves the size exactly.

    Without padding their feature maps have odd sizes and do not align with the decoder's. Padding
    has no weights, so the trained ones still fit.
    """
    if "inception" not in body.name:
        return body

    def padded(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        size = config.get("kernel_size", config.get("pool_size"))
        if config.get("padding") == "valid" and size is not None and tuple(size) == (3, 3):
            config["padding"] = "same"
        return type(layer).from_config(config)

    copy = keras.models.clone_model(body, clone_function=padded)
    copy.set_weights(body.get_weights())
    return copy


def bce_dice(truth: Any, chance: Any) -> Any:
    """Cross-entropy plus Dice of the whole batch, as segmentation_models' bce_dice_loss."""
    truth = ops.cast(truth, "float32")
    entropy = ops.mean(keras.losses.binary_crossentropy(truth, chance))
    both = ops.sum(truth * chance)
    return entropy + 1 - (2 * both + _SMOOTH) / (ops.sum(truth) + ops.sum(chance) + _SMOOTH)


def f1(truth: Any, chance: Any) -> Any:
    """F1 of a batch at threshold 0.5; Keras averages over batches, as segmentation_models does."""
    both, either = _counts(truth, chance)
    return (2 * both + _SMOOTH) / (both + either + _SMOOTH)


def iou(truth: Any, chance: Any) -> Any:
    """IoU of a batch at threshold 0.5; Keras averages over batches."""
    both, either = _counts(truth, chance)
    return (both + _SMOOTH) / (either + _SMOOTH)


def _counts(truth: Any, chance: Any) -> tuple[Any, Any]:
    """Pixels in both masks, and in either."""
    truth, found = ops.cast(truth, "float32"), ops.cast(chance > 0.5, "float32")  # noqa: PLR2004
    both = ops.sum(truth * found)
    return both, ops.sum(truth) + ops.sum(found) - both
