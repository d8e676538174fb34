"""Single files; test_matrix.py reads each form from an archive."""

from __future__ import annotations

import io

import imagecodecs
import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from bmgd_data._ingest import decode, raster
from bmgd_data._ingest.decode import DecodeError
from common import packs_bits

GREY = np.arange(48, dtype=np.uint16).reshape(6, 8) * 80


def disc_labels(side=64) -> np.ndarray:
    """Nuclei: three discs, of which two touch, numbered from 1; (H, W) uint8."""
    y, x = np.mgrid[:side, :side]
    labels = np.zeros((side, side), np.uint8)
    for number, (row, column, radius) in enumerate([(15, 15, 9), (16, 31, 8), (45, 40, 12)], 1):
        labels[(y - row) ** 2 + (x - column) ** 2 < radius**2] = number
    return labels


LABELS = disc_labels()
MASK = LABELS > 0


def drawn(array, form="png", **options) -> bytes:
    buffer = io.BytesIO()
    picture = array if isinstance(array, Image.Image) else Image.fromarray(array)
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def told(blob, name="a.tif") -> tuple[np.ndarray, str | None]:
    """Read a mask; returns booleans and the note."""
    pixels, note = decode.labels(blob, name)
    return np.asarray(pixels) > 0, note


# -------------------------------------------------------------------------------------------- images


@pytest.mark.parametrize(
    ("array", "bits", "note"),
    [
        (GREY, 16, None),
        ((GREY >> 4).astype(np.uint8), 8, None),
        (GREY.astype(np.float32), 16, "images stored as float32"),
        (GREY.astype(np.int16), 16, "images stored as int16"),
        (GREY[None], 16, None),
        (GREY[..., None], 16, None),
        (np.dstack([GREY] * 3), 16, "images stored as colour"),
    ],
)
def test_image(tiff, array, bits, note):
    rgb = {"photometric": "rgb"} if array.shape[-1] == 3 else {}
    pixels, found_bits, found_note = decode.image(tiff(array, **rgb), "a.tif")
    assert (pixels.dtype, found_bits, found_note) == (np.uint16, bits, note)
    np.testing.assert_array_equal(pixels, GREY if array.dtype != np.uint8 else array)


@pytest.mark.parametrize("channels", [[2], [1], [0, 2]], ids=["blue", "green", "magenta"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_image_in_shades_of_one_colour_is_grey(tiff, channels, dtype):
    picture = np.zeros((*GREY.shape, 3), dtype)
    picture[..., channels] = (GREY // 16).astype(dtype)[..., None]
    found = decode.image(tiff(picture, photometric="rgb"), "a.tif")
    np.testing.assert_array_equal(found.pixels, GREY // 16)
    assert found.note == "images stored as colour"
    picture[0, 0, 1 if channels != [1] else 0] = 9
    with pytest.raises(DecodeError, match=r"a colour image.*save the DAPI channel alone"):
        decode.image(tiff(picture, photometric="rgb"), "a.tif")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_keeps_16_bits_whatever_its_channels(channels):
    """Pillow silently reduces them to 8."""
    stacked = np.stack([GREY] * channels, axis=-1) if channels > 1 else GREY
    if channels in (2, 4):
        stacked[..., -1] = 65535
    found = decode.image(imagecodecs.png_encode(stacked), "a.png")
    np.testing.assert_array_equal(found.pixels, GREY)
    assert found.bits == 16


def test_fractions_are_rounded_where_their_scale_is_known(tiff):
    blurred = ndimage.gaussian_filter(GREY.astype(np.float32), 1) - 0.3
    found = decode.image(tiff(blurred), "a.tif")
    np.testing.assert_array_equal(found.pixels, np.rint(blurred))
    assert found.note == "images stored as float32 and rounded to whole numbers"
    for scaled in (GREY / np.float32(GREY.max()), GREY / np.float32(1000)):
        with pytest.raises(
            DecodeError, match=r"fractions from 0 to .*, whose scale is unknown; mul"
        ):
            decode.image(tiff(scaled), "a.tif")


@pytest.mark.parametrize("change", [-32768, 65536])
def test_values_out_of_range_are_refused(tiff, change):
    with pytest.raises(DecodeError, match=f"values from {change} to .*; subtract the lowest"):
        decode.image(tiff(GREY.astype(np.int32) + change), "a.tif")


# --------------------------------------------------------------------------------- how it is stored


def test_first_bytes_decide_and_the_suffix_does_not(tiff):
    png = iio.imwrite("<bytes>", GREY, extension=".png")
    np.testing.assert_array_equal(decode.image(png, "a.PNG").pixels, GREY)
    np.testing.assert_array_equal(decode.image(tiff(GREY), "a.TIFF").pixels, GREY)
    for blob, name, note in (
        (png, "a.tif", "images in files named .tif which are PNG"),
        (tiff(GREY), "a.png", "images in files named .png which are TIF"),
    ):
        found = decode.image(blob, name)
        np.testing.assert_array_equal(found.pixels, GREY)
        assert found.note == note
    with pytest.raises(
        DecodeError, match="neither TIFF, PNG, BMP nor JPEG; it begins with b'<html"
    ):
        decode.image(b"<html>", "a.tif")


@pytest.mark.parametrize("form", ["tiff", "png", "bmp"])
@pytest.mark.parametrize("inverting", [True, False])
def test_tables_for_display_leave_values_as_they_are(form, inverting):
    """ImageJ's inverting lookup table is a palette of falling greys, in all three formats."""
    picture = Image.fromarray(MASK.astype(np.uint8) * 255).convert("P")
    ramp = np.arange(256)[:: -1 if inverting else 1]
    blue = np.stack([ramp, ramp, ramp] if inverting else [0 * ramp, 0 * ramp, ramp], axis=1)
    picture.putpalette(blue.astype(np.uint8).ravel().tolist())
    mask, note = told(drawn(picture, form), f"a.{form}")
    np.testing.assert_array_equal(mask, MASK)
    assert note == ("stored with a colour table that shows them inverted" if inverting else None)


def test_in_files_of_imagej_every_table_is_for_display(tiff):
    """Such as Glasbey, whose first colours are white, blue, red, green."""
    table = np.zeros((3, 256), np.uint16)
    table[:, :4] = np.array([[1, 0, 1, 0], [1, 0, 0, 1], [1, 1, 0, 0]]) * 65535
    options = {"photometric": "palette", "colormap": table, "metadata": None}
    found = decode.labels(tiff(LABELS, **options, description="ImageJ=1.53t\n"), "a.tif")
    np.testing.assert_array_equal(found.pixels, LABELS)


@pytest.mark.parametrize("form", ["tiff", "png", "bmp"])
def test_indices_into_a_table_of_colours_are_labels(form):
    """Such as ImageJ's Glasbey with a white background, and its "16 colors", of which 16 are black."""
    glasbey = [255, 255, 255, 0, 0, 255, 255, 0, 0, 0, 255, 0, 9, 9, 9]
    sixteen = [0, 0, 0] * 16 + [1, 1, 171] * 16
    for table in (glasbey, sixteen):
        picture = Image.fromarray(LABELS).convert("P")
        picture.putpalette(table)
        found = decode.labels(drawn(picture, form), f"a.{form}")
        np.testing.assert_array_equal(found.pixels, LABELS)
        assert found.note == "stored as colour"


@pytest.mark.parametrize("form", ["tiff", "png", "bmp"])
def test_a_table_of_white_and_black_is_looked_up(form):
    """Pillow and GIMP number colours in any order."""
    picture = Image.fromarray((~MASK).astype(np.uint8)).convert("P")
    picture.putpalette([255, 255, 255, 0, 0, 0])
    mask, note = told(drawn(picture, form), f"a.{form}")
    np.testing.assert_array_equal(mask, MASK)
    assert note == "stored as colour"


def test_a_palette_that_is_no_table_for_display_shows_colours(tiff):
    table = np.zeros((3, 256), np.uint16)
    table[:, 1], table[:, 2] = (65535, 0, 0), (0, 65535, 0)
    blob = tiff(LABELS % 3, photometric="palette", colormap=table)
    with pytest.raises(DecodeError, match="a colour image"):
        decode.image(blob, "a.tif")
    assert len(np.unique(decode.labels(blob, "a.tif").pixels)) == 3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_white_is_zero_changes_no_value(tiff, dtype):
    """As in other readers of 16-bit images; for masks, their images decide what it means."""
    blob = tiff((GREY >> 4).astype(dtype), photometric="miniswhite")
    found = decode.image(blob, "a.tif")
    np.testing.assert_array_equal(found.pixels, GREY >> 4)
    assert "stored with white as zero" in found.note
    mask, note = told(tiff(MASK.astype(dtype), photometric="miniswhite"))
    np.testing.assert_array_equal(mask, MASK)
    assert note == "stored with white as zero"


def test_white_is_zero_of_1_bit_follows_the_standard():
    """Pillow, Octave and ImageMagick write it in this way, for example as group 4."""
    blob = drawn(Image.fromarray(MASK), "tiff", tiffinfo={262: 0})
    assert told(blob)[1] is None
    np.testing.assert_array_equal(told(blob)[0], np.asarray(Image.open(io.BytesIO(blob))))


def test_white_is_zero_of_bool_by_tifffile_keeps_its_values(tiff):
    """tifffile tags bool as white-is-zero and stores True as 1; scikit-image and imageio use it."""
    import tifffile

    buffer = io.BytesIO()
    tifffile.imwrite(buffer, MASK, software="other")
    for blob in (tiff(MASK), buffer.getvalue()):
        mask, note = told(blob)
        np.testing.assert_array_equal(mask, MASK)
        assert note is None


@pytest.mark.skipif(not packs_bits(), reason="these libraries write no 12-bit TIFF")
def test_12_bits_packed(tiff):
    np.testing.assert_array_equal(decode.image(tiff(GREY, bitspersample=12), "a.tif").pixels, GREY)


@pytest.mark.parametrize("order", ["<", ">"])
def test_12_bits_claimed_over_16_stored(tiff, order):
    """The byte counts of the strips show it; read as packed bits it is noise."""
    blob = bytearray(tiff(GREY, byteorder=order, metadata=None))
    at = blob.index((258).to_bytes(2, "little" if order == "<" else "big"))
    value = slice(at + 8, at + 10)
    assert int.from_bytes(blob[value], "little" if order == "<" else "big") == 16
    blob[value] = (12).to_bytes(2, "little" if order == "<" else "big")
    found = decode.image(bytes(blob), "a.tif")
    np.testing.assert_array_equal(found.pixels, GREY)
    assert found.note == "images stored with 16 bits a pixel and a tag that says 12"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tiff, orientation):
    """Compared with Pillow, which implements the tag as well."""
    blob = tiff(GREY, extratags=[(274, "H", 1, orientation, True)])
    from PIL import ImageOps

    picture = Image.open(io.BytesIO(blob))
    picture.getexif()[274] = orientation
    turned = np.asarray(ImageOps.exif_transpose(picture))
    found = decode.image(blob, "a.tif")
    np.testing.assert_array_equal(found.pixels, turned)
    assert (found.note is None) == (orientation == 1)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_orientation_of_jpeg_is_applied(orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[274] = orientation
    buffer = io.BytesIO()
    Image.fromarray((GREY % 200).astype(np.uint8)).save(buffer, "JPEG", exif=exif)
    turned = np.asarray(ImageOps.exif_transpose(Image.open(buffer)))
    found = decode.image(buffer.getvalue(), "a.jpg")
    np.testing.assert_array_equal(found.pixels, turned)
    note = "images turned as their Orientation tag says"
    assert found.note == (None if orientation == 1 else note)


def test_smaller_copies_before_or_after_the_plane_are_ignored(tiff):
    import tifffile

    small = GREY[::2, ::2]
    for first, second, kind in ((GREY, small, 0), (small, GREY, 0), (GREY, GREY + 1, 1)):
        buffer = io.BytesIO()
        with tifffile.TiffWriter(buffer) as out:
            out.write(first, metadata=None)
            out.write(second, metadata=None, subfiletype=kind)
        np.testing.assert_array_equal(decode.image(buffer.getvalue(), "a.tif").pixels, GREY)


@pytest.mark.parametrize(
    ("array", "options", "says"),
    [
        (np.stack([GREY] * 5), {}, "5 pages, where one plane is expected; save each plane as a"),
        (np.stack([GREY] * 5), {"imagej": True}, "5 pages"),
        (np.stack([GREY] * 5), {"imagej": True, "truncate": True}, "a stack of shape"),
        (np.stack([GREY] * 2), {"metadata": {"axes": "CYX"}}, "2 pages"),
        (np.dstack([GREY] * 2), {"planarconfig": "contig"}, "2 channels, where one is expected;"),
        (np.dstack([GREY] * 4), {"planarconfig": "contig"}, "4 channels"),
        (np.stack([GREY] * 2), {"planarconfig": "separate"}, "2 channels"),
        (np.dstack([GREY] * 4), {"photometric": "separated"}, "of colours stored as SEPARATED"),
    ],
)
def test_files_of_several_planes_are_refused(tiff, array, options, says):
    for read in (decode.image, decode.labels, decode.prediction):
        with pytest.raises(DecodeError, match=says):
            read(tiff(array, **options), "a.tif")


def test_animations_are_refused():
    buffer = io.BytesIO()
    frames = np.stack([GREY, GREY + 1]).astype(np.uint8)
    iio.imwrite(buffer, frames, extension=".png", plugin="pillow")
    with pytest.raises(DecodeError, match="2 frames"):
        decode.image(buffer.getvalue(), "a.png")


@pytest.mark.parametrize("colour", [0, 255])
def test_an_image_in_which_only_transparency_varies_is_refused(colour):
    picture = np.full((*MASK.shape, 4), colour, np.uint8)
    picture[..., 3] = MASK * 255
    for blob in (drawn(picture), drawn(np.ascontiguousarray(picture[..., 2:]))):
        with pytest.raises(DecodeError, match="only the transparency varies"):
            decode.labels(blob, "a.png")
        with pytest.raises(DecodeError, match="only the transparency varies"):
            decode.image(blob, "a.png")


def test_declared_size_is_refused_before_decoding(tiff, monkeypatch):
    blob = tiff(GREY)
    monkeypatch.setattr(raster, "MAX_VALUES", GREY.size - 1)
    with pytest.raises(DecodeError, match=r"of absurd size \(6, 8\); at most 47 values"):
        decode.image(blob, "a.tif")
    for picture in (GREY, np.dstack([GREY] * 3)):
        with pytest.raises(DecodeError, match="of absurd size"):
            decode.labels(imagecodecs.png_encode(picture), "a.png")


# --------------------------------------------------------------------------------------------- masks


def test_labels_keep_their_values(tiff):
    values = np.kron(np.array([[0, 0, 7], [0, 300, 7]], np.uint16), np.ones((4, 4), np.uint16))
    pixels, note = decode.labels(tiff(values), "a.tif")
    np.testing.assert_array_equal(pixels, values)
    assert note is None


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (0, 1, "u1"),
        (0, 65535, "u2"),
        (1, 2, "u1"),
        (1, 255, "u1"),
        (254, 255, "u1"),
        (-1, 1, "i2"),
        (-1, 0, "i4"),
        (-32768, 32767, "i2"),
        (0, 0.5, "f4"),
    ],
)
def test_of_two_values_the_lower_is_background(tiff, low, high, dtype):
    values = np.where(MASK, high, low).astype(dtype)
    mask, note = told(tiff(values))
    np.testing.assert_array_equal(mask, MASK)
    assert note == (f"with {low} as background" if low else None)


@pytest.mark.parametrize("value", [0, 1, 255])
def test_one_value_is_an_empty_or_a_full_mask(tiff, value):
    mask, note = told(tiff(np.full(MASK.shape, value, np.uint8)))
    assert mask.all() if value else not mask.any()
    assert note is None


@pytest.mark.parametrize("background", [-1, 1, 255])
def test_labels_with_another_background_than_0(tiff, background):
    """The most common value, or -1."""
    values = LABELS.astype(np.int16) + (1 if background == 1 else 0)
    values[LABELS == 0] = background
    pixels, note = decode.labels(tiff(values), "a.tif")
    np.testing.assert_array_equal(pixels > 0, MASK)
    assert len(np.unique(pixels)) == 4
    assert note == f"with {background} as background"


def test_labels_that_leave_no_background_are_refused(tiff):
    tiles = np.kron(np.arange(1, 17, dtype=np.uint8).reshape(4, 4), np.ones((8, 8), np.uint8))
    with pytest.raises(
        DecodeError, match=r"labels without background \(0\); .* 1, 2, 3, 4, \.\.\."
    ):
        decode.labels(tiff(tiles), "a.tif")


def test_labels_of_labkit(tiff):
    """0 is unlabelled, 1 background, 2 foreground; touching nuclei may have the numbers 1 and 2."""
    values = np.where(MASK, 2, 1).astype(np.uint8)
    values[30:34, 50:60] = 0
    mask, note = told(tiff(values))
    np.testing.assert_array_equal(mask, MASK)
    assert note == "with 0 and 1 as background, 2 as foreground"
    touching = np.where(LABELS == 3, 0, LABELS)
    np.testing.assert_array_equal(decode.labels(tiff(touching), "a.tif").pixels, touching)


def large(mask) -> np.ndarray:
    """The mask at twice its size, moved by a pixel, white on black."""
    return np.roll(np.kron(mask, np.ones((2, 2))) * 255.0, (1, 1), (0, 1))


def halved(mask) -> np.ndarray:
    return large(mask).reshape(32 * 2, 2, 32 * 2, 2).mean((1, 3)).round()


FRINGES = {
    "halved": halved,
    "bilinear": lambda m: ndimage.zoom(large(m), 0.5, order=1, grid_mode=True, mode="nearest"),
    "cubic": lambda m: ndimage.zoom(large(m), 0.5, order=3, mode="nearest").clip(0, 255),
    "blurred": lambda m: ndimage.gaussian_filter(m * 255.0, 0.7),
    "a grey edge": lambda m: ndimage.uniform_filter(m * 255.0, 3),
}


@pytest.mark.parametrize("way", FRINGES)
@pytest.mark.parametrize("scale", ["u1", "u2", "f4"])
@pytest.mark.parametrize("inverted", [False, True])
def test_grey_fringes_are_cut_at_half_the_maximum(tiff, way, scale, inverted):
    grey = FRINGES[way](MASK)
    grey = 255 - grey if inverted else grey
    stored = {"u1": grey, "u2": grey * 257, "f4": grey / 255}[scale].astype(scale)
    assert len(np.unique(stored)) > 2
    mask, note = told(tiff(stored))
    np.testing.assert_array_equal(mask, stored > stored.max() / 2)
    assert (mask ^ MASK ^ inverted).mean() < 0.05
    assert note == "with other values along edges, cut at half the maximum"


@pytest.mark.parametrize(
    ("quality", "colour"), [(95, False), (75, False), (50, False), (95, True), (75, True)]
)
def test_noise_of_jpeg(quality, colour):
    grey = MASK.astype(np.uint8) * 255
    red_on_blue = np.dstack([grey, 0 * grey, 255 - grey])
    blob = drawn(red_on_blue if colour else grey, "jpeg", quality=quality)
    mask, note = told(blob, "a.jpg")
    assert (mask ^ MASK).mean() < (0.03 if colour else 0.001)
    assert "cut at half the maximum" in note


@pytest.mark.parametrize(
    "values", [(0, 1, 2), (0, 255, 3), (0, 255, 254), (1, 2, 200), (0, 1, 255)]
)
def test_a_stray_pixel(tiff, values):
    background, nuclei, stray = values
    pixels = np.where(MASK, nuclei, background).astype(np.uint8)
    pixels[5, 50] = stray
    mask, _ = told(tiff(pixels))
    assert (mask ^ MASK).sum() <= 1


@pytest.mark.parametrize(
    "numbers", [(1, 2, 3), (17, 40, 200), (500, 501, 502), (128, 1, 255), (1, 255, 255)]
)
def test_labels_are_no_fringes(tiff, numbers):
    values = np.array([0, *numbers], np.uint16)[LABELS]
    pixels, note = decode.labels(tiff(values), "a.tif")
    np.testing.assert_array_equal(pixels, values)
    assert note is None


@pytest.mark.parametrize("top", [255, 65535])
@pytest.mark.parametrize("third", [0, 7])
@pytest.mark.parametrize("apart", [2, 0])
def test_labels_next_to_white_are_nuclei(tiff, top, third, apart):
    """254 beside 255: two nuclei, which may touch. Scattered 254 is an error of rounding."""
    values = np.zeros((48, 48), np.uint16)
    values[4:16, 4:16] = top - 1
    values[4:16, 16 + apart : 30 + apart] = top
    values[30:36, 30:36] = third
    stored = values.astype(np.uint8 if top == 255 else np.uint16)
    np.testing.assert_array_equal(decode.labels(tiff(stored), "a.tif").pixels, values)
    if not third:
        scattered = stored.copy()
        scattered[6:14, 20:24] = top - 1  # a second place of 254, within 255
        mask, note = told(tiff(scattered))
        np.testing.assert_array_equal(mask, values > 0)
        assert "cut at half the maximum" in note


def test_labels_of_a_few_pixels_are_no_fringes(tiff):
    values = np.zeros((64, 64), np.uint8)
    values[4::8, 4::8] = values[5::8, 4::8] = np.arange(1, 65).reshape(8, 8)
    pixels, _ = decode.labels(tiff(values), "a.tif")
    np.testing.assert_array_equal(pixels, values)


def test_other_values_stay_as_they_are(tiff):
    """Noise and class maps; whether values are labels is decided for the whole stiffness."""
    noise = np.random.default_rng(0).integers(0, 255, MASK.shape).astype(np.uint8)
    np.testing.assert_array_equal(decode.labels(tiff(noise), "a.tif").pixels, noise)
    classes = MASK.astype(np.uint8) + ndimage.binary_erosion(MASK)
    np.testing.assert_array_equal(decode.labels(tiff(classes), "a.tif").pixels, classes)
    with pytest.raises(DecodeError, match="a mask of fractions that are no fringes"):
        decode.labels(tiff(noise / np.float32(255)), "a.tif")


def test_red_on_blue(tiff):
    """The colours of masks in the paper's figures; the darker of two is background."""
    picture = np.where(MASK[..., None], (255, 0, 0), (0, 0, 255)).astype(np.uint8)
    mask, note = told(tiff(picture, photometric="rgb"))
    np.testing.assert_array_equal(mask, MASK)
    assert note == "stored as colour and with the colour (0, 0, 255) as background"


def test_colours_are_labels(tiff):
    colours = np.array([(0, 0, 0), (200, 0, 0), (0, 0, 200), (0, 200, 0)], np.uint8)
    values, note = decode.labels(tiff(colours[LABELS], photometric="rgb"), "a.tif")
    assert note == "stored as colour"
    assert [len(np.unique(values[number == LABELS])) for number in range(4)] == [1] * 4
    assert len(np.unique(values)) == 4
    np.testing.assert_array_equal(values > 0, MASK)
    with pytest.raises(DecodeError, match="from which the number of a nucleus cannot be read"):
        decode.prediction(tiff(colours[LABELS], photometric="rgb"), "a.tif")
    two = decode.prediction(tiff(colours[MASK.astype(int)], photometric="rgb"), "a.tif")
    np.testing.assert_array_equal(two > 0, MASK)


@pytest.mark.parametrize("ends_in", ["alpha 255", "alpha of the mask", "alpha 0"])
def test_transparent_pixels_are_background(ends_in):
    grey = MASK.astype(np.uint8) * 200
    alpha = {"alpha 255": 255 + 0 * grey, "alpha 0": 0 * grey}.get(ends_in, (MASK * 255))
    mask, _ = told(drawn(np.dstack([grey, grey, grey, alpha]).astype(np.uint8)), "a.png")
    np.testing.assert_array_equal(mask, MASK)


def test_grey_predictions_with_an_opaque_channel_keep_their_values():
    opaque = np.full_like(LABELS, 255)
    for channels in ([LABELS, opaque], [LABELS, LABELS, LABELS, opaque]):
        found = decode.prediction(drawn(np.dstack(channels)), "a.png")
        np.testing.assert_array_equal(found, LABELS)


@pytest.mark.parametrize("bits", [0x7F800000, 0x7FC00000, 0x7FA00000])
def test_values_that_are_no_numbers(bits, tiff):
    """Infinite, NaN, and the NaN that a cast warns of."""
    pixels = np.full((16, 16), bits, np.uint32).view(np.float32)
    for read in (decode.image, decode.labels):
        with pytest.raises(DecodeError, match="no numbers"):
            read(tiff(pixels), "a.tif")
