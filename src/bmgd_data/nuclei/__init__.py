"""One row per nucleus: its place, size, shape and brightness.

    from bmgd_data import Reader
    from bmgd_data.nuclei import nuclei

    table = nuclei(Reader("all", instances="watershed"))
    table.to_csv("nuclei.csv")

`COLUMNS` says what each column holds. A column's name ends in its unit; um is a micrometre.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import numpy as np

from bmgd_data import facts
from bmgd_data.errors import MissingDependencyError
from bmgd_data.nuclei import files
from bmgd_data.nuclei._measures import measure
from bmgd_data.nuclei.files import COLUMNS, ENDINGS, Column

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bmgd_data.nuclei._measures import Columns
    from bmgd_data.reader import Reader

__all__ = [
    "COLUMNS",
    "ENDINGS",
    "Column",
    "Summary",
    "Table",
    "expanded_level",
    "measure",
    "nuclei",
]

_FEW_TO_EXPAND: Final = 6
_NOTES: Final = (
    "Areas and diameters are of sections: one slice cuts most nuclei above or below their middle.",
    "total_raw is the light of one slice. It is no measure of DNA content.",
    "Nuclei of one colony are alike: a test that treats them as independent finds too much.",
)


def nuclei(
    reader: Reader,
    *,
    pixel_size_um: float = facts.PIXEL_SIZE_UM,
    exclude_border: bool = False,
) -> Table:
    """Measure every nucleus of a Reader, image by image.

    Args:
        reader: Its samples and its instance method are used.
        pixel_size_um: Width and height of a pixel in micrometres.
        exclude_border: Leave out nuclei that touch the border of their image, after they were
            measured: they still count as neighbours.

    Returns:
        A table in the order of the samples, then of the labels.
    """
    scales = reader.full_scales
    nothing = np.zeros((1, 1), np.uint16)
    parts = [measure(nothing, nothing)]  # names the columns if there is no sample
    for sample in reader:
        scale = scales[sample["stiffness_pa"]]
        pair = sample["image"], sample["instances"]
        parts.append(measure(*pair, full_scale=scale, pixel_size_um=pixel_size_um))
    counts = [len(part["label"]) for part in parts[1:]]
    columns = {
        "name": np.repeat(np.array(reader.names, str), counts),
        "stiffness_pa": np.repeat(reader.stiffness_pa, counts),
        "split": np.repeat(np.array(reader.splits, str), counts),
        "group": np.repeat(reader.groups.astype(np.int64), counts),
    }
    for column in list(parts[0]):  # pop: memory holds each value once
        columns[column] = np.concatenate([part.pop(column) for part in parts])
    columns["instances"] = np.full(sum(counts), reader.instance_method)
    cut = columns["touches_border"]
    if exclude_border:
        columns = {column: values[~cut] for column, values in columns.items()}
    return Table(
        columns, reader.instance_method, pixel_size_um, int(cut.sum()) if exclude_border else None
    )


class Summary(NamedTuple):
    """Quartiles of one column in one stiffness."""

    stiffness_pa: int
    groups: int
    images: int
    """Groups and images with at least one nucleus."""
    nuclei: int
    """With a value in the column."""
    lower_quartile: float
    median: float
    upper_quartile: float


@dataclass(frozen=True)
class Table:
    """Nuclei as columns: numpy arrays of equal length.

    ``table["area_um2"]`` is a column, ``len(table)`` the number of nuclei.
    """

    FEW_GROUPS: ClassVar = 5
    """Fewer groups are too few to draw samples with replacement from."""

    columns: Columns
    instance_method: str
    pixel_size_um: float
    excluded: int | None = None
    """Nuclei at the border that were left out; None if they were kept."""

    def __len__(self) -> int:
        return len(self.columns["label"])

    def __getitem__(self, column: str) -> NDArray[Any]:
        try:
            return self.columns[column]
        except KeyError:
            valid = ", ".join(self.columns)
            raise ValueError(f"There is no column {column!r}. Valid: {valid}.") from None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rows, as dicts."""
        for row in zip(*(values.tolist() for values in self.columns.values()), strict=True):
            yield dict(zip(self.columns, row, strict=True))

    @property
    def notes(self) -> list[str]:
        """What users of the table must know."""
        method = f"Nuclei are separated by {self.instance_method}; another method gives other rows."
        notes = [f"{method} A pixel is {self.pixel_size_um:g} um wide.", *_NOTES]
        if self.excluded is not None:
            notes.insert(1, f"{self.excluded} nuclei at the border of their image are left out.")
        return notes

    def summary(self, column: str = "area_um2") -> list[Summary]:
        """Median and quartiles of a column by stiffness, without NaN.

        There is no test and no p-value: see `intervals`.

        Raises:
            ValueError: No such column, or one that holds no numbers.
        """
        values = self._numbers(column)
        rows = []
        for pa in np.unique(self["stiffness_pa"]).tolist():
            chosen = (self["stiffness_pa"] == pa) & ~np.isnan(values)
            groups, images = (len(np.unique(self[unit][chosen])) for unit in ("group", "name"))
            quartiles = np.quantile(values[chosen], [0.25, 0.5, 0.75]) if images else [np.nan] * 3
            rows.append(Summary(pa, groups, images, int(chosen.sum()), *map(float, quartiles)))
        return rows

    def bootstrap(
        self, column: str = "area_um2", unit: str = "group", *, draws: int = 1000, seed: int = 0
    ) -> dict[int, NDArray[np.float64]]:
        """Medians of a column in samples drawn with replacement: how far chance moves them.

        A sample consists of whole units. Nuclei of one colony are alike, so drawing nuclei or
        images moves the median far too little; draw groups to compare stiffnesses. Quantiles of the
        samples of few groups cover too little: `intervals` makes up for it.

        Args:
            column: A column of numbers; NaN are left out.
            unit: "group" (images that show one colony), "image" or "nucleus".
            draws: Number of samples.
            seed: Seed of the random numbers. Each stiffness has its own, so that its samples are
                the same whichever others are in the table.

        Returns:
            (draws,) medians by stiffness in pascal; NaN if a stiffness has no values.

        Raises:
            ValueError: No such unit or column.
        """
        medians = {}
        for pa, values, codes in self._by_unit(column, unit):
            rng = np.random.default_rng([seed, pa])
            kinds, found = codes.max(initial=-1) + 1, np.full(draws, np.nan)
            for draw in range(draws if kinds else 0):
                # A value is in the sample as often as its unit was drawn.
                times = np.bincount(rng.integers(kinds, size=kinds), minlength=kinds)
                reached = np.cumsum(times[codes])
                found[draw] = values[np.searchsorted(reached, reached[-1] / 2)]
            medians[pa] = found
        return medians

    def intervals(
        self, column: str = "area_um2", unit: str = "group", *, seed: int = 0
    ) -> dict[int, tuple[float, float]]:
        """95 % intervals of the median by stiffness.

        From seven units on, the expanded percentile interval of 5000 samples of `bootstrap`: its
        quantiles are as far out as Student's t asks for at so few units (Hesterberg, The American
        Statistician 69, 2015). With five or six, from the smallest to the largest median of a unit,
        the widest that such samples reach. The page on nuclei has the share that they cover.

        Args:
            column: A column of numbers; NaN are left out.
            unit: "group" (images that show one colony), "image" or "nucleus"; the last two are not
                independent of one another, so their intervals are far too narrow.
            seed: Seed of the samples.

        Returns:
            Ends by stiffness in pascal. A stiffness with fewer than `FEW_GROUPS` units has none.

        Raises:
            ValueError: No such unit or column.
        """
        ends = {}
        drawn = self.bootstrap(column, unit, draws=5000, seed=seed)
        for pa, values, codes in self._by_unit(column, unit):
            kinds = codes.max(initial=-1) + 1
            if kinds < self.FEW_GROUPS:
                continue
            reach = drawn[pa]
            if (level := expanded_level(kinds)) == 0:
                reach = np.array([np.median(values[codes == kind]) for kind in range(kinds)])
            low, high = np.quantile(reach, [level, 1 - level]).tolist()
            ends[pa] = low, high
        return ends

    def _by_unit(
        self, column: str, unit: str
    ) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.intp]]]:
        """By stiffness: the values of a column, ascending, and the number of each one's unit."""
        if unit not in (units := {"group": "group", "image": "name", "nucleus": ""}):
            raise ValueError(f"Unknown unit {unit!r}. Valid: {', '.join(map(repr, units))}.")
        values = self._numbers(column)
        for pa in np.unique(self["stiffness_pa"]).tolist():
            chosen = np.flatnonzero((self["stiffness_pa"] == pa) & ~np.isnan(values))
            ordered = chosen[np.argsort(values[chosen], kind="stable")]
            members = self[units[unit]][ordered] if units[unit] else np.arange(len(ordered))
            yield pa, values[ordered], np.unique(members, return_inverse=True)[1]

    def to_pandas(self) -> Any:
        """The table as a pandas.DataFrame.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                "to_pandas needs pandas. Install it with: pip install pandas"
            ) from error
        return pd.DataFrame(self.columns)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table to a file, whole or not at all.

        ========  ==================================================================================
        .csv      Commas between the columns, points in the numbers, UTF-8. NaN is an empty field,
                  booleans are TRUE and FALSE, as R and spreadsheets have them. Numbers have six
                  digits and never exactly three decimals: where a point separates thousands, a
                  spreadsheet reads 13.005 as 13005, but 13.0050 as text. A text that begins with
                  ``=``, ``+``, ``-``, ``@``, a tab or a line break, which spreadsheets may run as a
                  formula, begins with ``./`` instead: of a name, the same path.
        .tsv      The same, with tabs.
        .xlsx     A workbook: numbers, booleans and texts as such, with all digits; `COLUMNS` and
                  `notes` on sheets of their own. Needs XlsxWriter.
        .parquet  All digits; NaN is null; unit and meaning in the metadata of each column. Needs
                  pyarrow.
        ========  ==================================================================================

        Both packages come with ``pip install "bmgd-data[tables]"``.

        Raises:
            ValueError: The file has another ending, or a sheet cannot hold the table.
            MissingDependencyError: The package that writes such files is not installed.
            StorageError: The file cannot be written.
        """
        files.write(Path(path), self.columns, self.notes)

    to_csv = save
    """`save`, by the name that it has in pandas."""

    def _numbers(self, column: str) -> NDArray[np.float64]:
        values = self[column]
        if values.dtype.kind not in "iuf":
            raise ValueError(f"The column {column!r} holds no numbers.")
        return values.astype(np.float64)

    def __repr__(self) -> str:
        lines = [f"Table: {len(self)} nuclei, {len(self.columns)} columns"]
        lines += [
            f"  {row.stiffness_pa} Pa: {row.nuclei} nuclei of {row.images} images, area "
            f"{row.median:.1f} um2 (quartiles {row.lower_quartile:.1f} to {row.upper_quartile:.1f})"
            for row in self.summary()
        ]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def expanded_level(units: int) -> float:
    """The quantile of bootstrap samples that is the lower end of a 95 % interval.

    Args:
        units: Number of units that each sample draws.

    Returns:
        0.025 for very many units, and less for fewer, as Hesterberg has it (The American
        Statistician 69, 2015; ``ExpandProbs`` in the R package resample). 0 for up to six, of which
        all from the smallest to the largest is taken.
    """
    from scipy.special import ndtr, stdtrit

    if units <= _FEW_TO_EXPAND:  # so few samples differ that their quantiles reach too little
        return 0.0
    return float(ndtr(-stdtrit(units - 1, 0.975) * np.sqrt(units / (units - 1))))
