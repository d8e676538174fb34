"""A simulated colony of nuclei, imaged by a simulated confocal microscope.

Nuclei are ellipsoids packed into a hollow colony (an acinus). Chromatin texture, depth blur, haze,
Poisson and read noise are added, and the range is cut to 12 bits. The parameters are this package's
choice: nuclei per image come near the paper's table, grey values near its useful range, 500 to
2000.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from bmgd_data import facts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Labels = NDArray[np.uint16]


class _Tissue(NamedTuple):
    radius: float  # mean of the colonies, um
    wall: float  # share of the wall covered with nuclei
    lumen: float  # share of the space inside the wall filled with nuclei


_TISSUES: Final = {
    "250Pa": _Tissue(radius=27.0, wall=0.69, lumen=0.08),
    "950Pa": _Tissue(radius=23.0, wall=0.60, lumen=0.10),
    "1200Pa": _Tissue(radius=28.3, wall=0.68, lumen=0.16),
    "1800Pa": _Tissue(radius=25.7, wall=0.58, lumen=0.29),
}
"""Tuned to the paper's nuclei per image; on stiffer substrates the lumen is less clear."""

_NUCLEUS_UM: Final = 5.0
_RIM_UM: Final = 3.0  # about the distance from the wall's outer centres to the surface
_DYING: Final = 0.15  # share of the lumen's nuclei that are small and bright
_MIN_AREA: Final = 30  # pixels; annotators leave out smaller pieces
_MARGIN_UM: Final = 3.0  # above and below the slices; light from there blurs into them

HIGHEST_UM: Final = 60.0
"""Largest height of a stack."""
STEPS_UM: Final = (0.25, 10.0)
"""Smallest and largest distance between slices."""
_PEDESTAL, _GAIN, _READ_NOISE = 420.0, 14.0, 12.0  # grey values, the second per photon


class _Nuclei(NamedTuple):
    """n nuclei; lengths in um, in the order z, y, x."""

    centre: Floats  # (n, 3)
    form: Floats  # (n, 3, 3): d @ form @ d < 1 inside, d from the centre
    reach: Floats  # (n, 3): half the bounding box
    photons: Floats  # (n,): mean of a voxel


def image_colony(
    rng: np.random.Generator, condition: facts.Condition, slices: int, step: float = facts.Z_STEP_UM
) -> tuple[NDArray[np.uint16], Labels, int]:
    """Simulate one colony and cut consecutive slices from it.

    A colony is enlarged if the stack is higher than the condition's colonies. `condition` sets how
    crowded it is; `step` is in micrometres. Returns images (slices, 256, 256) of grey values
    0..4095; instance masks of the same shape, numbered 1..n in reading order, at least one nucleus
    in each; and the index of the first slice in the stack.
    """
    tissue = _TISSUES[condition.name]
    tissue = tissue._replace(radius=max(tissue.radius, slices * step / 2 + _RIM_UM))
    margin = math.ceil(_MARGIN_UM / step)
    while True:
        nuclei = _grow(rng, tissue)
        low, high = nuclei.centre[:, 0].min(), nuclei.centre[:, 0].max()
        if (high - low) / step < slices:
            continue
        bottom = int(rng.uniform(0, (high - low) / step - slices))
        planes = bottom + np.arange(-margin, slices + margin, dtype=np.float32)
        owner, glow = _stain(rng, nuclei, low + planes * np.float32(step), step)
        labels = np.stack([_outline(plane) for plane in owner[margin:-margin]])
        if labels.any(axis=(1, 2)).all():
            return _expose(rng, glow, margin, step), labels, bottom


def _grow(rng: np.random.Generator, tissue: _Tissue) -> _Nuclei:
    """Pack nuclei densely into the wall of an ellipsoidal colony, loosely into its lumen."""
    from scipy.spatial.transform import Rotation

    wall = tissue.radius * rng.uniform(0.9, 1.1) - _NUCLEUS_UM  # radius of the wall's centres
    n_wall = int(tissue.wall * 4 * (wall / _NUCLEUS_UM) ** 2)
    n = n_wall + int(tissue.lumen * (wall / _NUCLEUS_UM - 1) ** 3)
    in_wall = np.arange(n) < n_wall
    radii = _NUCLEUS_UM * rng.uniform(0.9, 1.3, (n, 1)) * rng.uniform(0.6, 1.1, (n, 3))
    dying = ~in_wall & (rng.random(n) < _DYING)
    radii[dying] *= 0.6
    photons = rng.lognormal(math.log(62), 0.17, n) * rng.uniform(0.85, 1.15)
    photons[dying] *= 1.5

    place = rng.normal(size=(n, 3))
    place *= wall * np.where(in_wall, 1, 0.7 * rng.random(n) ** (1 / 3))[:, None] / _length(place)
    room = 1.04 * (radii.mean(axis=1)[:, None] + radii.mean(axis=1))[..., None]
    for _ in range(40):  # push neighbours apart, then back into the wall or the lumen
        apart = place[:, None] - place
        distance = _length(apart) + np.eye(n)[..., None]
        place += 0.3 * (np.maximum(room - distance, 0) * apart / distance).sum(axis=1)
        inner = np.minimum(_length(place), wall - _NUCLEUS_UM)
        place *= np.where(in_wall[:, None], wall, inner) / _length(place)
    place *= rng.uniform(0.9, 1.1, 3)
    place[:, 1:] += rng.uniform(-4, 4, 2)

    turn = Rotation.from_quat(rng.normal(size=(n, 4))).as_matrix()  # evenly distributed
    form = turn / radii[:, None] ** 2 @ turn.transpose(0, 2, 1)
    reach = 1.15 * _length(turn * radii[:, None])[..., 0]  # lumps enlarge nuclei
    return _Nuclei(*(part.astype(np.float32) for part in (place, form, reach, photons)))


def _length(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt((vectors**2).sum(axis=-1, keepdims=True)))


def _stain(
    rng: np.random.Generator, nuclei: _Nuclei, heights: Floats, step: float
) -> tuple[Labels, Floats]:
    """The nucleus of each voxel (0: none), and the photons of each voxel; both (z, y, x)."""
    shape = (len(heights), *facts.IMAGE_SHAPE)
    side = [np.arange(m, dtype=np.float32) - (m - 1) / 2 for m in facts.IMAGE_SHAPE]
    axes = (heights, *(np.float32(facts.PIXEL_SIZE_UM) * pixels for pixels in side))
    lumps = 1 + 0.24 * np.tanh(_mottle(rng, shape, 2.5, step))
    chromatin = 1 + 0.22 * _mottle(rng, shape, 0.5, step) + 0.1 * _mottle(rng, shape, 1.2, step)
    chromatin *= 1 - 0.5 / (1 + np.exp(-8 * (_mottle(rng, shape, 0.8, step) - 1.5)))  # nucleoli
    nearest = np.ones(shape, np.float32)
    owner = np.zeros(shape, np.uint16)
    for i, (centre, form, reach, _) in enumerate(zip(*nuclei, strict=True), start=1):
        spans = zip(axes, centre - reach, centre + reach, strict=True)
        box = tuple(slice(*np.searchsorted(axis, ends)) for axis, *ends in spans)
        z, y, x = np.ix_(*(a[part] - c for a, part, c in zip(axes, box, centre, strict=True)))
        far = form[1, 1] * y * y + form[2, 2] * x * x + 2 * form[1, 2] * y * x
        far = far + z * (form[0, 0] * z + 2 * (form[0, 1] * y + form[0, 2] * x))
        far *= lumps[box]
        inside = far < nearest[box]  # a voxel belongs to the nucleus in which it is deepest
        nearest[box][inside] = far[inside]
        owner[box][inside] = i
    return owner, np.append(np.float32(0), nuclei.photons)[owner] * chromatin


def _mottle(
    rng: np.random.Generator, shape: tuple[int, ...], grain_um: float, step: float
) -> Floats:
    """Smooth noise of mean 0 and standard deviation 1, correlated over about `grain_um`."""
    from scipy import ndimage

    grain = grain_um / facts.PIXEL_SIZE_UM
    coarse = max(2, int(grain / 1.5))  # enough samples for smooth noise
    noise = rng.standard_normal((shape[0], *(-(-m // coarse) for m in shape[1:])), np.float32)
    sigma = (grain_um / step, grain / coarse, grain / coarse)
    noise = ndimage.gaussian_filter(noise, sigma, truncate=3)
    return _enlarge(noise / noise.std(), coarse)[:, : shape[1], : shape[2]]


def _enlarge(stack: Floats, factor: int) -> Floats:
    from scipy import ndimage

    zoom = (1, factor, factor)
    return np.asarray(ndimage.zoom(stack, zoom, order=1, mode="nearest", grid_mode=True))


def _outline(owner: Labels) -> Labels:
    """Number the nuclei of one plane 1..n in reading order, without small pieces."""
    from skimage.measure import label

    pieces: NDArray[np.intp] = label(owner, connectivity=2)
    kept = np.bincount(pieces.ravel()) >= _MIN_AREA
    kept[0] = False
    return (kept * np.cumsum(kept)).astype(np.uint16)[pieces]


def _expose(rng: np.random.Generator, glow: Floats, margin: int, step: float) -> NDArray[np.uint16]:
    """Blur, detect and digitise the stack without its margins; 12-bit."""
    from scipy import ndimage

    inner = slice(margin, -margin)
    sharp = ndimage.gaussian_filter(glow, (0.9 / step, 1.1, 1.1), truncate=3)[inner]
    haze = _enlarge(ndimage.gaussian_filter(glow[:, ::4, ::4], (2.5 / step, 4, 4))[inner], 4)
    light = np.maximum(4 + 0.82 * sharp + 0.18 * haze, 0)  # chromatin can fall below 0
    grey = _PEDESTAL + _GAIN * rng.poisson(light)
    grey += _READ_NOISE * rng.standard_normal(grey.shape, np.float32)
    return np.asarray(np.clip(grey, 0, facts.FULL_SCALE), np.uint16)
