"""What a training keeps after each epoch: scores, a picture, the best and the last checkpoint."""

from __future__ import annotations

import contextlib
import csv
import time
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Checkpoint
from settings import BEST, LAST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to; it replaces the file afterwards, whole, even if we are killed."""
    part = path.with_name(f".{path.name}.part")
    yield part
    part.replace(path)


class History(Checkpoint):  # Lightning calls this kind after all others
    """Keeps the rows of all epochs, in metrics.csv, curve.png and the checkpoints.

    A resumed run so neither loses nor repeats a row. Other loggers get earlier rows again.

    It writes checkpoints itself, since ModelCheckpoint (Lightning 2.6.6) writes last.ckpt only
    beside a new best, forgets the best score if the folder was moved, and writes through the
    temporary folder: from another disk the file is copied, and a kill may leave half of it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, float]] = []
        self.stopped = False
        self._began = 0.0
        self._logged = 0

    def state_dict(self) -> dict[str, Any]:
        """Rows so far, and whether the training stopped early, for the checkpoint."""
        return {"rows": self.rows, "stopped": self.stopped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Rows of the run that is resumed."""
        self.rows, self.stopped = list(state["rows"]), state["stopped"]

    def on_train_start(self, trainer: Any, _: Any) -> None:
        """Train no further if all that is missing of the resumed run is its result."""
        trainer.should_stop = self.stopped

    def on_train_epoch_start(self, *_: Any) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Add a row and keep it. The loss is the mean over the epoch, of augmented images."""
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
        self.stopped = trainer.should_stop
        if best(self.rows) is row:
            self._save(trainer, BEST)
        self._save(trainer, LAST)  # the second: with it, BEST is that of these rows
        if trainer.is_global_zero:
            self._show(trainer)

    def _save(self, trainer: Any, name: str) -> None:
        part = self.folder / f".{name}.part"
        trainer.save_checkpoint(part, weights_only=False)  # all processes take part
        if trainer.is_global_zero:
            part.replace(self.folder / name)

    def _show(self, trainer: Any) -> None:
        with (
            replacing(self.folder / "metrics.csv") as part,
            part.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.DictWriter(file, self.rows[-1])
            writer.writeheader()
            writer.writerows(self.rows)
        curve(self.rows, self.folder / "curve.png")
        for logger in trainer.loggers:
            for each in self.rows[self._logged :]:
                logger.log_metrics(each, step=int(each["epoch"]))
            logger.save()
        self._logged = len(self.rows)


def best(rows: list[dict[str, float]]) -> dict[str, float]:
    """The row of highest validation F1, the first of equal ones."""
    return max(rows, key=lambda row: row["val_f1"])


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
    highest = best(rows)
    losses.set_ylabel("cross-entropy + Dice")
    scores.set_title(
        f"best: F1 {highest['val_f1']:.4f} in epoch {highest['epoch']:.0f}", fontsize=10
    )
    with replacing(path) as part:
        figure.savefig(part, dpi=120, format="png")
