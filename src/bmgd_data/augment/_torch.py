"""The paper's augmentation as one torchvision transform, for samples and for whole batches."""

from __future__ import annotations

import math
from typing import Any

from bmgd_data import errors
from bmgd_data.augment._moves import Moves, grid_of, regreyed, sampled
from bmgd_data.augment._strengths import DRAWN, Strengths

try:
    import torch
    from torchvision import tv_tensors
    from torchvision.transforms import v2
except (ImportError, RuntimeError, OSError) as error:
    raise errors.missing("The augmentation", "torchvision", "torch", error, instead="") from error


def protocol(
    crop: int | tuple[int, int] = 224,
    *,
    flip: float = 0.5,
    displacement: float = 2.0,
    smoothness: float = 10.0,
    brightness: float = 0.2,
    contrast: float = 0.2,
) -> Protocol:
    """Make the augmentation that the paper suggests: flip, crop, deform, change grey values.

    Image, mask and instances move together, in one step: the image is interpolated once, between
    the four nearest pixels, and the masks take the nearest pixel, so that labels stay labels. Each
    image of a batch is flipped, cropped, deformed and brightened differently.
    ``torch.manual_seed`` makes it reproducible.

    The paper (doi 10.21203/rs.3.rs-8263420/v1) names the four steps and gives no strengths; the
    defaults are this package's. They change the outlines of nuclei, and the deformation never
    folds.

    Args:
        crop: Side of the square that is cut out at a random place, in pixels; or height and width.
            Beyond its outermost pixels an image is its mirror image, without repeating them.
        flip: Probability of a horizontal flip.
        displacement: Standard deviation of the elastic displacement along each axis, in pixels; 0
            for none.
        smoothness: Standard deviation, in pixels, of the Gaussian that smooths the displacement:
            at distance d its correlation is exp(-(d / smoothness)^2 / 4).
        brightness: Grey values are multiplied by 1 - `brightness` to 1 + `brightness`.
        contrast: Likewise, their distance from the image's mean.

    Returns:
        A v2 transform for `transforms=`, for a collated batch, or within ``v2.Compose``. Images are
        float (..., C, H, W) in 0..1 and stay so, masks (..., H, W) of any type.

    Raises:
        ValueError: A number is outside its range.

    Example:
        >>> from bmgd_data import BMGD
        >>> from bmgd_data.augment import protocol
        >>> data = BMGD(stiffness="1200Pa", source="phantom", transforms=protocol(crop=224))
        >>> sample = data[0]
        >>> sample["image"].shape, sample["instances"].shape
        (torch.Size([1, 224, 224]), torch.Size([224, 224]))
    """
    return Protocol(Strengths(crop, flip, displacement, smoothness, brightness, contrast))


class Protocol(v2.Transform):  # type: ignore[misc]
    """What `protocol` makes."""

    def __init__(self, strengths: Strengths) -> None:
        super().__init__()
        self.strengths = strengths
        self._moves = Moves(strengths)

    def extra_repr(self) -> str:
        """The strengths."""
        return str(self.strengths)

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        """Check that every picture will move.

        Raises:
            ValueError: There is no tv_tensors.Image, or a plain tensor has the size of one.
            TypeError: The image is not float.
        """
        images = [each for each in flat_inputs if isinstance(each, tv_tensors.Image)]
        sizes = {tuple(image.shape[-2:]) for image in images}
        bare = [
            each
            for each in flat_inputs
            if type(each) is torch.Tensor and (not images or tuple(each.shape[-2:]) in sizes)
        ]
        if bare or not images:
            raise ValueError(
                "The augmentation tells images from masks by torchvision's tv_tensors, and plain "
                "tensors would not be moved. Batch with collate_fn=bmgd_data.torch.collate, "
                "which keeps them, or wrap yours in tv_tensors.Image and tv_tensors.Mask."
            )
        if not all(image.is_floating_point() for image in images):
            raise TypeError(
                "The augmentation takes float images in 0..1, as BMGD gives them. Put "
                "v2.ToDtype(torch.float32, scale=True) before it."
            )

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the origin of each output pixel of each image, and factors of its grey values."""
        image = next(each for each in flat_inputs if isinstance(each, tv_tensors.Image))
        moves = self.on(image.device)
        count = math.prod(image.shape[:-3])
        drawn = torch.randint(DRAWN, (count, moves.numbers), device=image.device)
        return {
            "grid": grid_of(moves.places(drawn, image.shape), image.shape),
            "factors": moves.factors(drawn),
        }

    def on(self, device: torch.device) -> Moves:
        """What moves whole batches on a device."""
        if self._moves.device != device:
            self._moves = Moves(self.strengths, device)
        return self._moves

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Move an image or a mask; anything else is returned unchanged."""
        grid = params["grid"]
        if isinstance(inpt, tv_tensors.Image):
            moved = sampled(_plain(inpt, len(grid)).float(), grid)
            moved = regreyed(moved, params["factors"], 1).to(inpt.dtype)
        elif isinstance(inpt, tv_tensors.Mask):
            labels = _exact(_plain(inpt, len(grid)))
            moved = sampled(labels, grid.to(labels.dtype), nearest=True).to(inpt.dtype)
        else:
            return inpt
        return tv_tensors.wrap(moved.reshape(*inpt.shape[:-2], *self.strengths.size), like=inpt)


def _plain(pictures: torch.Tensor, count: int) -> torch.Tensor:
    """(count, C, H, W), a plain tensor."""
    return pictures.as_subclass(torch.Tensor).reshape(count, -1, *pictures.shape[-2:])


def _exact(labels: torch.Tensor) -> torch.Tensor:
    """The labels as floating-point numbers that hold them exactly."""
    large = not labels.is_floating_point() and labels.itemsize > 2 and labels.amax() > 2**24  # noqa: PLR2004
    return labels.double() if large or labels.dtype == torch.float64 else labels.float()
