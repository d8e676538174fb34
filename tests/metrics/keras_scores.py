"""What metrics and losses of Keras make of masks; prints the table of docs/surprises.md.

    python tests/metrics/keras_scores.py

Two images of 8 x 8 pixels have a nucleus of 4 x 4 each. test_keras_scores.py compares the page.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

MASK = np.zeros((2, 8, 8, 1), np.float32)
MASK[:, 2:6, 2:6] = 1
NOTHING = np.zeros_like(MASK)
ONE_MISSED = np.stack([MASK[0], NOTHING[1]])
BY_IMAGE = np.array([1, 3], np.float32)
BY_PIXEL = np.ones_like(MASK) * BY_IMAGE[:, None, None, None] / 4

CASES: dict[str, tuple[Any, ...]] = {
    "found": (MASK, MASK),
    "0/255, found": (MASK * 255, MASK),
    "0/255, nothing found": (MASK * 255, NOTHING),
    "nothing there or found": (NOTHING, NOTHING),
    "false alarm": (NOTHING, MASK),
    "nuclei at 0.5": (MASK, MASK * 0.5),
    "nuclei at 0.9": (MASK, MASK * 0.9),
    "pixel weights 0.25, 0.75": (MASK, ONE_MISSED, BY_PIXEL),
    "image weights 1, 3": (MASK, ONE_MISSED, BY_IMAGE),
}
"""True masks, predictions, and weights. Of two weighted images the first is found, the other missed."""


FUNCTIONS: dict[str, Callable[[], Any]] = {
    "BinaryIoU of class 1": lambda: keras.metrics.BinaryIoU(target_class_ids=[1]),
    "IoU of class 1": lambda: keras.metrics.IoU(2, target_class_ids=[1]),
    "MeanIoU": lambda: keras.metrics.MeanIoU(2),
    "BinaryAccuracy": keras.metrics.BinaryAccuracy,
    "Precision": keras.metrics.Precision,
    "Recall": keras.metrics.Recall,
    "AUC": keras.metrics.AUC,
    "F1Score": lambda: keras.metrics.F1Score(threshold=0.5),
    "F1Score of flat pixels": lambda: keras.metrics.F1Score(threshold=0.5),
    "Dice, a loss": keras.losses.Dice,
    "Tversky, a loss": keras.losses.Tversky,
    "BinaryCrossentropy": keras.losses.BinaryCrossentropy,
    "BinaryFocalCrossentropy": keras.losses.BinaryFocalCrossentropy,
}


def value(name: str, case: tuple[Any, ...]) -> str:
    """The score or loss as text; "raises" if there is none."""
    if "flat" in name:  # F1Score wants rows of one class, and a weight for each
        case = tuple(array.reshape((-1, 1)[: 2 - (at == 2)]) for at, array in enumerate(case))
    true, found, *weights = case
    weighted = {"sample_weight": weights[0]} if weights else {}
    function = FUNCTIONS[name]()
    try:
        if isinstance(function, keras.losses.Loss):
            made = function(true, found, **weighted)
        else:
            function.update_state(true, found, **weighted)
            made = function.result()
    except Exception:  # whatever the backend raises
        return "raises"
    return f"{round(float(np.ravel(keras.ops.convert_to_numpy(made))[0]), 3) + 0:.3g}"


def main() -> None:
    print(f"| Keras {keras.__version__} | {' | '.join(CASES)} |\n|{' --- |' * (1 + len(CASES))}")
    for name in FUNCTIONS:
        print(f"| {name} | {' | '.join(value(name, case) for case in CASES.values())} |")


if __name__ == "__main__":
    main()
