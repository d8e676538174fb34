"""Probabilities for images of any size, tile by tile."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

_FLIPS: Final = [(turn, flip) for turn in range(4) for flip in (False, True)]


def device(name: str = "auto") -> torch.device:
    """The named device; for "auto" the GPU if there is one."""
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@torch.inference_mode()
def chances(module: torch.nn.Module, images: torch.Tensor, *, symmetric: bool = False) -> Any:
    """Probability of nucleus.

    Args:
        module: A `model.Baseline`, in evaluation mode.
        images: (B, 1, H, W) standardised, on the module's device.
        symmetric: Average over the eight flips and quarter turns: eight times the work.

    Returns:
        (B, H, W) float32 numpy array.
    """
    total = torch.zeros_like(images)
    for turn, flip in _FLIPS if symmetric else _FLIPS[:1]:
        seen = images.rot90(turn, (-2, -1))
        seen = module(seen.flip(-1) if flip else seen)
        total += (seen.flip(-1) if flip else seen).rot90(-turn, (-2, -1))
    return (total[:, 0] / (len(_FLIPS) if symmetric else 1)).cpu().numpy()


def tiled(
    module: torch.nn.Module,
    rows_of: Callable[[slice], NDArray[np.float32]],
    shape: tuple[int, int],
    *,
    tile: int,
    overlap: int,
    symmetric: bool = False,
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Probability of nucleus in an image of any size, in bands from the top.

    Neighbouring tiles share `overlap` pixels. They are blended by weights that fall towards a
    tile's border, where the network sees least of the surroundings. Memory is that of one row of
    tiles.

    Args:
        module: A `model.Baseline`, in evaluation mode.
        rows_of: Gives some rows of the image, (rows, W), standardised.
        shape: (H, W) of the image.
        tile: Side of a tile in pixels.
        overlap: Pixels that neighbours share, at most half of a tile.
        symmetric: As in `chances`.

    Yields:
        Rows, and their probabilities (rows, W) float32.
    """
    on = next(module.parameters()).device
    top = 0
    total = weight = np.zeros((0, shape[1]), np.float32)
    for rows, those in groupby(tiles(shape, tile, overlap), itemgetter(0)):
        done = rows.start - top  # no later tile covers these
        if done:
            yield slice(top, rows.start), total[:done] / weight[:done]
        top, bottom = rows.start, min(rows.stop, shape[0])
        total, weight = (_lengthened(each[done:], bottom - top) for each in (total, weight))
        band = rows_of(slice(top, bottom))
        for _, columns in those:
            part = torch.from_numpy(np.ascontiguousarray(band[:, columns])).to(on)
            chance = chances(module, part[None, None], symmetric=symmetric)[0]
            blend = np.outer(*(_ramp(side, overlap) for side in chance.shape))
            total[:, columns] += chance * blend
            weight[:, columns] += blend
    yield slice(top, shape[0]), total / weight


def _lengthened(band: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
    """With rows of zeros below."""
    return np.pad(band, ((0, rows - len(band)), (0, 0)))


def tiles(shape: tuple[int, ...], tile: int, overlap: int) -> Iterator[tuple[slice, slice]]:
    """Cover (H, W) with tiles of one size; the last ones end at the border."""
    starts = [
        sorted(
            {
                min(start, max(side - tile, 0))
                for start in range(0, max(side - overlap, 1), tile - overlap)
            }
        )
        for side in shape
    ]
    for top in starts[0]:
        for left in starts[1]:
            yield slice(top, top + tile), slice(left, left + tile)


def _ramp(side: int, overlap: int) -> NDArray[np.float32]:
    """(side,), rising over `overlap` pixels from both ends, nowhere 0."""
    from_end = np.minimum(np.arange(1, side + 1), np.arange(side, 0, -1))
    return np.minimum(from_end / (overlap + 1), 1).astype(np.float32)
