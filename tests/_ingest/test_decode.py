"""Single files; each encoding on its way through an archive is in test_matrix.py."""

from __future__ import annotations

import io

import imageio.v3 as iio
import numpy as np
import pytest

from bmgd_data._ingest import decode
from bmgd_data._ingest.decode import DecodeError
from common import packs_bits

GREY = np.arange(48, dtype=np.uint16).reshape(6, 8) * 80


@pytest.mark.parametrize(
    ("array", "bits", "note"),
    [
        (GREY, 16, None),
        ((GREY >> 4).astype(np.uint8), 8, None),
        (GREY.astype(np.float32), 16, "images stored as float32"),
    ],
)
def test_image(tiff, array, bits, note):
    pixels, found_bits, found_note = decode.image(tiff(array), "a.tif")
    assert (pixels.dtype, found_bits, found_note) == (np.uint16, bits, note)
    np.testing.assert_array_equal(pixels, array)


def test_the_suffix_decides_and_its_case_does_not(tiff):
    png = iio.imwrite("<bytes>", GREY, extension=".png")
    np.testing.assert_array_equal(decode.image(png, "a.PNG").pixels, GREY)
    np.testing.assert_array_equal(decode.image(tiff(GREY), "a.TIFF").pixels, GREY)
    with pytest.raises(DecodeError, match="not decodable"):
        decode.image(png, "a.tif")


def test_labels_keep_their_values(tiff):
    values = np.array([[0, 0, 7], [0, 300, 7]], np.uint16)
    pixels, note = decode.labels(tiff(values), "a.tif")
    np.testing.assert_array_equal(pixels, values)
    assert note is None


def test_colours_are_labels(tiff):
    red, blue, black = (200, 0, 0), (0, 0, 200), (0, 0, 0)
    picture = np.array([[black, red, blue], [red, black, blue]], np.uint8)
    values, note = decode.labels(tiff(picture, photometric="rgb"), "a.tif")
    assert note == "stored as colour"
    assert values[0, 0] == values[1, 1] == 0
    assert values[0, 1] == values[1, 0] != values[0, 2] == values[1, 2]


def test_colour_table_that_is_no_ramp_shows_colours(tiff):
    """Numbers into such a table mean nothing by themselves."""
    table = np.zeros((3, 256), np.uint16)
    table[:, 1], table[:, 2] = (65535, 0, 0), (0, 65535, 0)
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    blob = tiff(indices, photometric="palette", colormap=table)
    with pytest.raises(DecodeError, match="a colour image"):
        decode.image(blob, "a.tif")
    assert len(np.unique(decode.labels(blob, "a.tif").pixels)) == 3


@pytest.mark.skipif(not packs_bits(), reason="these libraries write no 12-bit TIFF")
def test_white_is_zero_in_the_bits_that_are_stored(tiff):
    blob = tiff(4095 - GREY, photometric="miniswhite", bitspersample=12)
    pixels, _, note = decode.image(blob, "a.tif")
    np.testing.assert_array_equal(pixels, GREY)
    assert note == "images stored with white as zero"
    values, note = decode.labels(blob, "a.tif")
    np.testing.assert_array_equal(values, GREY)
    assert note == "stored with white as zero"


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32])
def test_white_is_zero_of_a_type_without_a_whitest_value(tiff, dtype):
    blob = tiff((GREY >> 6).astype(dtype), photometric="miniswhite")
    for read in (decode.image, decode.labels, decode.prediction):
        with pytest.raises(DecodeError, match=f"of type {np.dtype(dtype)} with white as zero"):
            read(blob, "a.tif")


def test_declared_size_is_refused_before_decoding(tiff, monkeypatch):
    blob = tiff(GREY)
    monkeypatch.setattr(decode, "MAX_VALUES", GREY.size - 1)
    with pytest.raises(DecodeError, match=r"of absurd size \(6, 8\); at most 47 values"):
        decode.image(blob, "a.tif")
    png = iio.imwrite("<bytes>", GREY, extension=".png")
    with pytest.raises(DecodeError, match="of absurd size"):
        decode.labels(png, "a.png")


def test_an_animation_is_no_image():
    buffer = io.BytesIO()
    frames = np.stack([GREY, GREY]).astype(np.uint8)
    iio.imwrite(buffer, frames, extension=".png", plugin="pillow")
    with pytest.raises(DecodeError):
        decode.image(buffer.getvalue(), "a.png")
