"""Pictures of predictions beside the truth, one row per stiffness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_RIGHT, _MISSED, _INVENTED = (0.35, 0.75, 0.45), (0.95, 0.25, 0.65), (1.0, 0.70, 0.10)
_TITLES = ("image", "truth", "prediction", "overlay")


class Shown(NamedTuple):
    """One image to draw."""

    name: str
    stiffness_pa: int
    f1: float
    image: NDArray[np.float32]  #: (H, W) in 0..1
    truth: NDArray[np.bool_]  #: (H, W)
    prediction: NDArray[np.bool_]  #: (H, W)


def representative(shown: Sequence[Shown]) -> list[Shown]:
    """The image of median F1 of each stiffness."""
    chosen = []
    for pa in sorted({each.stiffness_pa for each in shown}):
        of_it = sorted((each for each in shown if each.stiffness_pa == pa), key=lambda e: e.f1)
        chosen.append(of_it[len(of_it) // 2])
    return chosen


def panels(
    rows: Sequence[Shown], path: Path, title: str, labels: Sequence[str] | None = None
) -> None:
    """Write a PNG: image, truth, prediction, and both over the image with errors in colour.

    Args:
        rows: What to draw.
        path: Path of the PNG.
        title: Text above.
        labels: Text beside each row; None for its stiffness.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(10, 2.6 * len(rows) + 0.9), layout="constrained")
    axes = figure.subplots(len(rows), len(_TITLES), squeeze=False)
    labels = labels or [f"{each.stiffness_pa} Pa" for each in rows]
    for line, each, label in zip(axes, rows, labels, strict=True):
        pictures = (each.image, each.truth, each.prediction, coloured(each))
        for place, head, picture in zip(line, _TITLES, pictures, strict=True):
            place.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            place.set(xticks=[], yticks=[])
            if each is rows[0]:
                place.set_title(head, fontsize=10)
        line[0].set_ylabel(label, fontsize=10)
        line[3].set_xlabel(f"{each.name}   F1 {each.f1:.3f}", fontsize=8)
    colours = {"found": _RIGHT, "missed": _MISSED, "invented": _INVENTED}
    handles = [Patch(color=colour, label=label) for label, colour in colours.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)


def coloured(shown: Shown) -> NDArray[Any]:
    """(H, W, 3) in 0..1: the grey image, coloured where truth or prediction has a nucleus."""
    picture = np.repeat(shown.image[..., None], 3, axis=-1) * 0.8
    for where, colour, strength in (
        (shown.truth & shown.prediction, _RIGHT, 0.35),
        (shown.truth & ~shown.prediction, _MISSED, 0.85),
        (~shown.truth & shown.prediction, _INVENTED, 0.85),
    ):
        picture[where] = (1 - strength) * picture[where] + strength * np.array(colour)
    return picture
