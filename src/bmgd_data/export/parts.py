"""One split to export, with file names and facts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from bmgd_data.card import provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bmgd_data.reader import Reader, Sample


class Entry(NamedTuple):
    """One sample, and what is written with it."""

    stem: str
    """File name without suffix."""
    sample: Sample
    record: dict[str, Any]
    """Facts about it, the same in every format."""
    white: int
    """Grey value that is white in 8-bit pictures, the same for all samples."""


@dataclass(frozen=True)
class Part:
    """The samples of one reader with their file names, in the reader's order."""

    reader: Reader
    folder: str
    """Its folder relative to the destination; empty for the destination itself."""
    stems: dict[str, str]
    """File name without suffix, by sample name."""
    tick: Callable[[int], object]
    """Called with 1 after each sample."""
    white: int
    """Grey value that is white in 8-bit pictures: the largest full scale of what is exported."""

    def __iter__(self) -> Iterator[Entry]:
        for sample, record in zip(self.reader, self.records, strict=True):
            yield Entry(self.stems[sample["name"]], sample, record, self.white)
            self.tick(1)

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """Facts about each sample, as plain numbers and texts."""
        reader = self.reader
        pascals = reader.stiffness_pa.tolist()
        columns = {
            "name": reader.names,
            "split": reader.splits,
            "stiffness_pa": pascals,
            "n_nuclei": reader.n_nuclei.tolist(),
            "instance_method": [reader.instance_method] * len(reader),  # beside what it counts
            "full_scale": [reader.full_scales[pa] for pa in pascals],
        }
        every = zip(*columns.values(), strict=True)
        rows = (dict(zip(columns, values, strict=True)) for values in every)
        return [row | self.provenance | row for row in rows]  # their order first, their values last

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Facts that all samples share."""
        return provenance(self.reader)
