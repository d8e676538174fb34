"""The samples as files that other tools read.

    from bmgd_data import Reader
    from bmgd_data.export import export

    export(Reader("train"), "cellpose", "bmgd-cellpose")

`FORMATS` lists the formats and what each holds. `write_canonical` writes arrays of any origin in
the form that `Reader` reads.
"""

from __future__ import annotations

import csv
import importlib.util
import os
from collections import Counter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bmgd_data._system import disk, progress
from bmgd_data._system.file_names import as_upstream, file_names, safe_file_name
from bmgd_data.errors import MissingDependencyError, StorageError
from bmgd_data.export import coco, parquet, pictures, readme, rois, shards
from bmgd_data.export.canonical import write_canonical
from bmgd_data.export.parts import Part
from bmgd_data.export.rois import roi_zip
from bmgd_data.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "FORMATS",
    "Format",
    "export",
    "file_names",
    "roi_zip",
    "safe_file_name",
    "write_canonical",
]


HUGGING_FACE: Final[Mapping[str, str]] = MappingProxyType({"val": "validation"})
"""Its names of splits, where they differ from ours."""


class Format(NamedTuple):
    """One way of laying samples out on disk."""

    about: str
    """What it is for, in a few words."""
    layout: str
    """Which files hold what."""
    write: Callable[[Part, Path], list[str]]
    """Writes a part into a folder and returns the file of each sample."""
    needs: tuple[str, ...] = ()
    """Modules beyond the core's."""
    stem: Callable[[str], str] = safe_file_name
    """Sample name to file name without suffix."""
    divided: bool = True
    """Whether `bmgd export` without --split gives each split a folder of its own."""
    in_split_folder: bool = False
    """Whether a single reader goes into a folder named by its split, too."""
    splits: Mapping[str, str] = MappingProxyType({})
    """Folder names of splits, where programs expect others than ours."""
    extra: str = "export"
    """The extra of this package that installs what is needed."""
    readme: Callable[[Mapping[str, Reader], str], str] = readme.plain
    describe: Callable[[Mapping[str, Reader], Path], None] | None = None
    """Writes files that describe all parts together."""
    note: str = ""
    """What else users should know."""


_PICTURES: Final = """\
The pictures in `images/` have 8 bits, on the same scale for all of them: grey is
raw value x 255 / full scale, rounded. So brightness stays comparable, and grey / 255 is the float
image of `BMGD`. Programs that convert images to RGB read these: Pillow's `convert("RGB")`,
`cv2.imread`, torchvision's CocoDetection, ultralytics, the processors of vision transformers. They
would make 16 bits white (Pillow) or black (OpenCV).

The raw values are in `images_16bit/` under the same names: read them with
`cv2.imread(path, cv2.IMREAD_UNCHANGED)`, scikit-image, imageio, or Pillow without `convert`."""
_ROIS: Final = """\
A ROI runs along the sides of the pixels of its nucleus, so that ImageJ's Measure gives the areas of
nuclei.csv. Nuclei with holes are composite ROIs. An image without nuclei has no zip."""
_VALIDATION: Final = """\
The folder of the split 'val' is 'validation', as Hugging Face calls it; index.csv says 'val'."""
_SHARDS: Final = """\
Each split of eight samples or more has at least eight shards, so that as many worker processes can
share it: a WebDataset worker without a shard fails."""

FORMATS: Final = {
    "tiff": Format(
        "TIFF folders as upstream lays them out; readable as source=",
        "<stiffness>/image/*.tif (uint16), <stiffness>/mask/*.tif (uint8, 0 or 255), "
        "<stiffness>/instances/*.tif (uint16, nuclei numbered 1..n)",
        pictures.upstream,
        stem=as_upstream,
        divided=False,
    ),
    "cellpose": Format(
        "TIFF as Cellpose pairs it: --img_filter _img --mask_filter _masks",
        "*_img.tif (uint16), *_masks.tif (uint16, nuclei numbered 1..n)",
        pictures.cellpose,
    ),
    "folders": Format(
        "image and label folders as StarDist's notebooks read them",
        "images/*.tif (uint16), masks/*.tif (uint16, nuclei numbered 1..n), "
        "foreground/*.tif (uint8, 0 or 255)",
        pictures.folders,
    ),
    "rois": Format(
        "ImageJ and Fiji: images, ROIs of the nuclei, and a table of them",
        "images/*.tif (uint16), rois/*.zip (open with the image; each ROI is named by the label of "
        "its nucleus), nuclei.csv (one row per nucleus, by name and label)",
        rois.write,
        needs=("roifile",),
        divided=False,
        note=_ROIS,
    ),
    "coco": Format(
        "COCO JSON beside PNG, as torchvision's CocoDetection and detectors read it",
        "images/*.png (8 bits), images_16bit/*.png (uint16), annotations_rle.json (exact), "
        "annotations_polygons.json (exact but for holes, which polygons of COCO cannot say: they "
        "are filled)",
        coco.write,
        needs=("pycocotools",),
        note=_PICTURES,
    ),
    "imagefolder": Format(
        "Hugging Face imagefolder with metadata",
        "<split>/images/*.png (8 bits), <split>/images_16bit/*.png (uint16), "
        "<split>/masks/*.png (1 bit), <split>/instances/*.png (16 bits), <split>/metadata.jsonl",
        pictures.imagefolder,
        in_split_folder=True,
        splits=HUGGING_FACE,
        readme=readme.card,
        note=f"{_VALIDATION}\n\n{_PICTURES}",
    ),
    "webdataset": Format(
        "WebDataset shards; .decode() gives numpy arrays",
        "shard-*.tar with <key>.image.npy.gz (uint16), .mask.npy.gz (bool), .instances.npy.gz "
        "(uint16) and .json",
        shards.write,
        needs=("webdataset",),
        note=_SHARDS,
    ),
    "parquet": Format(
        "Parquet for Hugging Face, polars and pyarrow, with Croissant metadata",
        "<split>/samples.parquet (image, mask and instances as PNG bytes of 16, 1 and 16 bits), "
        "croissant.json, dataset_infos.json (citation and licence for Hugging Face)",
        parquet.write,
        needs=("datasets",),
        extra="hf",
        in_split_folder=True,
        splits=HUGGING_FACE,
        readme=readme.card,
        describe=parquet.describe,
        note=_VALIDATION,
    ),
}
"""The formats by name."""


def export(
    readers: Reader | Mapping[str, Reader],
    format: str,  # noqa: A002 - the word that users of such functions expect
    dest: str | os.PathLike[str],
) -> Path:
    """Write samples as files that another tool reads.

    Beside them lie index.csv (file, sample name, split, stiffness in pascal, number of nuclei, full
    scale, pixel size, units, instance method, scheme, source, licence and digest of the data) and a
    README.md with the citation. The folder is complete or absent.

    Args:
        readers: One reader; or several by name, such as ``{"train": ..., "val": ...}``, each of
            which goes into a subfolder of that name ("validation" for "val" where the format is
            Hugging Face's).
        format: A key of `FORMATS`.
        dest: The folder to make; it must not exist yet.

    Returns:
        The folder's absolute path.

    Raises:
        ValueError: Unknown format, a name that cannot name a folder, or nothing to write.
        MissingDependencyError: A library that the format needs is not installed.
        StorageError: `dest` exists, the disk is full, or it may not be written.

    Example:
        >>> from bmgd_data import Reader
        >>> splits = {name: Reader(name, source="phantom") for name in ("train", "val")}
        >>> export(splits, "coco", "phantom-coco").name  # doctest: +SKIP
        'phantom-coco'
    """
    chosen = _format(format)
    named = _named(readers, chosen)
    final = Path(dest).expanduser().absolute()
    _refuse_existing(final)
    total = sum(map(len, named.values()))
    white = max(max(reader.full_scales.values()) for reader in named.values())
    with disk.staged(final) as folder, progress.bar(f"Exporting {format}", total) as tick:
        parts = [
            Part(reader, name, file_names(reader.names, chosen.stem), tick, white)
            for name, reader in named.items()
        ]
        rows: list[dict[str, Any]] = []
        for part in parts:
            rows += _write(part, folder, chosen)
        _write_index(rows, folder / "index.csv")
        if chosen.describe:
            chosen.describe(named, folder)
        about = (chosen.about, f"Layout: {chosen.layout}.", chosen.note)
        text = chosen.readme(named, "\n\n".join(filter(None, about)))
        (folder / "README.md").write_text(text, encoding="utf-8")
        _refuse_existing(final)
    return final


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise ValueError(f"Unknown format {name!r}. Valid: {', '.join(map(repr, FORMATS))}.")
    missing = [module for module in FORMATS[name].needs if not importlib.util.find_spec(module)]
    if missing:
        raise MissingDependencyError(
            f"The format {name!r} needs {' and '.join(missing)}, which is not installed: "
            f'pip install "bmgd-data[{FORMATS[name].extra}]".'
        )
    return FORMATS[name]


def _named(readers: Reader | Mapping[str, Reader], chosen: Format) -> dict[str, Reader]:
    """The readers by the folder of each, relative to the destination."""
    if isinstance(readers, Reader):
        # Hugging Face calls data that is not divided "train".
        own = "train" if readers.split == "all" else readers.split
        named = {chosen.splits.get(own, own) if chosen.in_split_folder else "": readers}
    else:
        folders = [chosen.splits.get(name, name) for name in readers]
        _check_folders(folders)
        named = dict(zip(folders, readers.values(), strict=True))
    empty = [name or reader.split for name, reader in named.items() if not len(reader)]
    if empty or not named:
        raise ValueError(f"Nothing to export: no images in {', '.join(empty) or 'no readers'}.")
    return named


def _check_folders(names: Sequence[str]) -> None:
    unfit = [name for name, safe in file_names(sorted(set(names))).items() if name != safe]
    unfit += [name for name, times in Counter(names).items() if times > 1]
    if unfit:
        raise ValueError(
            f"{', '.join(map(repr, unfit))} cannot name a folder on every system. Use letters, "
            "digits, '-' and '_', such as 'train', and no two that differ in case only, or that "
            "mean the same split."
        )


def _refuse_existing(final: Path) -> None:
    if os.path.lexists(final):
        raise StorageError(
            f"{final} exists already, and was left as it is. Remove it, or name another folder."
        )


def _write(part: Part, folder: Path, chosen: Format) -> list[dict[str, Any]]:
    target = folder / part.folder
    target.mkdir(exist_ok=True)
    files = chosen.write(part, target)
    below = f"{part.folder}/" if part.folder else ""
    return [
        {"file": below + file, **record} for file, record in zip(files, part.records, strict=True)
    ]


def _write_index(rows: list[dict[str, Any]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
