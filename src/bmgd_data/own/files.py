"""Microscope files to masks, instance masks, tables and pictures.

`bmgd segment` and ``examples/unet_baseline/predict.py`` share this path; they differ in the finder,
which turns the planes of an image into instance masks.
"""

from __future__ import annotations

import abc
import dataclasses
import importlib.util
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data._system import disk, progress
from bmgd_data.errors import MissingDependencyError
from bmgd_data.own import _writing, tables
from bmgd_data.own import planes as reading
from bmgd_data.own._workers import in_order
from bmgd_data.own.segmentation import METHODS, segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from bmgd_data.own.planes import Plane

    Labels = NDArray[np.unsignedinteger[Any]]

__all__ = ["Batch", "Finder", "Job", "Outcome", "Threshold", "find_images", "segment_files"]

ENDINGS: Final = (".tif", ".tiff", ".lsm")
MASK, INSTANCES, NUCLEI = ".mask.tif", ".instances.tif", ".nuclei.csv"
PICTURE, ROIS, RECORD = ".overview.png", ".rois.zip", ".record.json"
"""Added to an image's name, so that each image has files of its own."""
_WIDEST: Final = np.iinfo(np.uint16).max
_FORMAT: Final = 1
"""To be raised when the same files and settings give other outputs."""


class Finder(abc.ABC):
    """Finds nuclei; instances are sent to other processes, so they hold settings only."""

    method: str
    """How touching nuclei are separated; the last column of the table."""

    @property
    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """Plain data that decides the result. Outputs of other settings are not taken for done."""

    @abc.abstractmethod
    def find(self, planes: Sequence[Plane]) -> Iterator[tuple[NDArray[Any], Labels]]:
        """Each plane of an image, (H, W), and its instance mask, numbered 1..n."""


@dataclass(frozen=True)
class Threshold(Finder):
    """`segment`, for a `Batch`."""

    diameter: float | None = None
    """Usual diameter of a nucleus: in micrometres if the size of a pixel is known, else in pixels.
    None: estimated from each plane."""
    method: str = METHODS[-1]

    @property
    def settings(self) -> dict[str, Any]:
        """See `Finder`."""
        return {"finder": "threshold", **dataclasses.asdict(self)}

    def find(self, planes: Sequence[Plane]) -> Iterator[tuple[NDArray[Any], Labels]]:
        """See `Finder`."""
        for plane in planes:
            image = plane.read()
            size = tables.square_size(plane.pixel_size_um) or 1.0
            diameter = self.diameter and self.diameter / size
            yield image, segment(image, diameter=diameter, method=self.method)


class Job(NamedTuple):
    """One image: the planes of one series of a file."""

    file: Path
    series: int
    name: str
    """Of its outputs, below the folder for them: a path with ``/``."""


class Outcome(NamedTuple):
    """What became of one image."""

    job: Job
    nuclei: int
    remark: str
    """What users must know; empty if nothing."""
    problem: str
    """Why it was left out; empty if it was not."""


def segment_files(
    paths: Iterable[Path],
    batch: Batch,
    *,
    part: str = "1/1",
    resume: bool = False,
    processes: int = 1,
    scheduler: str | None = None,
    search: Sequence[str] = (),
    say: Callable[[str], object],
    complain: Callable[[str], object],
) -> int:
    """Treat files and folders as a command does: say a line for each image, then a summary.

    Args:
        paths: Files and folders.
        batch: What to do.
        part: "I/N": only the I-th of N shares of the images.
        resume: Leave out images whose outputs are there, of the same file and settings.
        processes: See `Batch.run`, as for the following.
        scheduler: Of dask.
        search: Folders that workers need.
        say: Takes what is to be printed.
        complain: Takes what is to be printed as an error.

    Returns:
        1 if an image was left out, otherwise 0.

    Raises:
        ValueError: There is no image, or `part` is not valid.
        MissingDependencyError: See `Batch.run`.
    """
    share, shares = _shares(part)
    images = find_images(paths)
    jobs = images[share - 1 :: shares]
    if resume:
        jobs = [job for job in jobs if not batch.is_done(job)]
        say(f"{len(jobs)} images are left to do.")
    failed = 0
    for outcome in batch.run(jobs, processes=processes, scheduler=scheduler, search=search):
        if outcome.problem:
            failed += 1
            complain(f"{outcome.job.file}: left out: {outcome.problem}")
        else:
            remark = f" ({outcome.remark})" if outcome.remark else ""
            say(f"{outcome.job.file}: {outcome.nuclei} nuclei{remark}")
    rows, in_pixels = batch.gather(images)
    whole = batch.out / "nuclei.csv"
    say(f"{whole}: {rows} rows, one per nucleus. Pictures: {batch.out / 'overview.html'}.")
    if in_pixels:
        say(
            "Some images do not have the size of a pixel: their lengths are in pixels, in columns "
            "that end in _px and _px2. Give the size with --pixel-size."
        )
    if failed:
        complain(f"{failed} of {len(jobs)} images were left out.")
    return int(failed > 0)


def _shares(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise ValueError(f"part {text!r} is not I/N with I from 1 to N, such as 1/8.")
    return int(part), int(parts)


def find_images(paths: Iterable[Path]) -> list[Job]:
    """The images of some files and folders, each with a name of its own.

    A file is named by its path below the folder that was given, or by its own name. If two would
    get one name, all are named by their paths below the common folder.

    Raises:
        ValueError: There is no image.
    """
    given = list(paths)
    files: dict[Path, str] = {}
    for path in given:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in inside:
            if path.is_dir() and not _is_image(file):
                continue
            below = file.relative_to(path) if path.is_dir() else Path(file.name)
            files.setdefault(file.resolve(), below.as_posix())
    if not files:
        raise ValueError(f"No {', '.join(ENDINGS)} files in {', '.join(map(str, given))}.")
    # Some file systems take names for equal that differ in case only.
    if max(Counter(name.casefold() for name in files.values()).values()) > 1:
        common = Path(os.path.commonpath([file.parent for file in files]))
        files = {file: file.relative_to(common).as_posix() for file in files}
        twice = [name for name, n in Counter(map(str.casefold, files.values())).items() if n > 1]
        if twice:
            raise ValueError(
                f"Files whose names differ in case only, such as {twice[0]!r}, would be written "
                "over one another. Rename one of them, or give another --out for each."
            )
    jobs = []
    for file, name in files.items():
        jobs += [Job(file, series, name + ending) for series, ending in _series(file)]
    return jobs


def _is_image(file: Path) -> bool:
    ours = file.name.endswith((MASK, INSTANCES))
    return file.suffix.lower() in ENDINGS and not ours and file.is_file()


def _series(file: Path) -> list[tuple[int, str]]:
    try:
        found = reading.series_of(file)
    except Exception:  # noqa: BLE001 - told when its turn comes
        return [(0, "")]
    if len(found) == 1:
        return [(found[0], "")]
    return [(series, f".series{series + 1}") for series in found]


@dataclass(frozen=True)
class Batch:
    """Images to outputs; a call treats one image, and other processes can make it."""

    finder: Finder
    out: Path
    """Folder for the outputs."""
    channel: int | None = None
    """The channel with the nuclei, from 0; needed if there are several."""
    bits: int | None = None
    """Bit depth of the camera. None: from the values."""
    pixel_size_um: float | None = None
    """Width and height of a pixel. None: what the file says."""
    rois: bool = False
    """Whether outlines for ImageJ are written too."""

    def run(
        self,
        jobs: Sequence[Job],
        *,
        processes: int = 1,
        scheduler: str | None = None,
        search: Sequence[str] = (),
    ) -> Iterator[Outcome]:
        """Treat some images; gives their outcomes in order.

        Args:
            jobs: From `find_images`.
            processes: How many images are treated at a time on this machine.
            scheduler: Address of a dask scheduler whose workers treat them, or "local".
            search: Folders that workers need to import the finder.

        Raises:
            MissingDependencyError: Outlines are asked for without roifile, or a scheduler without
                dask.distributed.
        """
        if self.rois and importlib.util.find_spec("roifile") is None:
            raise MissingDependencyError(
                "Outlines for ImageJ need roifile, not installed here: pip install "
                '"bmgd-data[export]". Nothing was written; without rois everything else is.'
            )
        work = dataclasses.replace(self, out=self.out.resolve())
        with progress.bar("Segmenting", len(jobs)) as bar:
            results = in_order(work, jobs, processes=processes, scheduler=scheduler, search=search)
            for job, result in zip(jobs, results, strict=True):
                bar(1)
                yield Outcome(job, *result)

    def gather(self, jobs: Sequence[Job]) -> tuple[int, bool]:
        """Write ``nuclei.csv`` and ``overview.html`` of those images that are done.

        Returns:
            The number of rows, and whether some lengths are in pixels.
        """
        there = [job for job in jobs if self.path(job, RECORD).is_file()]
        _writing.write_page(
            self.out / "overview.html", [(job.name, f"{job.name}{PICTURE}") for job in there]
        )
        return tables.gathered((self.path(job, NUCLEI) for job in there), self.out / "nuclei.csv")

    def path(self, job: Job, ending: str) -> Path:
        """Where an output of an image is; `ending` is one of this module's."""
        return self.out / f"{job.name}{ending}"

    def record(self, job: Job) -> dict[str, Any]:
        """What decides the outputs of an image."""
        settings = {
            "channel": self.channel,
            "bits": self.bits,
            "pixel_size_um": self.pixel_size_um,
            **self.finder.settings,
        }
        return {
            "format": _FORMAT,
            "input": disk.sha256(job.file),
            "series": job.series,
            "settings": settings,
        }

    def is_done(self, job: Job) -> bool:
        """Whether the outputs are there and are of this input and these settings."""
        endings = (MASK, INSTANCES, NUCLEI, PICTURE, *([ROIS] if self.rois else []))
        try:
            record = json.loads(self.path(job, RECORD).read_text(encoding="utf-8"))
            there = all(self.path(job, ending).is_file() for ending in endings)
            return there and bool(record == json.loads(json.dumps(self.record(job))))
        except (OSError, ValueError):
            return False

    def __call__(self, job: Job) -> tuple[int, str, str]:
        """Treat one image; gives the fields of its `Outcome`."""
        try:
            return *self._written(job), ""
        except Exception as error:  # noqa: BLE001 - one bad file does not stop the others
            return 0, "", _explained(error)

    def _written(self, job: Job) -> tuple[int, str]:
        self.path(job, RECORD).unlink(missing_ok=True)
        planes = self._planes(job)
        record = self.record(job)
        labels, columns, count, unknown = [], [], 0, 0
        best: tuple[int, Any] = (-1, None)
        for number, (plane, (image, found)) in enumerate(
            zip(planes, self.finder.find(planes), strict=True), 1
        ):
            rows = tables.measured(
                image, found, plane.full_scale, tables.square_size(plane.pixel_size_um)
            )
            n = len(rows["label"])
            if image.dtype.kind == "f":
                unknown += image.size - int(np.count_nonzero(np.isfinite(image)))
            rows["label"] = rows["label"] + count
            texts = {"name": job.name, "plane": number, "t": plane.t, "z": plane.z}
            columns.append({key: np.full(n, value) for key, value in texts.items()} | rows)
            if n > best[0]:
                best = n, _writing.overview(image, found)
            labels.append((found, count))
            count += n
        del image, found  # a large plane is not kept while its masks are written
        numbered = _writing.Numbered(labels, np.uint32 if count > _WIDEST else np.uint16)
        _writing.write_planes(self.path(job, MASK), planes, _writing.masks(labels), np.uint8)
        _writing.write_planes(self.path(job, INSTANCES), planes, numbered, numbered.dtype)
        self._write_table(job, columns)
        _writing.write_picture(self.path(job, PICTURE), best[1])
        if self.rois:
            from bmgd_data.export import roi_zip

            stack = np.stack(list(numbered)).reshape(*_writing.axes(planes)[1], *planes[0].shape)
            with disk.staged_file(self.path(job, ROIS)) as partial:
                partial.write_bytes(roi_zip(stack))
        disk.write_json(self.path(job, RECORD), record)
        remarks = []
        if unknown:
            remarks.append(f"background where it is NaN or infinite: {unknown} pixels")
        if missing := planes[0].missing:
            remarks.append(f"planes that it names and no file holds: {missing}")
        return count, "; ".join(remarks)

    def _planes(self, job: Job) -> list[Plane]:
        planes = reading.read([job.file], job.series)
        channels = sorted({plane.c for plane in planes})
        if self.channel is None and len(channels) > 1:
            raise ValueError(
                f"has {len(channels)} channels. Choose the one with nuclei: --channel 0 to "
                f"{channels[-1]}."
            )
        if self.channel is not None and self.channel not in channels:
            raise ValueError(
                f"has {len(channels)} channels, so there is no --channel {self.channel}."
            )
        wanted = channels[0] if self.channel is None else self.channel
        planes = sorted((p for p in planes if p.c == wanted), key=lambda p: (p.t, p.z))
        known: dict[str, Any] = {}
        if self.pixel_size_um is not None:
            known["pixel_size_um"] = (self.pixel_size_um, self.pixel_size_um)
        if self.bits is not None:
            known["full_scale"] = float(2**self.bits - 1)
        return [dataclasses.replace(plane, **known) for plane in planes]

    def _write_table(self, job: Job, columns: list[dict[str, NDArray[Any]]]) -> None:
        from bmgd_data import nuclei

        joined = {name: np.concatenate([each[name] for each in columns]) for name in columns[0]}
        joined["instances"] = np.full(len(joined["label"]), self.finder.method)
        nuclei.Table(joined, self.finder.method, self.pixel_size_um or 1.0).to_csv(
            self.path(job, NUCLEI)
        )


def _explained(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, MemoryError):
        return f"it does not fit in memory ({error})"
    if isinstance(error, OSError | MemoryError) or type(error) is ValueError:
        return str(error)  # it says what is wrong
    return f"{type(error).__name__}: {error}"
