"""The canonical form of data for `Reader`: plain TIFF, paired by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bmgd_data._ingest import pairing
from bmgd_data._system import disk
from bmgd_data._system.file_names import safe_file_name
from bmgd_data.conditions import named_by, parse_stiffness
from bmgd_data.errors import StorageError, printable

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from bmgd_data import facts
    from bmgd_data.conditions import Stiffness


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
            without ``"950Pa/"`` ahead; a slash makes a folder. Image: (H, W) uint16, the same shape
            in all. Mask: (H, W) bool, or integers where 0 is background and everything else nuclei.

    Returns:
        The absolute path of `dest`.

    Raises:
        ValueError: No samples, a name that cannot name a file or is given twice, or an array of
            another shape or type. The message names the sample.
        StorageError: The folder of that stiffness exists, the disk is full, or it may not be
            written.

    Example:
        >>> import numpy as np
        >>> image = np.full((256, 256), 700, np.uint16)
        >>> mask = np.zeros((256, 256), bool)
        >>> image[90:120, 80:110], mask[90:120, 80:110] = 1500, True
        >>> folder = write_canonical("my-bmgd", "950Pa", [("a", image, mask)])  # doctest: +SKIP
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
                f"{there} is there already, and was left as it is. Remove it, or name another "
                "folder."
            )
    names: dict[str, str] = {}
    shape: tuple[int, ...] = ()
    with disk.staged(final) as partial:
        for given, image, mask in samples:
            name = _name(given, condition, names)
            shape = shape or np.shape(image)
            files: dict[str, NDArray[Any]] = {
                pairing.IMAGE: _checked_image(image, shape, name),
                pairing.MASK: _checked_mask(mask, shape, name),
            }
            for role, array in files.items():
                path = partial / role / f"{name}.tif"
                path.parent.mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(path, array, photometric="minisblack", metadata=None)
        if not names:
            raise ValueError("No samples are given.")
        _check_reading(list(names.values()), condition)
    return folder


def _name(given: str, condition: facts.Condition, names: dict[str, str]) -> str:
    """The name to write; added to `names` in the form that file systems compare."""
    name = given.removeprefix(f"{condition.name}/")
    fit = "/".join(safe_file_name(part, loose=True) for part in name.split("/"))
    if name != fit:
        raise ValueError(f"{printable(given)!r} cannot name a file on every system; {fit!r} can.")
    if (twin := names.get(name.casefold())) is not None:
        raise ValueError(
            f"{printable(name)!r} and {printable(twin)!r} are one name, at least where case does "
            "not count. Give each sample a name of its own."
        )
    names[name.casefold()] = name
    return name


def _checked_image(image: NDArray[Any], shape: tuple[int, ...], name: str) -> NDArray[np.uint16]:
    image = np.asarray(image)
    if image.dtype != np.uint16:
        raise ValueError(
            f"The image of {name!r} is {image.dtype}, where uint16 is expected. Convert all images "
            "alike, as with numpy.rint(image).astype(numpy.uint16), on the scale 0 to 4095."
        )
    return _of_shape(image, shape, "image", name)


def _checked_mask(mask: NDArray[Any], shape: tuple[int, ...], name: str) -> NDArray[np.uint8]:
    mask = np.asarray(mask)
    if mask.dtype.kind not in "biu" or (mask.dtype.kind == "i" and mask.min(initial=0) < 0):
        raise ValueError(
            f"The mask of {name!r} is {mask.dtype}, where bool is expected, or integers from 0 on. "
            "Compare it, as in mask > 0.5."
        )
    return np.where(_of_shape(mask, shape, "mask", name), 255, 0).astype(np.uint8)


def _of_shape(array: NDArray[Any], shape: tuple[int, ...], what: str, name: str) -> NDArray[Any]:
    if array.ndim != 2 or array.shape != shape or not array.size:  # noqa: PLR2004
        raise ValueError(
            f"The {what} of {name!r} has the shape {array.shape}, where all are (H, W) alike; the "
            f"first image has {shape}."
        )
    return array


def _check_reading(names: list[str], condition: facts.Condition) -> None:
    """Refuse names that mean something else to the Reader."""
    roles = (pairing.IMAGE, pairing.MASK)
    plan = pairing.pair_up([f"{role}/{name}.tif" for role in roles for name in names], condition)
    wanted = {f"{condition.name}/{name}" for name in names}
    if plan.pairs.keys() != wanted or plan.doubts or plan.damage:
        why = "; ".join(plan.damage + plan.doubts) or "a folder in them says what it holds"
        raise ValueError(
            f"These names would not be read as they are: {why}. Give other ones, such as '001'."
        )
