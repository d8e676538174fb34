"""The paper's augmentation as one torchvision transform, for samples and for whole batches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bmgd_data import errors
from bmgd_data.augment import _strengths

try:
    import torch
    from torchvision import tv_tensors
    from torchvision.transforms import v2
except (ImportError, RuntimeError, OSError) as error:
    raise errors.missing("The augmentation", "torchvision", "torch", error, instead="") from error

if TYPE_CHECKING:
    from collections.abc import Sequence


def protocol(
    crop: int = 224,
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
        crop: Side of the square that is cut out at a random place, in pixels. A smaller image is
            extended by its mirror image, and beyond that by its border.
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
    _strengths.check(crop, flip, displacement, smoothness, brightness, contrast)
    return Protocol(crop, flip, displacement, smoothness, brightness, contrast)


class Protocol(v2.Transform):  # type: ignore[misc]
    """What `protocol` makes."""

    def __init__(  # noqa: PLR0917 - `protocol` names them
        self,
        crop: int,
        flip: float,
        displacement: float,
        smoothness: float,
        brightness: float,
        contrast: float,
    ) -> None:
        super().__init__()
        self.crop, self.flip = crop, flip
        self.displacement, self.smoothness = displacement, smoothness
        self.brightness, self.contrast = brightness, contrast
        self._bumps = torch.from_numpy(_strengths.bumps(crop, smoothness))

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
        count, device = math.prod(image.shape[:-3]), image.device

        def uniform(spread: float) -> torch.Tensor:
            return 1 + spread * (2 * torch.rand((count, 1, 1, 1), device=device) - 1)

        places = self._places(count, tuple(image.shape[-2:]), device)
        rows, columns = (places + 0.5).int().unbind(1)
        return {
            "places": places,
            "nearest": (rows * image.shape[-1] + columns).long().flatten(1),
            "brightness": uniform(self.brightness),
            "contrast": uniform(self.contrast),
        }

    def _places(self, count: int, shape: Sequence[int], device: torch.device) -> torch.Tensor:
        """(count, 2, crop, crop): row and column in the image of `shape`, within it."""
        along = torch.arange(self.crop, dtype=torch.float32, device=device)
        starts = []
        for side in shape:
            room = side - self.crop  # negative if the image is smaller
            start = torch.randint(abs(room) + 1, (count, 1), device=device).float()
            starts.append(start + min(room, 0))
        flipped = torch.rand((count, 1), device=device) < self.flip
        columns = torch.where(flipped, self.crop - 1 - along, along)
        places = self.field(count, device)
        places[:, 0] += (starts[0] + along)[:, :, None]
        places[:, 1] += (starts[1] + columns)[:, None, :]
        for axis, side in enumerate(shape):  # reflected about the outermost pixels
            mirrored = side - 1 - (side - 1 - places[:, axis].abs()).abs()
            places[:, axis] = mirrored.clamp_(0, side - 1)
        return places

    def field(self, count: int, device: torch.device | None = None) -> torch.Tensor:
        """Draw elastic displacements.

        Noise on a grid as coarse as the field is smooth is enlarged by Gaussian bumps: two small
        matrix products instead of a blur of noise at full size. All pixels have the same spread.

        Args:
            count: How many fields.
            device: Where to compute.

        Returns:
            (count, 2, crop, crop) float32, pixels along rows and columns.
        """
        bumps = self._bumps.to(device)
        noise = torch.randn((count, 2, *[bumps.shape[1]] * 2), device=device)
        return self.displacement * (bumps @ noise @ bumps.T)

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Move an image or a mask; anything else is returned unchanged."""
        places = params["places"]
        if isinstance(inpt, tv_tensors.Image):
            moved = _interpolated(_plain(inpt, len(places)), places)
            mean = moved.mean((1, 2, 3), keepdim=True)
            moved = torch.lerp(mean, moved, params["contrast"]).mul_(params["brightness"])
            moved = moved.clamp_(0, 1).to(inpt.dtype)
        elif isinstance(inpt, tv_tensors.Mask):
            flat = _plain(inpt, len(places)).flatten(2)
            nearest = params["nearest"][:, None].expand(-1, flat.shape[1], -1)
            moved = flat.gather(2, nearest)
        else:
            return inpt
        return tv_tensors.wrap(moved.reshape(*inpt.shape[:-2], self.crop, self.crop), like=inpt)


def _plain(pictures: torch.Tensor, count: int) -> torch.Tensor:
    """(count, C, H, W), a plain tensor."""
    return pictures.as_subclass(torch.Tensor).reshape(count, -1, *pictures.shape[-2:])


def _interpolated(images: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Values at `places` between the four nearest pixels; (B, C, H, W) to (B, C, h, w)."""
    height, width = images.shape[-2:]
    # grid_sample takes columns first, and -1 and 1 for the middles of the outermost pixels.
    last = torch.tensor([width - 1, height - 1], device=places.device).clamp(min=1)
    grid = places.flip(1).permute(0, 2, 3, 1) * (2 / last) - 1
    values: torch.Tensor = torch.nn.functional.grid_sample(
        images.float(), grid, mode="bilinear", padding_mode="border", align_corners=True
    )
    return values
