"""Each refusal's advice is followed to the letter, and then the data loads."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import imagecodecs
import numpy as np
import py7zr
import pytest
import tifffile
from PIL import Image
from skimage.measure import label

from bmgd_data import CorruptArchiveError, Reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::bmgd_data.BMGDWarning")


def disc(row, column, side=64):
    y, x = np.mgrid[:side, :side]
    return (y - row) ** 2 + (x - column) ** 2 < 100


NAMES = ["a", "b", "c"]
MASKS = np.stack([disc(20, 18) | disc(45, 44), disc(40, 15) | disc(15, 50), disc(30, 30)])
IMAGES = (500 + 800 * MASKS + np.random.default_rng(0).integers(0, 99, MASKS.shape)).astype("u2")
IMAGES[0, 0, 0], IMAGES[0, 20, 20] = 0, 4095
IMAGE, MASK = IMAGES[0], MASKS[0]
A, MASK_A = "image/a.tif", "mask/a.tif"


def tif(array, **options) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **{"photometric": "minisblack", **options})
    return buffer.getvalue()


def png(array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "png")
    return buffer.getvalue()


def good() -> dict[str, bytes]:
    pairs = zip(NAMES, IMAGES, MASKS, strict=True)
    return {
        path: blob
        for name, image, mask in pairs
        for path, blob in (
            (f"950 Pa/image/{name}.tif", tif(image)),
            (f"950 Pa/mask/{name}.tif", tif(mask * np.uint8(255))),
        )
    }


class Refusal(NamedTuple):
    """What is broken, what the message says, and the steps that it advises."""

    changed: dict[str, bytes]
    says: str
    follow: Callable[[Path], object]
    """Takes the folder that holds image/ and mask/."""
    kept: str = "abc"
    dropped: tuple[str, ...] = ()
    """Paths that are missing."""


def save(path, array, **options):
    path.write_bytes(tif(array, **options))


def change(at, how, **options):
    """Read a file, change its pixels, and save it."""
    return lambda folder: save(folder / at, how(tifffile.imread(folder / at)), **options)


def split_planes(folder):
    for role in ("image", "mask"):
        for name, plane in zip(NAMES, tifffile.imread(folder / role / "all.tif"), strict=True):
            save(folder / role / f"{name}.tif", plane)
        (folder / role / "all.tif").unlink()


def remove(*paths):
    return lambda folder: [(folder / path).unlink() for path in paths]


def rename(folder):
    (folder / "pictures").rename(folder / "image")
    (folder / "strange").rename(folder / "mask")


CLEAR = np.dstack([np.full((64, 64, 3), 255), MASK * 255]).astype(np.uint8)
TILES = np.kron(np.arange(1, 17).reshape(4, 4), np.ones((16, 16))).astype(np.uint8)
OTHERS = {f"950 Pa/{role}/{name}.tif" for role in ("image", "mask") for name in NAMES}

REFUSALS = {
    "cut off": Refusal({A: tif(IMAGE)[:300]}, r"image/a\.tif: not decodable", remove(A), "bc"),
    "an empty file": Refusal({MASK_A: b""}, r"mask/a\.tif: an empty file", remove(MASK_A), "bc"),
    "GIF": Refusal(
        {A: b"GIF89a"}, "begins with b'GIF89a'; save it as TIFF", lambda f: save(f / A, IMAGE)
    ),
    "odd compression": Refusal(
        {A: tif(IMAGE, compression="png")},
        "compressed as PNG; save it uncompressed, or with LZW or Deflate",
        change(A, lambda pixels: pixels, compression="lzw"),
    ),
    "stacks": Refusal(
        {"image/all.tif": tif(IMAGES), "mask/all.tif": tif(MASKS * np.uint8(255))},
        "3 pages, where one plane is expected; save each plane as a file of its own, image and "
        "mask under equal names",
        split_planes,
        dropped=tuple(OTHERS),
    ),
    "channels": Refusal(
        {A: tif(np.dstack([IMAGE, IMAGE // 3]), planarconfig="contig")},
        "2 channels, where one is expected; keep the DAPI channel alone",
        change(A, lambda pixels: np.ascontiguousarray(pixels[..., 0])),
    ),
    "colour": Refusal(
        {A: tif(np.dstack([IMAGE // 2, IMAGE // 3, IMAGE]), photometric="rgb")},
        "a colour image, .* save the DAPI channel alone, with 16 bits a pixel",
        change(A, lambda pixels: np.ascontiguousarray(pixels[..., 2])),
    ),
    "CMYK": Refusal(
        {A: tif(np.dstack([IMAGE] * 4), photometric="separated")},
        "of colours stored as SEPARATED; save it as grey or RGB",
        change(A, lambda pixels: np.ascontiguousarray(pixels[..., 0])),
    ),
    "transparency": Refusal(
        {MASK_A: png(CLEAR)},
        "in which only the transparency varies; save that as grey",
        lambda f: save(f / MASK_A, np.asarray(Image.open(f / MASK_A))[..., 3].copy()),
    ),
    "1 bit": Refusal(
        {A: tif(MASK)}, "a 1-bit image, .* put the grey image", lambda f: save(f / A, IMAGE)
    ),
    "fractions": Refusal(
        {A: tif(IMAGE / np.float32(4095))},
        "fractions from 0 to 1, .* multiply them by .* 4095 for 12 bits, and save whole numbers",
        change(A, lambda pixels: np.rint(pixels * 4095).astype(np.uint16)),
    ),
    "not a number": Refusal(
        {A: tif(np.where(IMAGE == 0, np.float32("nan"), IMAGE))},
        r"no numbers \(NaN\) or infinite; replace them by 0",
        change(A, np.nan_to_num),
    ),
    "negative": Refusal(
        {A: tif(IMAGE.astype(np.int32) - 32768)},
        "values from -32768 to -28673, where 0 to 65535 are expected; subtract the lowest",
        change(A, lambda pixels: (pixels - pixels.min()).astype(np.uint16)),
    ),
    "a soft mask": Refusal(
        {MASK_A: tif(IMAGE / np.float32(4095))},
        "a mask of fractions .*; save 0 for background and 255 for nuclei",
        change(MASK_A, lambda pixels: np.where(pixels * 4095 > 900, 255, 0).astype(np.uint8)),
    ),
    "negative labels": Refusal(
        {
            f"mask/{name}.tif": tif(-label(mask).astype(np.int16) - mask)
            for name, mask in zip(NAMES, MASKS, strict=True)
        },
        "labels from -3 on; number nuclei from 1, background 0",
        lambda f: [change(f"mask/{name}.tif", abs)(f) for name in NAMES],
    ),
    "tiles": Refusal(
        {MASK_A: tif(TILES)},
        r"labels without background \(0\); their values: 1, 2, 3, 4, \.\.\.; make it 0",
        change(MASK_A, lambda pixels: np.where(MASK, pixels > 0, 0).astype(np.uint8)),
    ),
    "neither": Refusal(
        {MASK_A: tif(MASK.astype(np.uint8) + disc(20, 18) + np.roll(MASK, 9, 0))},
        "neither a binary mask nor instance labels; .* Save 0 for background and 255 for nuclei",
        lambda f: save(f / MASK_A, MASK * np.uint8(255)),
    ),
    "another shape": Refusal(
        {MASK_A: tif(MASK[1:] * np.uint8(255))},
        r"image/a\.tif: shape \(64, 64\), but its mask .*mask/a\.tif has \(63, 64\)",
        remove(A, MASK_A),
        "bc",
    ),
    "twins": Refusal(
        {"image/a.png": imagecodecs.png_encode(IMAGE)},
        r"files with one name: .*image/a\.png, .*image/a\.tif; keep one of each",
        remove("image/a.png"),
    ),
    "no pairs": Refusal(
        {path.replace("950 Pa/image", "pictures").replace("950 Pa/mask", "strange"): blob
         for path, blob in good().items()},
        "no image/mask pairs found; expected an 'image' and a 'mask' folder with equal file names",
        rename,
        dropped=tuple(OTHERS),
    ),
}  # fmt: skip


def refused(source, says) -> str:
    with pytest.raises(CorruptArchiveError) as caught:
        Reader("all", 950, source=source)
    message = str(caught.value)
    assert re.search(says, message), message
    return message


def loads(source, kept="abc") -> None:
    reader = Reader("all", 950, source=source)
    rows = [NAMES.index(name) for name in kept]
    assert reader.names == [f"950Pa/{name}" for name in kept]
    np.testing.assert_array_equal(reader.images, IMAGES[rows])
    np.testing.assert_array_equal(reader.masks, MASKS[rows])


@pytest.mark.parametrize("case", REFUSALS)
def test_the_advice_on_a_refused_archive_works(case, tmp_path, monkeypatch, write_7z):
    changed, says, follow, kept, dropped = REFUSALS[case]
    files = {path: blob for path, blob in good().items() if path not in dropped}
    files |= {f"950 Pa/{path}": blob for path, blob in changed.items()}
    archive = write_7z(tmp_path / "source" / "950 Pa.7z", files)
    message = refused(archive, says)
    monkeypatch.chdir(tmp_path)
    (command,) = re.findall("Unpack it with `python -m py7zr x (.*?)`", message)
    named, folder = shlex.split(command)
    with py7zr.SevenZipFile(named) as unpacked:
        unpacked.extractall(folder)
    (source,) = re.findall('read it with source="(.*?)"', message)
    refused(source, says)
    follow(tmp_path / "950 Pa" / "950 Pa")
    loads(source, kept)


def test_the_advice_on_a_refused_folder_works(tmp_path):
    for path, blob in good().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(blob)
    (tmp_path / "950 Pa" / A).write_bytes(b"")
    message = refused(tmp_path, "an empty file")
    assert "Fix or remove the files named, or unpack the archive again, and read again." in message
    save(tmp_path / "950 Pa" / A, IMAGE)
    loads(tmp_path)


def test_the_command_that_unpacks_exists(tmp_path, write_7z):
    archive = write_7z(tmp_path / "950 Pa.7z", {"950 Pa/a.txt": b"x"})
    command = [sys.executable, "-m", "py7zr", "x", str(archive), "950 Pa"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "950 Pa" / "950 Pa" / "a.txt").read_bytes() == b"x"


@pytest.mark.parametrize("ending", ["zip", "7z"])
def test_the_advice_on_a_refused_zip_works(ending, tmp_path, monkeypatch):
    """Also if it bears the name of a .7z: the command goes by what the file is."""
    import zipfile

    with zipfile.ZipFile(tmp_path / f"950 Pa.{ending}", "w") as out:
        for path, blob in (good() | {f"950 Pa/{A}": b""}).items():
            out.writestr(path, blob)
    message = refused(tmp_path / f"950 Pa.{ending}", "an empty file")
    (command,) = re.findall("Unpack it with `python -m zipfile (.*?)`", message)
    monkeypatch.chdir(tmp_path)
    zipfile.main(shlex.split(command))
    save(tmp_path / "950 Pa" / "950 Pa" / A, IMAGE)
    (source,) = re.findall('read it with source="(.*?)"', message)
    loads(source)


def test_two_other_stiffnesses_are_refused_until_one_is_named(tmp_path, write_7z):
    files = {
        path.replace("950", pa): blob for pa in ("250", "1200") for path, blob in good().items()
    }
    message = refused(write_7z(tmp_path / "950 Pa.7z", files), "none of 950Pa; put what belongs to")
    assert "into a folder '950 Pa'" in message


def test_hundreds_of_equal_faults_are_one_line(tmp_path, write_7z):
    files = {
        f"950 Pa/{role}/{i:03d}.tif": tif(np.full((9, 9 + i % 7), 1 + i, np.int32) - 2**20)
        for role in ("image", "mask")
        for i in range(150)
    }
    message = refused(write_7z(tmp_path / "950 Pa.7z", files), "150 fault")
    (line,) = re.findall("150 files, e.g. 950 Pa/image/000.tif, .*", message)
    assert "950 Pa/image/001.tif, 950 Pa/image/002.tif: values from -1048575 to" in line
    assert len(message) < 2500
