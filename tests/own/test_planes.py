"""Planes of microscope files."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from bmgd_data.own import planes
from image_readers import FORMS
from lsm import write_lsm


def test_planes_of_an_lsm_file_have_their_sizes(tmp_path):
    stack = np.random.default_rng(0).integers(0, 4096, (3, 40, 50)).astype(np.uint16)
    write_lsm(tmp_path / "colony 1.lsm", stack[None, :, None], (1.0, 0.25, 0.5))
    found = planes.read([tmp_path / "colony 1.lsm"])
    assert [(plane.t, plane.c, plane.z) for plane in found] == [(0, 0, 0), (0, 0, 1), (0, 0, 2)]
    for plane, pixels in zip(found, stack, strict=True):
        np.testing.assert_array_equal(plane.read(), pixels)
        assert plane.pixel_size_um == pytest.approx((0.25, 0.5))
        assert plane.z_step_um == pytest.approx(1.0)
        assert (plane.full_scale, plane.shape) == (4095.0, (40, 50))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"II*", "damaged, or not a TIFF"), (b"<html>", "damaged, or not a TIFF"), (None, "bool")],
)
def test_what_is_no_grey_image_is_refused(tmp_path, content, message):
    if content is None:
        tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 5), bool))
    else:
        (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        planes.read([tmp_path / "a.tif"])


@pytest.mark.filterwarnings("ignore:.*stored as RGB with separate:DeprecationWarning")
@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_stacks_of_any_height_are_slices(tmp_path, count, dtype):
    """tifffile marks three or four as planar colours."""
    stack = (np.arange(count * 2000) % 251).astype(dtype).reshape(count, 40, 50)
    tifffile.imwrite(tmp_path / "z.tif", stack)
    found = planes.read([tmp_path / "z.tif"])
    assert [(plane.c, plane.z) for plane in found] == [(0, z) for z in range(count)]
    for plane, pixels in zip(found, stack, strict=True):
        np.testing.assert_array_equal(plane.read(), pixels)


def test_interleaved_colours_are_channels(tmp_path):
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((40, 50, 3), np.uint8), photometric="rgb")
    assert [plane.c for plane in planes.read([tmp_path / "rgb.tif"])] == [0, 1, 2]


OME = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}
SIZES = {
    "ome, no unit": ({"ome": True, "metadata": {"axes": "YX", **OME}}, (0.5, 0.25)),
    "ome, mm": (
        {
            "ome": True,
            "metadata": {
                "axes": "YX",
                "PhysicalSizeX": 0.00025,
                "PhysicalSizeY": 0.0005,
                "PhysicalSizeXUnit": "mm",
                "PhysicalSizeYUnit": "mm",
            },
        },
        (0.5, 0.25),
    ),
    "imagej, nm": (
        {"imagej": True, "resolution": (1 / 250, 1 / 500), "metadata": {"unit": "nm"}},
        (0.5, 0.25),
    ),
    "imagej, um": (
        {"imagej": True, "resolution": (4, 2), "metadata": {"unit": "\\u00B5m"}},
        (0.5, 0.25),
    ),
    "imagej, inch": (
        {"imagej": True, "resolution": (101600, 50800), "metadata": {"unit": "inch"}},
        (0.5, 0.25),
    ),
    "imagej, none": ({"imagej": True, "resolution": (4, 4)}, None),
    "tags, cm": ({"resolution": (40000, 20000), "resolutionunit": "CENTIMETER"}, (0.5, 0.25)),
    "tags, a printer's": ({"resolution": (300, 300), "resolutionunit": "INCH"}, None),
    "tags, none": ({"resolution": (4, 4), "resolutionunit": "NONE"}, None),
}


@pytest.mark.parametrize("form", SIZES)
def test_the_size_of_pixels_is_read_in_every_unit(tmp_path, form):
    options, expected = SIZES[form]
    path = tmp_path / ("a.ome.tif" if "ome" in options else "a.tif")
    tifffile.imwrite(path, np.zeros((40, 50), np.uint16), photometric="minisblack", **options)
    (plane,) = planes.read([path])
    assert plane.pixel_size_um == (expected and pytest.approx(expected))


@pytest.mark.parametrize("order", ["TZCYX", "TCZYX", "ZTCYX", "ZCTYX", "CTZYX", "CZTYX"])
def test_every_order_of_dimensions_is_read(tmp_path, order):
    shape = {"T": 2, "Z": 3, "C": 2, "Y": 8, "X": 9}
    stack = np.arange(np.prod(list(shape.values())), dtype=np.uint16)
    stack = stack.reshape([shape[axis] for axis in order])
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, ome=True, metadata={"axes": order})
    found = planes.read([tmp_path / "a.ome.tif"])
    assert len(found) == 12
    for plane in found:
        place = tuple({"T": plane.t, "Z": plane.z, "C": plane.c}[axis] for axis in order[:3])
        np.testing.assert_array_equal(plane.read(), stack[place])


def test_planes_of_missing_files_of_a_set_are_counted(tmp_path):
    form = FORMS["OME, 3 files, one missing"]
    form.write(tmp_path)
    found = planes.read(sorted(tmp_path.iterdir()))
    assert [(plane.file.name, plane.z, plane.missing) for plane in found] == [
        ("z0.ome.tif", 0, 1),
        ("z2.ome.tif", 2, 1),
    ]
    assert found[0].full_scale == 4095.0
    np.testing.assert_array_equal(found[1].read(), form.holds.values[2])


def test_a_recording_that_was_cut_short_has_no_black_slices(tmp_path):
    form = FORMS["OME, cut short"]
    form.write(tmp_path)
    found = planes.read([tmp_path / form.name])
    assert [(plane.z, plane.missing) for plane in found] == [(0, 1), (1, 1)]
    np.testing.assert_array_equal([plane.read() for plane in found], form.holds.values[:2])


def test_full_scales_are_those_of_all_planes(tmp_path):
    stack = np.zeros((5, 8, 9), np.uint16)
    stack[3, 2, 2], stack[4, 1, 1] = 40000, 5000
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    assert {plane.full_scale for plane in planes.read([tmp_path / "a.tif"])} == {65535.0}
    floats = np.where(stack == 5000, np.inf, stack / 8000).astype(np.float32)
    tifffile.imwrite(tmp_path / "b.tif", floats, photometric="minisblack")
    assert {plane.full_scale for plane in planes.read([tmp_path / "b.tif"])} == {5.0}


def test_a_stack_in_one_piece_is_not_read_for_each_plane(tmp_path, monkeypatch):
    stack = np.arange(5 * 72, dtype=np.uint16).reshape(5, 8, 9)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, truncate=True)
    found = planes.read([tmp_path / "a.tif"])
    whole = tifffile.TiffFile.asarray
    outs = []

    def noted(file, *arguments, out=None, **options):
        outs.append(out)
        return whole(file, *arguments, out=out, **options)

    monkeypatch.setattr(tifffile.TiffFile, "asarray", noted)
    np.testing.assert_array_equal([plane.read() for plane in found], stack)
    assert outs == ["memmap"] * 5
    (tmp_path / "a.tif").unlink()  # nothing holds it open


def test_signed_grey_values_of_imagej_are_those_that_it_shows(tmp_path):
    told = "ImageJ=1.53t\ncf=0\nc0=-32768.0\nc1=1.0\n"
    grey = np.array([[300, -5], [2000, 0]])
    stored = (grey + 32768).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stored, description=told, metadata=None)
    (plane,) = planes.read([tmp_path / "a.tif"])
    np.testing.assert_array_equal(plane.read(), grey)


def test_big_endian_files_come_in_the_machines_order(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((4, 5), 300, np.uint16), byteorder=">")
    (plane,) = planes.read([tmp_path / "a.tif"])
    assert plane.read().dtype.isnative
    assert int(plane.read()[0, 0]) == 300


def test_images_of_a_file_are_listed_without_their_pixels(tmp_path, monkeypatch):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        for value in (1, 2):
            file.write(np.full((3, 8, 9), value, np.uint16), metadata={"axes": "ZYX"})
    path = tmp_path / "a.ome.tif"
    (second,) = {plane.series for plane in planes.read([path], 1)}
    assert (second, int(planes.read([path], 1)[2].read().max())) == (1, 2)
    monkeypatch.delattr(tifffile.TiffPageSeries, "asarray")
    monkeypatch.delattr(tifffile.TiffPage, "asarray")
    assert planes.series_of(path) == [0, 1]
