"""The canonical form of data for `Reader`: plain TIFF, paired by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bmgd_data._ingest import pairing
from bmgd_data._system import disk
from bmgd_data._system.file_names import safe_file_name
from bmgd_data.errors import StorageError, printable
from bmgd_data.facts import named_by, parse_stiffness

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from bmgd_data import facts
    from bmgd_data.facts import Stiffness


def write_canonical(
    dest: str | os.PathLike[str],
    stiffness: Stiffness,
    samples: Iterable[tuple[str, NDArray[Any], NDArray[Any]]],
) -> Path:
    """Write arrays of any origin as files that `Reader` reads without doubts.

    The files of one stiffness are ``<dest>/950 Pa/image/<name>.tif`` (16-bit grey) and
    ``<dest>/950 Pa/mask/<name>.tif`` (0 or 255), uncompressed. They are complete or absent.
    Several stiffnesses go into one `dest`, one call each.

    Args:
        dest: The folder to write into, later given as ``source=``; made if it does not exist.
        stiffness: The stiffness of the samples, such as ``"950Pa"`` or 950.
        samples: (name, image, mask) of each sample. Names are those the samples will have, with or
            without ``"950Pa/"``; a slash makes a folder. Image: (H, W) uint16, the same shape in
            all. Mask: (H, W) bool, or integers where 0 is background and everything else nuclei.

    Returns:
        The absolute path of `dest`.

    Raises:
        ValueError: No samples, a name that cannot name a file or is given twice, or an array of
            another shape or type. The message names the sample.
        StorageError: The folder of that stiffness exists, the disk is full, or it may not be
            written.
    """
    import tifffile

    if len(conditions := parse_stiffness(stiffness)) != 1:
        raise ValueError(f"Samples of one stiffness are written at a time, not of {stiffness!r}.")
    condition = conditions[0]
    folder = Path(dest).expanduser().absolute()
    final = folder / condition.folder
    for there in folder.iterdir() if folder.is_dir() else ():
        if condition in (named_by(there.name), named_by(there.stem)):
            raise StorageError(
                f"{there} exists already, and was not changed. Remove it, or name another folder."
            )
    names: dict[str, str] = {}
    shape: tuple[int, ...] = ()
    with disk.staged(final) as partial:
        for given, image, mask in samples:
            name = _name(given, condition, names)
            shape = shape or np.shape(image)
            pair: dict[str, NDArray[Any]] = {
                pairing.IMAGE: _image(np.asarray(image), name),
                pairing.MASK: _mask(np.asarray(mask), name),
            }
            for role, array in pair.items():
                if array.ndim != 2 or array.shape != shape or not array.size:  # noqa: PLR2004
                    raise ValueError(
                        f"The {role} of {name!r} has the shape {array.shape}; all must have one "
                        f"shape (H, W), and the first image has {shape}."
                    )
                path = partial / role / f"{name}.tif"
                path.parent.mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(path, array, photometric="minisblack", metadata=None)
        if not names:
            raise ValueError("No samples are given.")
        _check_reading(list(names.values()), condition)
    return folder


def _name(given: str, condition: facts.Condition, names: dict[str, str]) -> str:
    """The name to write; it is added to `names`, under the form that file systems compare."""
    name = given.removeprefix(f"{condition.name}/")
    fit = "/".join(safe_file_name(part, loose=True) for part in name.split("/"))
    if name != fit:
        raise ValueError(f"{printable(given)!r} cannot name a file on every system; {fit!r} can.")
    if (twin := names.get(name.casefold())) is not None:
        raise ValueError(
            f"{printable(name)!r} and {printable(twin)!r} are one name if case does not count. "
            "Give each sample its own name."
        )
    names[name.casefold()] = name
    return name


def _image(image: NDArray[Any], name: str) -> NDArray[np.uint16]:
    if image.dtype != np.uint16:
        raise ValueError(
            f"The image of {name!r} is {image.dtype}, not uint16. Convert all images in the same "
            "way, such as numpy.rint(image).astype(numpy.uint16), on the scale 0 to 4095."
        )
    return image


def _mask(mask: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if mask.dtype.kind not in "biu" or (mask.dtype.kind == "i" and mask.min(initial=0) < 0):
        wrong = "negative values" if mask.dtype.kind == "i" else f"dtype {mask.dtype}"
        raise ValueError(
            f"The mask of {name!r} has {wrong}. Give bool, or integers from 0, such as mask > 0.5."
        )
    return np.where(mask, 255, 0).astype(np.uint8)


def _check_reading(names: list[str], condition: facts.Condition) -> None:
    """Refuse names that mean something else to the Reader."""
    roles = (pairing.IMAGE, pairing.MASK)
    plan = pairing.pair_up([f"{role}/{name}.tif" for role in roles for name in names], condition)
    wanted = {f"{condition.name}/{name}" for name in names}
    if plan.pairs.keys() != wanted or plan.doubts or plan.damage:
        why = "; ".join(plan.damage + plan.doubts) or "the name of a folder has a meaning"
        raise ValueError(
            f"These names would be read as something else: {why.rstrip('.')}. Give other ones, "
            "such as '001'."
        )
