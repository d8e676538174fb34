"""The samples as files that other tools read.

`FORMATS` lists the formats and what each holds. `write_canonical` writes arrays of any origin in
the form that `Reader` reads.
"""

from __future__ import annotations

import csv
import importlib.util
import os
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bmgd_data import facts
from bmgd_data._card import copy_of, dataset_card
from bmgd_data._system import disk, progress
from bmgd_data._system.file_names import as_upstream, file_names, safe_file_name
from bmgd_data.errors import MissingDependencyError, StorageError
from bmgd_data.export import coco, geojson, nnunet, parquet, pictures, rois, shards, yolo
from bmgd_data.export.canonical import write_canonical
from bmgd_data.export.pictures import Part
from bmgd_data.export.rois import roi_zip
from bmgd_data.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "FORMATS",
    "Format",
    "export",
    "file_names",
    "roi_zip",
    "safe_file_name",
    "write_canonical",
]


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
    extra: str = "export"
    """The extra of this package that installs them."""
    stem: Callable[[str], str] = safe_file_name
    """Sample name to file name without suffix."""
    divided: bool = True
    """Whether `bmgd export` without --split gives each split its own folder."""
    hugging_face: bool = False
    """Whether folders and README.md are as Hugging Face reads them: each split in a folder, "val"
    in "validation", and a data set card that names them."""
    describe: Callable[[Mapping[str, Reader], Path], None] | None = None
    """Writes files that describe all parts together."""
    note: str = ""
    """What else users should know."""


_SCALED: Final = """\
The pictures in `images/` have 8 bits, on the same scale for all of them: grey is
raw value x 255 / full scale, rounded. So brightness stays comparable, and grey / 255 is the float
image of `BMGD`."""
_PICTURES: Final = f"""\
{_SCALED} Programs that convert images to RGB read these: Pillow's `convert("RGB")`,
`cv2.imread`, torchvision's CocoDetection, ultralytics, the processors of vision transformers. They
turn 16 bits white (Pillow) or black (OpenCV).

The raw values are in `images_16bit/` under the same names: read them with
`cv2.imread(path, cv2.IMREAD_UNCHANGED)`, scikit-image, imageio, or Pillow without `convert`."""
_ROIS: Final = """\
A ROI runs along the sides of the pixels of its nucleus, so that ImageJ's Measure gives the areas of
nuclei.csv. Nuclei with holes are composite ROIs. An image without nuclei has no zip."""
_YOLO: Final = f"""\
{_SCALED}

Lost are the other grey values, holes, which polygons cannot say and which are filled, and the gaps
between several pieces of one nucleus, which a line joins. Nuclei do not overlap. An image without
nuclei has an empty text file. Polygons run a fifth of a pixel inside the border, so that OpenCV
fills them to exactly the pixels of the nucleus; boxes made of them are smaller by as much on each
side."""
_GEOJSON: Final = """\
Polygons run along the sides of pixels, in pixels from the upper left corner, holes left out; they
are valid in the sense of the Open Geospatial Consortium. The nuclei are of the objectType
"detection" and of the class Nucleus. "Area µm^2" is what QuPath measures under this name;
measurements whose names begin with "BMGD:" are columns of nuclei.csv as `bmgd_data.nuclei` defines
them. An image without nuclei has an empty collection."""
_NNUNET: Final = """\
Training and validation images are in imagesTr, test images in imagesTs. nnU-Net draws five folds of
imagesTr by itself unless splits_final.json lies beside its preprocessed data: copy it there, and
train fold 0. Masks are of two classes: nuclei that touch are one region."""
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
        partial(pictures.write, layout=pictures.UPSTREAM),
        stem=as_upstream,
        divided=False,
    ),
    "cellpose": Format(
        "TIFF as Cellpose pairs it: --img_filter _img --mask_filter _masks",
        "*_img.tif (uint16), *_masks.tif (uint16, nuclei numbered 1..n)",
        partial(pictures.write, layout=pictures.CELLPOSE),
    ),
    "folders": Format(
        "image and label folders as StarDist's notebooks read them",
        "images/*.tif (uint16), masks/*.tif (uint16, nuclei numbered 1..n), "
        "foreground/*.tif (uint8, 0 or 255)",
        partial(pictures.write, layout=pictures.FOLDERS),
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
        "annotations_polygons.json (exact in pycocotools, OpenCV and Pillow but for holes, which "
        "polygons of COCO cannot say: they are filled)",
        coco.write,
        needs=("pycocotools",),
        note=_PICTURES,
    ),
    "yolo": Format(
        "YOLO segmentation, as ultralytics trains on it: data=data.yaml",
        "<split>/images/*.png (8 bits), <split>/labels/*.txt (a polygon of each nucleus, in shares "
        "of width and height), data.yaml",
        yolo.write,
        describe=yolo.describe,
        note=_YOLO,
    ),
    "geojson": Format(
        "GeoJSON for QuPath: images, and nuclei as detections with measurements",
        "images/*.tif (uint16), geojson/*.geojson (a FeatureCollection for each image; each "
        "feature is named by the label of its nucleus)",
        geojson.write,
        divided=False,
        note=_GEOJSON,
    ),
    "nnunet": Format(
        "nnU-Net's raw data: nnUNet_raw=DEST, data set 1",
        "Dataset001_BMGD/imagesTr and imagesTs/*_0000.png (uint16), labelsTr and labelsTs/*.png "
        "(uint8: 0 and 1), dataset.json, splits_final.json",
        nnunet.write,
        divided=False,
        note=_NNUNET,
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
        hugging_face=True,
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

    The folder also gets index.csv (file, sample name, split, stiffness in pascal, number of nuclei,
    full scale, pixel size, units, instance method, scheme, source, licence and digest of the data)
    and a README.md with the citation. It is complete or absent.

    Args:
        readers: One reader; or several by name, such as ``{"train": Reader("train")}``, each of
            which goes into a subfolder of that name ("validation" for "val" if the format is
            Hugging Face's).
        format: A key of `FORMATS`.
        dest: The folder to make; it must not exist yet.

    Returns:
        The folder's absolute path.

    Raises:
        ValueError: Unknown format, a name that no folder can have, or nothing to write.
        MissingDependencyError: A library that the format needs is not installed.
        StorageError: `dest` exists, the disk is full, or it may not be written.
    """
    if format not in FORMATS:
        raise ValueError(f"Unknown format {format!r}. Valid: {', '.join(map(repr, FORMATS))}.")
    chosen = FORMATS[format]
    missing = [module for module in chosen.needs if not importlib.util.find_spec(module)]
    if missing:
        raise MissingDependencyError(
            f"The format {format!r} needs {' and '.join(missing)}, which is not installed: "
            f'pip install "bmgd-data[{chosen.extra}]".'
        )
    named = _named(readers, chosen)
    final = Path(dest).expanduser().absolute()
    _refuse_existing(final)
    total = sum(map(len, named.values()))
    white = max(max(reader.full_scales.values()) for reader in named.values())
    with disk.staged(final) as folder, progress.bar(f"Exporting {format}", total) as tick:
        rows: list[dict[str, Any]] = []
        for name, reader in named.items():
            part = Part(reader, file_names(reader.names, chosen.stem), tick, white)
            target = folder / name
            target.mkdir(exist_ok=True)
            written = chosen.write(part, target)
            for path, record in zip(written, part.records, strict=True):
                rows.append({"file": f"{name}/{path}" if name else path, **record})
        with (folder / "index.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        if chosen.describe:
            chosen.describe(named, folder)
        (folder / "README.md").write_text(_readme(named, chosen), encoding="utf-8")
        _refuse_existing(final)
    return final


def _named(readers: Reader | Mapping[str, Reader], chosen: Format) -> dict[str, Reader]:
    """The readers by the folder of each, relative to the destination."""
    theirs = {"val": "validation"} if chosen.hugging_face else {}
    if isinstance(readers, Reader):
        # Hugging Face calls data that is not divided "train".
        own = "train" if readers.split == "all" else readers.split
        named = {theirs.get(own, own) if chosen.hugging_face else "": readers}
    else:
        names = [theirs.get(name, name) for name in readers]
        unfit = [name for name, safe in file_names(sorted(set(names))).items() if name != safe]
        unfit += [name for name, times in Counter(names).items() if times > 1]
        if unfit:
            raise ValueError(
                f"{', '.join(map(repr, unfit))} cannot name a folder on every system. Use letters, "
                "digits, '-' and '_', such as 'train', and no two that differ in case only, or "
                "that mean the same split."
            )
        named = dict(zip(names, readers.values(), strict=True))
    empty = [name or reader.split for name, reader in named.items() if not len(reader)]
    if empty or not named:
        raise ValueError(f"Nothing to export: no images in {', '.join(empty) or 'no readers'}.")
    return named


def _refuse_existing(final: Path) -> None:
    if os.path.lexists(final):
        raise StorageError(
            f"{final} exists already, and was not changed. Remove it, or name another folder."
        )


def _readme(readers: Mapping[str, Reader], chosen: Format) -> str:
    about = "\n\n".join(filter(None, (chosen.about, f"Layout: {chosen.layout}.", chosen.note)))
    if chosen.hugging_face:
        head = ["configs:", "- config_name: default", "  data_files:"]
        for name in readers:
            head += [f"  - split: {name}", f"    path: {name}/**"]
        return dataset_card(readers, "\n".join(head) + "\n", about)
    return f"""\
# {facts.NAME}, the {facts.LONG_NAME}

{about}
index.csv says which file is which sample.

{copy_of(readers)}

## Licence and citation

Licence of the data: {facts.DATA_LICENSE}.

{facts.CITATION}

```bibtex
{facts.BIBTEX}```
"""
