"""Files of predictions: which kinds are read, and how each becomes an array of (H, W)."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import warnings
import zipfile
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data._ingest import decode, raster
from bmgd_data.errors import MissingDependencyError, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

LARGEST: Final = 2**30
"""Bytes of a file that is read, and of all members of a zip together."""
_MOST_ROIS: Final = 100_000


def read(path: Path, shape: tuple[int, int]) -> NDArray[Any]:
    """Read one prediction, (H, W).

    Args:
        path: A file of one of the `KINDS`.
        shape: Of the image, (H, W), for files that hold outlines.

    Raises:
        ValueError: It cannot be read, is not one plane, or is a picture in colours.
        MissingDependencyError: ROIs need roifile.
    """
    if (size := path.stat().st_size) > LARGEST:
        raise ValueError(f"{path}: it has {size} bytes, and files above {LARGEST} are not read.")
    try:
        return KINDS[path.suffix.lower()].read(path.read_bytes(), path.name, shape)
    except MissingDependencyError:
        raise
    except (ValueError, OSError) as error:  # DecodeError is a ValueError
        raise ValueError(f"{path}: {error}") from error
    # Parsers raise whatever the bytes make them: struct.error, IndexError, RuntimeError, ...
    except Exception as error:
        raise ValueError(f"{path}: it is damaged ({type(error).__name__}: {error})") from error


# ------------------------------------------------------------------------------------------ images


def _image(data: bytes, name: str, _: tuple[int, int]) -> NDArray[Any]:
    indices = _indices(data)
    return decode.prediction(data, name) if indices is None else indices


def _indices(data: bytes) -> NDArray[Any] | None:
    """The indices of an indexed PNG or TIFF of colours: each is the number of a nucleus."""
    from PIL import Image

    if not data.startswith((b"\x89PNG", b"II*\0", b"MM\0*")):
        return None
    with (
        contextlib.suppress(Exception),  # the decoder, which is stricter, says what is wrong
        warnings.catch_warnings(action="ignore"),
        Image.open(io.BytesIO(data)) as picture,
    ):
        if picture.mode == "P" and picture.width * picture.height <= raster.MAX_VALUES:
            table = np.array(picture.getpalette(), np.uint8).reshape(-1, 3)
            return _coloured(np.asarray(picture), table)
    return None


def _coloured(indices: NDArray[Any], table: NDArray[np.uint8]) -> NDArray[Any] | None:
    used = np.unique(indices)
    if used[-1] >= len(table):  # no colours for some: only the numbers can be meant
        return indices
    grey = bool((table[used] == table[used][:, :1]).all())
    return None if grey or len(used) <= 2 else indices  # noqa: PLR2004


# ------------------------------------------------------------------------------------------- numpy


def _numpy(data: bytes, _: str, __: tuple[int, int]) -> NDArray[Any]:
    """An array, or the masks of the dict that Cellpose saves as ``_seg.npy``."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    reader = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if reader is not None and reader(file)[2].hasobject:
        try:
            found = _Plain(file).load()
        # Whatever its bytes make an unpickler raise.
        except Exception as error:
            raise ValueError(
                f"it holds Python objects ({error}), which can run code and are not read. Save the "
                "masks alone: np.save(path, masks)"
            ) from error
        masks = found.item() if isinstance(found, np.ndarray) and found.ndim == 0 else found
        masks = masks.get("masks") if isinstance(masks, dict) else None
        if not isinstance(masks, np.ndarray) or masks.dtype.hasobject:
            raise ValueError("it holds Python objects without 'masks', the labels of Cellpose")
        return masks
    array: NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    return array


class _Plain(pickle.Unpickler):
    """Reads numpy arrays in plain containers; names of anything else end it, so no code runs."""

    _ARRAY: Final = object()  # stands for the class, which is named and never called

    def find_class(self, module: str, name: str) -> Any:
        known = {
            "ndarray": self._ARRAY,
            "dtype": np.dtype,
            "_reconstruct": lambda *_: np.zeros(0, np.int8),
            "scalar": lambda dtype, raw: np.frombuffer(raw, dtype)[0],
            "_frombuffer": lambda raw, dtype, shape, order: np.frombuffer(raw, dtype).reshape(
                shape, order=order
            ),
        }
        if module.partition(".")[0] == "numpy" and name in known:
            return known[name]
        if (module, name) == ("_codecs", "encode"):  # bytes in old protocols
            return lambda text, _: text.encode("latin1")
        raise pickle.UnpicklingError(f"{module}.{name}")


# ---------------------------------------------------------------------------------------- outlines


def _rois(data: bytes, _: str, shape: tuple[int, int]) -> NDArray[Any]:
    """ROIs of ImageJ and Fiji, numbered in their order: a zip of the ROI Manager, or one .roi."""
    try:
        from roifile import ROI_TYPE, ImagejRoi
    except ImportError as error:
        raise missing("Reading ROIs", "roifile", "export", error, instead="") from error
    members = [data]
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [e for e in archive.infolist() if e.filename.lower().endswith(".roi")]
            if sum(entry.file_size for entry in entries) > LARGEST or len(entries) > _MOST_ROIS:
                raise ValueError("its ROIs are too many to be nuclei")
            members = [archive.read(entry) for entry in entries]
        if not members:
            raise ValueError("the zip holds no ROIs (.roi)")
    areas = {
        *(ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED),
        *(ROI_TYPE.RECT, ROI_TYPE.OVAL),
    }
    parse: Callable[[bytes], Any] = ImagejRoi.frombytes
    nuclei, planes = [], set()
    for member in members:
        roi = parse(member)
        if roi.roitype not in areas:
            raise ValueError(f"the ROI {roi.name!r} is a {roi.roitype.name}, which has no area")
        nuclei.append(roi.coordinates(multi=True))
        planes.add((roi.position, roi.z_position, roi.t_position))
    if len(planes) > 1:
        raise ValueError(f"its ROIs are on {len(planes)} planes of a stack; save those of one")
    return _filled(nuclei, shape)


def _geojson(data: bytes, _: str, shape: tuple[int, int]) -> NDArray[Any]:
    """Objects of QuPath, numbered in their order; of a cell its nucleus. In pixels."""
    found = json.loads(data)
    features = found.get("features", [found]) if isinstance(found, dict) else found
    nuclei = []
    try:
        for feature in features:
            shown = feature.get("nucleusGeometry") or feature["geometry"]
            nested = {"Polygon": 0, "MultiPolygon": 1}[shown["type"]]
            pieces = shown["coordinates"] if nested else [shown["coordinates"]]
            nuclei.append([np.array(line, float)[:, :2] for piece in pieces for line in piece])
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(
            f"no GeoJSON of polygons, as QuPath exports objects ({type(error).__name__}: {error})"
        ) from error
    return _filled(nuclei, shape)


def _filled(nuclei: Iterable[Iterable[NDArray[Any]]], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Labels of closed lines (x, y) along pixel sides: a pixel belongs where its centre is inside.

    Lines of one nucleus cut holes out of each other. Where nuclei overlap, the later one is kept.
    """
    from skimage.draw import polygon

    fill: Callable[..., tuple[NDArray[Any], NDArray[Any]]] = polygon
    labels = np.zeros(shape, np.int32)
    for number, lines in enumerate(nuclei, 1):
        inside = np.zeros(shape, np.bool_)
        for line in lines:
            if not np.isfinite(line).all():
                raise ValueError("an outline has coordinates that are no numbers")
            rows, columns = fill(line[:, 1] - 0.5, line[:, 0] - 0.5, shape)
            inside[rows, columns] ^= True
        labels[inside] = number
    return labels


class Kind(NamedTuple):
    """One kind of file."""

    read: Callable[[bytes, str, tuple[int, int]], NDArray[Any]]
    beside: tuple[str, ...] = ()
    """Ends of names that programs write beside masks: left out where a mask is there as well."""


_ROIS: Final = Kind(_rois, ("_rois.zip",))
KINDS: Final = {
    **dict.fromkeys((".tif", ".tiff", ".png"), Kind(_image)),
    ".npy": Kind(_numpy, ("_seg.npy",)),
    **dict.fromkeys((".zip", ".roi"), _ROIS),
    ".geojson": Kind(_geojson),
}
"""By suffix."""
