"""One split on its way to a folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from bmgd_data import facts
from bmgd_data.card import source_of

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


@dataclass(frozen=True)
class Part:
    """The samples of one reader with their file names, in the reader's order."""

    reader: Reader
    folder: str
    """Where it goes, relative to the destination; empty for the destination itself."""
    stems: dict[str, str]
    """File name without suffix, by sample name."""
    tick: Callable[[int], object]
    """Called with 1 after each sample."""

    def __iter__(self) -> Iterator[Entry]:
        for sample, record in zip(self.reader, self.records, strict=True):
            yield Entry(self.stems[sample["name"]], sample, record)
            self.tick(1)

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """Facts about each sample, as plain numbers and texts."""
        reader = self.reader
        columns = (
            reader.names,
            reader.splits,
            reader.stiffness_pa.tolist(),
            reader.n_nuclei.tolist(),
        )
        keys = ("name", "split", "stiffness_pa", "n_nuclei")
        return [
            {**dict(zip(keys, values, strict=True)), **self.provenance}
            for values in zip(*columns, strict=True)
        ]

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Facts that all samples share."""
        return {
            "pixel_size_um": facts.PIXEL_SIZE_UM,
            "instances": self.reader.instance_method,
            "source": source_of(self.reader),
            "data_version": self.reader.digest[:12],
        }
