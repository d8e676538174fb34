"""Colonies whose truth is known, as quick cartoons or generated, and their scores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from bmgd_data.phantom import _colony as colony


class Stack(NamedTuple):
    """Slices of several colonies, one colony after another."""

    images: np.ndarray
    """(n, H, W) uint16"""
    colony: np.ndarray
    """(n,) which colony each shows"""


def cartoon(colonies: int, slices: int, *, step: float = 1.0, side: int = 64, seed: int = 0):
    """Balls in a cube, cut into slices: quick, and similar enough to colonies."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    images = []
    for _ in range(colonies):
        high = slices * step + 6
        balls = rng.uniform((-6, 6, 6, 4), (high, side - 6, side - 6, 7), (10 + int(high), 4))
        for z in step * np.arange(slices):
            image = rng.normal(400, 10, (side, side))
            for height, row, column, radius in balls:
                depth = radius**2 - (height - z) ** 2 - (y - row) ** 2 - (x - column) ** 2
                image[depth > 0] += 600
            images.append(image)
    return Stack(np.array(images).astype(np.uint16), np.repeat(np.arange(colonies), slices))


def generated(condition, colonies: int, slices: int, *, step: float = 1.0, seed: int = 0):
    """Slices of the phantom's colonies."""
    stacks = [
        colony.image_colony(
            np.random.default_rng((seed, condition.pa, number)), condition, slices, step
        )[0]
        for number in range(colonies)
    ]
    return Stack(np.concatenate(stacks), np.repeat(np.arange(colonies), slices))


def disturbed(stack: Stack, *, drift: float, light: float, seed: int = 0):
    """The same with drift per slice in pixels, and with light that changes in strength and tilt."""
    rng = np.random.default_rng(seed)
    _, height, width = stack.images.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    images, place = stack.images.astype(float), np.zeros(2)
    for i, image in enumerate(images):
        first = i == 0 or stack.colony[i] != stack.colony[i - 1]
        place = np.zeros(2) if first else np.clip(place + rng.normal(0, drift, 2), -24, 24)
        moved = ndimage.shift(image, place, order=1, mode="nearest")
        lit = np.exp(rng.normal(0, light)) * (
            1 + rng.normal(0, light) * y + rng.normal(0, light) * x
        )
        images[i] = 420 * np.exp(rng.normal(0, light / 2)) + (moved - 420) * lit
    return stack._replace(images=np.clip(images, 0, 4095).astype(np.uint16))


def recall(groups: np.ndarray, stack: Stack) -> float:
    """Share of neighbouring slices that are in one group."""
    neighbours = stack.colony[1:] == stack.colony[:-1]
    return float((groups[1:] == groups[:-1])[neighbours].mean())


def precision(groups: np.ndarray, stack: Stack) -> float:
    """Share of the pairs in one group that show one colony."""
    pairs = np.triu_indices(len(groups), 1)
    together = (groups[:, None] == groups)[pairs]
    return float((stack.colony[:, None] == stack.colony)[pairs][together].mean())
