"""ImageJ and Fiji: images, a set of regions of interest (ROIs) for each, and the nuclei's table."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bmgd_data.export.outlines import along_pixels, outlines
from bmgd_data.export.pictures import write_one
from bmgd_data.nuclei import nuclei

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bmgd_data.export.pictures import Part

_FURTHEST: Final = 65535
"""Coordinates have 16 bits."""
_MOVE, _LINE, _CLOSE = 0, 1, 4  # steps of a path in ImageJ's composite ROIs


def write(part: Part, folder: Path) -> list[str]:
    """Write images, ``rois/*.zip`` and ``nuclei.csv``; an image without nuclei has no zip.

    Returns:
        The image file of each sample, relative to `folder`.
    """
    (folder / "rois").mkdir()
    files = []
    for entry in part:
        files.append(write_one(entry, folder, {"image": "images/{stem}.tif"})["image"])
        if entry.sample["n_nuclei"]:
            path = folder / "rois" / f"{entry.stem}.zip"
            path.write_bytes(roi_zip(entry.sample["instances"]))
    nuclei(part.reader).to_csv(folder / "nuclei.csv")
    return files


def roi_zip(labels: NDArray[np.integer[Any]]) -> bytes:
    """Encode instance labels as a zip of ROIs that ImageJ's ROI Manager opens.

    A ROI runs along pixel sides, as ImageJ's own wand does, so that it holds exactly the pixels of
    its nucleus, and Measure gives its area. A nucleus with holes or of several pieces is a
    composite ROI. ROIs are named by label ("0012"), in stacks by plane and label ("0003-0012").

    Args:
        labels: (H, W); for stacks (Z or T, H, W) or (T, Z, H, W), whose planes are counted from 1
            in this order. 0 is background; numbers may be left out.

    Returns:
        The bytes of the zip; the same for the same labels.

    Raises:
        ModuleNotFoundError: roifile is not installed; the extra ``export`` has it.
        ValueError: A side is longer than ImageJ's ROIs reach.
    """
    if max(labels.shape[-2:]) > _FURTHEST:
        raise ValueError(
            f"ROIs of ImageJ reach {_FURTHEST} pixels, and these labels are {labels.shape}. Cut "
            "them into tiles."
        )
    stack = labels.ndim > 2  # noqa: PLR2004
    axes = [length for length in labels.shape[:-2] if length > 1]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for plane, below in enumerate(labels.reshape(-1, *labels.shape[-2:]), 1):
            for label, lines in outlines(below):
                name = f"{plane:04d}-{label:04d}" if stack else f"{label:04d}"
                # Stacks have one position, hyperstacks one per axis.
                place = {"position": plane} if stack else {}
                if len(axes) == 2:  # noqa: PLR2004 - T and Z
                    frame, z = divmod(plane - 1, axes[1])
                    place = {"z_position": z + 1, "t_position": frame + 1}
                roi = _roi([along_pixels(line) for line in lines], name=name, **place)
                # A fixed date gives the same bytes each time.
                member = zipfile.ZipInfo(f"{name}.roi", date_time=(1980, 1, 1, 0, 0, 0))
                archive.writestr(member, roi.tobytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _roi(polygons: Sequence[NDArray[np.int32]], **common: Any) -> Any:
    """A traced ROI of one polygon, or a composite ROI of several, in which holes are left out."""
    from roifile import ROI_TYPE, ImagejRoi

    points = np.concatenate(polygons)
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    common |= {"left": left, "top": top, "right": right, "bottom": bottom}
    if len(polygons) == 1:
        return ImagejRoi(
            roitype=ROI_TYPE.TRACED,
            n_coordinates=len(points),
            integer_coordinates=points - (left, top),
            **common,
        )
    steps = []
    for polygon in polygons:
        lines = np.insert(polygon, 0, _LINE, axis=1)
        lines[0, 0] = _MOVE
        steps.append(np.append(lines, _CLOSE))
    path = np.concatenate(steps).astype(np.float32)
    return ImagejRoi(
        roitype=ROI_TYPE.RECT, shape_roi_size=len(path), multi_coordinates=path, **common
    )
