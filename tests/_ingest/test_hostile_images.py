"""Images with generated damage and absurd claims: decoded correctly or refused, in bounded memory.

Hand-made cases are in test_decode.py and test_matrix.py.
"""

from __future__ import annotations

import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hostile
from bmgd_data._ingest import decode, raster
from bmgd_data._ingest.decode import DecodeError

READ = {"image": decode.image, "labels": decode.labels, "prediction": decode.prediction}


def tried(name, blob) -> str:
    """Read bytes in every way; returns the last error message."""
    message = ""
    for what, read in READ.items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                found = read(blob, name)
            except DecodeError as error:
                message = str(error)
                assert not hostile.STEERING.search(message)
                continue
        pixels = getattr(found, "pixels", found)
        assert 0 < pixels.size <= raster.MAX_VALUES
        assert pixels.ndim == 2
        assert what != "image" or (pixels.dtype == np.uint16 and found.bits in (8, 16))
        if what == "labels":
            assert pixels.dtype.kind in "iu"
            assert pixels.min() == 0 or (pixels == 1).all()  # full: one value other than 0
    return message


@settings(hostile.quick, max_examples=400)
@given(hostile.damaged_pictures())
def test_damaged_images(picture):
    tried(*picture)


@pytest.mark.slow
@settings(hostile.long, max_examples=10_000)
@given(hostile.damaged_pictures())
def test_many_damaged_images(picture):
    tried(*picture)


# ------------------------------------------------------------------------------------- absurd claims

TAGS = {"width": 256, "height": 257, "bits": 258, "compression": 259, "photometric": 262}
TAGS |= {
    "description": 270,
    "strips": 273,
    "samples": 277,
    "rows": 278,
    "counts": 279,
    "planar": 284,
}
TAGS |= {"predictor": 317, "colours": 320, "tile width": 322, "tile height": 323, "tiles": 324}
TAGS |= {
    "tile counts": 325,
    "below": 330,
    "extra": 338,
    "format": 339,
    "depth": 32997,
    "lsm": 34412,
}


def tiff_of(tags: dict[int, tuple[int, int, int]], data: bytes = b"", following: int = 0) -> bytes:
    """A TIFF of one page from {tag: (type, count, value)}; `data` lies at `data_at(tags)`."""
    entries = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    page = struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)
    return b"II*\0\x08\0\0\0" + page + data


def data_at(tags) -> int:
    return 8 + 2 + 12 * len(tags) + 4


def plain(side: int = 16, data: bytes = bytes(256), **changed: int) -> bytes:
    """An 8-bit page in one strip, with other tags changed."""
    claims = {"width": side, "height": side, "bits": 8, "compression": 1, "photometric": 1}
    claims |= {"strips": 0, "samples": 1, "rows": side, "counts": len(data)}
    claims |= {name.replace("_", " "): value for name, value in changed.items()}
    tags = {TAGS[name]: (4, 1, value) for name, value in claims.items()}
    if "strips" not in changed:
        tags[TAGS["strips"]] = (4, 1, data_at(tags))
    return tiff_of(tags, data)


numbers = st.one_of(
    st.sampled_from(
        [0, 1, 2, 3, 7, 8, 16, 32, 64, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1]
    ),
    st.integers(0, 300),
)
claimed = st.dictionaries(
    st.sampled_from([*TAGS.values(), 33550, 34665]),
    st.tuples(st.sampled_from([1, 2, 3, 4, 5, 7, 11, 12, 13, 16]), numbers, numbers),
    max_size=12,
)


@settings(hostile.quick, max_examples=250)
@given(claimed, st.binary(max_size=64), st.booleans())
def test_generated_tiffs(tags, data, sound):
    """Tags of any type, count and value; half the time on a valid page."""
    base = {TAGS[name]: (4, 1, 16) for name in ("width", "height", "rows")} if sound else {}
    base |= {TAGS["bits"]: (3, 1, 8), TAGS["counts"]: (4, 1, 256)} if sound else {}
    tried("a.tif", tiff_of(base | tags, data + bytes(400)))


def chain(pages: int, then: int) -> bytes:
    """A chain of pages without tags; the last one names page `then` as the next."""
    ends = [8 + 6 * (page + 1) for page in range(pages - 1)] + [8 + 6 * then if then >= 0 else 0]
    return b"II*\0\x08\0\0\0" + b"".join(struct.pack("<HI", 0, end) for end in ends)


PNG = hostile.pictures()["8.png"]
JPEG = hostile.pictures()["8.jpg"]
BMP = hostile.pictures()["8.bmp"]
HUGE_JPEG = JPEG.replace(
    struct.pack(">HH", 16, 16), struct.pack(">HH", 65500, 65500), 1
)  # fmt: skip
REFUSED = {
    "thousands of pages": ("a.tif", chain(5000, -1), "more than 8 pages"),
    "a loop far down": ("a.tif", chain(150, 140), "more than 8 pages"),
    "wide tiles": (
        "a.tif",
        plain(tile_width=40000, tile_height=40000, tiles=200, tile_counts=9),
        "of absurd size (40000, 40000)",
    ),
    "samples": ("a.tif", plain(samples=2**31), "absurd size"),
    "depth": ("a.tif", plain(depth=2**20), "absurd size"),
    "JPEG in TIFF": ("a.tif", plain(data=HUGE_JPEG, compression=7), "compressed as JPEG; save it"),
    "WebP in TIFF": ("a.tif", plain(compression=50001), "compressed as WEBP"),
    "an unknown compression": ("a.tif", plain(compression=4711), "not decodable"),
    "a strip outside": ("a.tif", plain(strips=2**30), "not decodable"),
    "JPEG": ("a.jpg", HUGE_JPEG, "of absurd size (65500, 65500)"),
    "PNG that Pillow only warns of": (
        "a.png",
        PNG[:16] + struct.pack(">II", 9500, 9500) + PNG[24:],
        "not decodable (SyntaxError",  # its checksum
    ),
    "BMP that Pillow only warns of": (
        "a.bmp",
        BMP[:18] + struct.pack("<ii", 9500, 9500) + BMP[26:],
        "of absurd size (9500, 9500)",
    ),
    "TIFF called PNG": ("a.png", plain(data=HUGE_JPEG, compression=7), "compressed as JPEG"),
    "PostScript called PNG": ("a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n", "neither TIFF, PNG, BMP nor"),
    "GIF called PNG": ("a.png", b"GIF89a", "neither TIFF, PNG, BMP nor JPEG"),
    "16 bits claimed": (
        "a.tif",
        plain(bits=12, counts=2 * 256, strips=2**30),
        "not decodable",
    ),
    "colours of no kind": ("a.tif", plain(photometric=9), "of colours stored as ICCLAB"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_absurd_claims(case):
    name, blob, says = REFUSED[case]
    assert says in tried(name, blob)


def test_plain_is_read():
    """The cases above are changes of it."""
    assert tried("a.tif", plain()) == ""


@pytest.mark.parametrize("loop", [0, 8])
def test_a_page_below_itself(loop):
    """SubIFDs (tag 330) are not followed, so loops of them do no harm."""
    assert tried("a.tif", plain(below=loop)) == ""


@pytest.mark.parametrize("top", [4000, 60000])
def test_half_precision(top, tiff):
    """A float16 does not reach 65535."""
    pixels = np.array([[0, top]], np.float16)
    found = decode.image(tiff(pixels), "a.tif")
    np.testing.assert_array_equal(found.pixels, pixels.astype(np.uint16))
    with pytest.raises(DecodeError, match=r"no numbers .NaN. or infinite"):
        decode.image(tiff(np.array([[0, np.inf]], np.float16)), "a.tif")


def test_what_pillow_warns_of_is_not_passed_on():
    """An animation without frames: Pillow warns, and reads the picture."""
    count = b"acTL" + bytes(8)
    chunk = struct.pack(">I", 8) + count + struct.pack(">I", zlib.crc32(count))
    assert tried("a.png", PNG[:33] + chunk + PNG[33:]) == ""
