"""A table of scores, with one column per part of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bmgd_data._tables import Grid
from bmgd_data.metrics.instance import InstanceCounts, InstanceScores, score_instances
from bmgd_data.metrics.pixel import BATCH_SIZE, PixelCounts, PixelScores, score_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ALL: Final = "all"


class ImageCounts(NamedTuple):
    """The counts of one image."""

    part: str
    """The part of the data that it belongs to, such as "1200Pa"."""
    pixels: PixelCounts
    instances: InstanceCounts
    alike: bool | None = None
    """Whether it looks like an image of train; None if unknown."""


def tabulate(
    images: Iterable[ImageCounts], *, batch_size: int = BATCH_SIZE, notes: Iterable[str] = ()
) -> Table:
    """Compute the scores of each part and of all images.

    Args:
        images: Their order decides which images share a batch of the soft scores.
        batch_size: Images per batch of the soft scores.
        notes: What users of the scores should know, one sentence each.

    Raises:
        ValueError: There is no image, ``batch_size`` is below 1, or a part is called "all".
    """
    counted = list(images)
    parts = dict.fromkeys(image.part for image in counted)
    if not counted or ALL in parts:
        raise ValueError(f"Nothing to score, or a part called {ALL!r}. Give images of named parts.")
    rows = []
    for part in (*parts, ALL):
        chosen = [image for image in counted if part in (image.part, ALL)]
        pixels = score_pixels([image.pixels for image in chosen], batch_size)
        instances = score_instances([image.instances for image in chosen])
        known = [image.alike for image in chosen if image.alike is not None]
        rows.append(Row(part, len(chosen), pixels, instances, sum(known) if known else None))
    return Table(tuple(rows), batch_size, tuple(notes))


class Row(NamedTuple):
    """The scores of one part."""

    part: str
    images: int
    pixels: PixelScores
    instances: InstanceScores
    alike: int | None = None
    """Images that look like one of train; None if unknown."""


class Table(NamedTuple):
    """Scores by part, "all" last."""

    rows: tuple[Row, ...]
    batch_size: int
    """Images per batch of the soft scores."""
    notes: tuple[str, ...]

    def part(self, name: str) -> Row:
        """The row of a part, or of "all".

        Raises:
            ValueError: There is no such part.
        """
        rows = {row.part: row for row in self.rows}
        if name not in rows:
            raise ValueError(f"No part {name!r}. Valid: {', '.join(map(repr, rows))}.")
        return rows[name]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and dicts for JSON: `scores` by part, `batch_size` and `notes`."""
        return {
            "scores": {row.part: _plain(row) for row in self.rows},
            "batch_size": self.batch_size,
            "notes": list(self.notes),
        }

    def grid(self) -> Grid:
        """One line per score with one column per part, ratios in percent; and the notes."""
        lines = [
            [label.format(batch_size=self.batch_size), *(show(row) for row in self.rows)]
            for label, show in _LINES
            if any(show(row) for row in self.rows)
        ]
        titles = ["score, ratios in %", *(f">{row.part}" for row in self.rows)]
        return Grid(titles, lines, self.notes)

    def __repr__(self) -> str:
        return self.grid().to_text()

    def _repr_html_(self) -> str:
        return self.grid().to_html()

    def to_markdown(self) -> str:
        """A Markdown table with one column per part, and the notes as a list below it."""
        return self.grid().to_markdown() + "\n"


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _percent(score: Callable[[Row], float]) -> Callable[[Row], str]:
    return lambda row: f"{100 * score(row):.2f}"


_LINES: Final[tuple[tuple[str, Callable[[Row], str]], ...]] = (
    ("images", lambda row: str(row.images)),
    ("of them like one of train", lambda row: "" if row.alike is None else str(row.alike)),
    ("nuclei", lambda row: str(row.instances.nuclei)),
    ("nuclei predicted", lambda row: str(row.instances.found)),
    ("pixel F1, pooled", _percent(lambda row: row.pixels.pooled.f1)),
    ("pixel IoU, pooled", _percent(lambda row: row.pixels.pooled.iou)),
    ("pixel precision, pooled", _percent(lambda row: row.pixels.pooled.precision)),
    ("pixel recall, pooled", _percent(lambda row: row.pixels.pooled.recall)),
    ("pixel F1, per image", _percent(lambda row: row.pixels.image.f1)),
    ("pixel IoU, per image", _percent(lambda row: row.pixels.image.iou)),
    ("pixel F1, soft, batches of {batch_size}", _percent(lambda row: row.pixels.soft.f1)),
    ("pixel IoU, soft, batches of {batch_size}", _percent(lambda row: row.pixels.soft.iou)),
    ("instance F1 = RQ, pooled", _percent(lambda row: row.instances.pooled.f1)),
    ("instance precision, pooled", _percent(lambda row: row.instances.pooled.precision)),
    ("instance recall, pooled", _percent(lambda row: row.instances.pooled.recall)),
    ("instance AP at 0.5, pooled", _percent(lambda row: row.instances.pooled.ap50)),
    ("instance AP at 0.75, pooled", _percent(lambda row: row.instances.pooled.ap75)),
    ("instance AP 0.5:0.95, pooled", _percent(lambda row: row.instances.pooled.ap)),
    ("SQ, pooled", _percent(lambda row: row.instances.pooled.sq)),
    ("PQ, pooled", _percent(lambda row: row.instances.pooled.pq)),
    ("AJI, pooled", _percent(lambda row: row.instances.pooled.aji)),
    ("instance F1, per image", _percent(lambda row: row.instances.image.f1)),
    ("instance AP 0.5:0.95, per image", _percent(lambda row: row.instances.image.ap)),
    ("PQ, per image", _percent(lambda row: row.instances.image.pq)),
    ("AJI, per image", _percent(lambda row: row.instances.image.aji)),
    ("count error (absolute), per image", lambda row: f"{row.instances.count_error:.2f}"),
    ("count bias (signed), per image", lambda row: f"{row.instances.count_bias:+.2f}"),
)
