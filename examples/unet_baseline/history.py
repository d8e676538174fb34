"""Scores of each epoch: a CSV file and a picture that grow while training runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import lightning

if TYPE_CHECKING:
    from pathlib import Path


class History(lightning.Callback):
    """Logs a row after each epoch, and draws curve.png.

    The checkpoint has the rows, so that a resumed run neither loses nor repeats any in metrics.csv,
    which starts empty and gets them again. Other loggers get them again, too.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, float]] = []
        self._began = 0.0
        self._logged = 0

    def state_dict(self) -> dict[str, Any]:
        """Rows so far, for the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Rows of the run that is resumed."""
        self.rows = list(state["rows"])

    def on_train_epoch_start(self, *_: Any) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Add a row. The loss is the mean over the epoch, of augmented images."""
        scores = {
            key: float(trainer.callback_metrics[key]) for key in ("val_loss", "val_f1", "val_iou")
        }
        row = {
            "epoch": trainer.current_epoch + 1,
            "train_loss": float(module.train_loss.compute()),  # all processes take part
            **scores,
            "lr": float(trainer.optimizers[0].param_groups[0]["lr"]),
            "seconds": time.perf_counter() - self._began,
            "images": trainer.num_training_batches * module.settings.batch * trainer.world_size,
        }
        module.train_loss.reset()
        self.rows.append(row)
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                for each in self.rows[self._logged :]:
                    logger.log_metrics(each, step=int(each["epoch"]))
                logger.save()
            self._logged = len(self.rows)
            curve(self.rows, self.folder / "curve.png")


def curve(rows: list[dict[str, float]], path: Path) -> None:
    """Draw losses on the left, validation scores on the right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in rows]
    for axes, names in ((losses, ("train_loss", "val_loss")), (scores, ("val_f1", "val_iou"))):
        for name in names:
            axes.plot(epochs, [row[name] for row in rows], marker=".", label=name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    best = max(rows, key=lambda row: row["val_f1"])
    losses.set_ylabel("cross-entropy + Dice")
    scores.set_title(f"best: F1 {best['val_f1']:.4f} in epoch {best['epoch']:.0f}", fontsize=10)
    figure.savefig(path, dpi=120)
