"""Places and grey factors of whole batches in PyTorch, from numbers that are drawn elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from bmgd_data.augment import _strengths
from bmgd_data.augment._strengths import DRAWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bmgd_data.augment._strengths import Strengths


class Moves:
    """What `Strengths` do, on one device.

    Attributes:
        device: Where its tensors are.
        numbers: How many numbers each image needs.
    """

    def __init__(self, strengths: Strengths, device: torch.device | None = None) -> None:
        self.strengths = strengths
        self.device = device or torch.device("cpu")
        rows, columns = map(torch.from_numpy, strengths.lines)
        self._down = rows.to(device)
        self._across = columns.T.contiguous().to(device)
        self._levels = torch.from_numpy(strengths.levels).to(device)
        self._noise = (rows.shape[1] - 2, columns.shape[1] - 2)
        self.numbers = _strengths.CHANGES + 2 * self._noise[0] * self._noise[1]

    def places(self, drawn: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """Where output pixels come from.

        Args:
            drawn: (B, numbers) int64.
            shape: Of the images, (..., H, W).

        Returns:
            (B, h, w, 2) float32, x and y in pixels from the middle of the image.
        """
        core = self._core(drawn)
        share = drawn[:, : _strengths.CHANGES].float() / DRAWN
        cuts = zip(
            (1, 0),
            shape[-2:],
            self.strengths.size,
            (_strengths.ROW, _strengths.COLUMN),
            strict=True,
        )
        for axis, side, crop, number in cuts:
            room = side - crop  # negative if the image is smaller
            start = (share[:, number] * (abs(room) + 1)).floor() + min(room, 0)
            core[:, axis, 0, 0] = start - room / 2 + _strengths.OFF_TIES
        core[:, 1, 1, 0] = 1.0
        flipped = share[:, _strengths.FLIP] < self.strengths.flip
        core[:, 0, 0, 1] = torch.where(flipped, -1.0, 1.0)
        return self._product(core)

    def field(self, drawn: torch.Tensor) -> torch.Tensor:
        """The displacements alone, (B, h, w, 2) float32, along x and y in pixels."""
        return self._product(self._core(drawn))

    def factors(self, drawn: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of brightness and of contrast, each (B, 1, 1, 1)."""
        share = drawn[:, _strengths.BRIGHTNESS : _strengths.CONTRAST + 1].float() / DRAWN
        spread = torch.tensor(
            [self.strengths.brightness, self.strengths.contrast], device=drawn.device
        )
        bright, contrast = (1 + spread * (2 * share - 1)).unbind(1)
        return bright.view(-1, 1, 1, 1), contrast.view(-1, 1, 1, 1)

    def changed(
        self,
        images: torch.Tensor,
        masks: torch.Tensor,
        drawn: torch.Tensor,
        full_scale: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Change a batch.

        Args:
            images: (B, 1, H, W) float, raw grey values.
            masks: (B, C, H, W) float, whole numbers.
            drawn: (B, numbers) int64.
            full_scale: (B, 1, 1, 1), the grey values that become 1.

        Returns:
            Images in 0..1 and masks, of the size `crop`.
        """
        grid = grid_of(self.places(drawn, images.shape), images.shape)
        moved = regreyed(sampled(images, grid), self.factors(drawn), full_scale)
        return moved, sampled(masks, grid, nearest=True)

    def _core(self, drawn: torch.Tensor) -> torch.Tensor:
        down, across = self._noise
        core = torch.zeros((len(drawn), 2, 2 + down, 2 + across), device=drawn.device)
        levels = drawn[:, _strengths.CHANGES :] % _strengths.LEVELS
        core[:, :, 2:, 2:] = self._levels[levels].view(-1, 2, down, across)
        return core

    def _product(self, core: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = self._down @ core @ self._across
        return product.movedim(1, -1)


def grid_of(places: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Places in pixels as `grid_sample` counts them, for a shape (..., H, W); in place."""
    height, width = (max(side - 1, 1) for side in shape[-2:])
    if height == width:
        return places.mul_(2 / height)
    # Of full size: products with two numbers alone are slow.
    return places.mul_(places.new_tensor([2 / width, 2 / height]).expand(places.shape[1:]).clone())


def sampled(pictures: torch.Tensor, grid: torch.Tensor, *, nearest: bool = False) -> torch.Tensor:
    """Values of pictures at places; beyond its outermost pixels, a picture is its mirror image.

    Args:
        pictures: (B, C, H, W) float.
        grid: (B, h, w, 2), see `grid_of`.
        nearest: Take the nearest pixel instead of interpolating between four.

    Returns:
        (B, C, h, w), of the same type.
    """
    values: torch.Tensor = torch.nn.functional.grid_sample(
        pictures, grid, "nearest" if nearest else "bilinear", "reflection", align_corners=True
    )
    return values


def regreyed(
    images: torch.Tensor, factors: tuple[torch.Tensor, torch.Tensor], full_scale: torch.Tensor | int
) -> torch.Tensor:
    """Change the grey values of (B, C, h, w) images in place, to 0..1.

    Values are multiplied by the factor of brightness, and their distances from the image's mean by
    that of contrast; `full_scale` becomes 1.
    """
    bright, contrast = factors
    gain = bright / full_scale
    rest = images.mean((1, 2, 3), keepdim=True) * (1 - contrast) * gain
    return images.mul_(contrast * gain).add_(rest).clamp_(0, 1)
