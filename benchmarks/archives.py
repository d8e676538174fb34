"""The input: four archives as the source has them, or with several times their images."""

from __future__ import annotations

import io
import lzma
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bmgd_data import Reader, facts
from bmgd_data._container.sevenzip import SevenZip
from bmgd_data._origin import sources
from bmgd_data._system import disk

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from peer import Peer

_FLIPS: Final = (
    (slice(None), slice(None)),
    (slice(None), slice(None, None, -1)),
    (slice(None, None, -1), slice(None)),
    (slice(None, None, -1), slice(None, None, -1)),
)
_OFFSET: Final = 7
"""Grey values by which every next four flips are brighter."""
_LEAST_DICTIONARY: Final = 1 << 18  # of preset 0


class Place(NamedTuple):
    """Archives, the store that is built from them, and what others read."""

    source: Path
    root: Path
    folder: Path
    """Where the archives lie unpacked."""
    peer: Peer | None


def single(source: str, work: Path) -> Path:
    """A folder with the four archives of the source, generated if it is a phantom."""
    resolved = sources.resolve(source)
    if resolved.kind == "folder":
        return Path(resolved.location)
    if not resolved.generated:
        raise ValueError(f"The source {source!r} is neither a folder nor a phantom.")
    from bmgd_data._origin import phantom

    generated = phantom.Phantom.parse(resolved.location)
    folder = work / "archives" / resolved.slug
    folder.mkdir(parents=True, exist_ok=True)
    for condition in facts.CONDITIONS:
        path = folder / condition.archive
        if not path.is_file():
            with disk.staged_file(path) as partial:
                phantom.write_archive(generated, condition, partial)
    return folder


def multiplied(origin: Path, times: int, work: Path) -> Path:
    """A folder with archives of `times` as many images, each with content of its own.

    Each image is written as it is, mirrored, upside down and turned by 180 degrees, and again so
    with other grey values within the range of its bit depth; its mask moves along. Archives of an
    earlier run are used again.
    """
    reader = Reader("all", source=origin, root=work / "origin")
    folder = work / "archives" / f"{reader.digest[:12]}-x{times}"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [c for c in facts.CONDITIONS if not (folder / c.archive).is_file()]
    with ThreadPoolExecutor() as pool:  # lzma lets other threads run
        list(pool.map(lambda c: _multiply(origin, work, c, times, folder / c.archive), missing))
    return folder


def unpacked(origin: Path, folder: Path) -> Path:
    """A folder with the archives' files, as py7zr extracts them; kept if it is there."""
    import py7zr

    if not folder.is_dir():
        with disk.staged(folder) as partial:
            for condition in facts.CONDITIONS:
                with py7zr.SevenZipFile(origin / condition.archive) as seven:
                    seven.extractall(partial)
    return folder


def _multiply(origin: Path, work: Path, condition: Any, times: int, path: Path) -> None:
    import py7zr
    import tifffile

    reader = Reader("all", condition.pa, source=origin, root=work / "origin")
    inside = condition.archive.removesuffix(".7z")
    ceiling = reader.full_scales[condition.pa]
    # Quick to write, and as much memory to decode as the source's, so that builds are comparable.
    with SevenZip(origin / condition.archive) as archive:
        dictionary = max(archive.dictionary_bytes, _LEAST_DICTIONARY)
    packed = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": dictionary}]
    with (
        disk.staged_file(path) as partial,
        py7zr.SevenZipFile(partial, "w", filters=packed) as seven,
    ):
        for folder in ("image", "mask"):  # one after the other, as a solid archive has them
            for sample in reader:
                stem = sample["name"].split("/", 1)[1]
                for number in range(times):
                    # py7zr keeps every buffer until the archive is closed; closing one frees it.
                    with io.BytesIO() as buffer:
                        pixels = _variant(sample[folder], number, ceiling)
                        tifffile.imwrite(buffer, pixels, photometric="minisblack", metadata=None)
                        buffer.seek(0)
                        seven.writef(buffer, f"{inside}/{folder}/{stem}_{number}.tif")


def _variant(pixels: NDArray[Any], number: int, ceiling: int) -> NDArray[Any]:
    brighter, flip = divmod(number, len(_FLIPS))
    flipped = np.ascontiguousarray(pixels[_FLIPS[flip]])
    if flipped.dtype == np.bool_:
        return flipped * np.uint8(255)
    offset = np.uint16(_OFFSET * brighter)
    raised: NDArray[np.uint16] = np.minimum(flipped, np.uint16(ceiling) - offset) + offset
    return raised
