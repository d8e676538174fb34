"""Planes of microscope files."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import tifffile

from bmgd_data.own import planes


def write_lsm(path, stack, voxel_um):
    """A (Z, Y, X) stack in the published structure: CZ_LSMINFO, and a thumbnail a plane."""
    depth, height, width = stack.shape
    sizes = (size * 1e-6 for size in reversed(voxel_um))
    fields = (0, width, height, depth, 1, 1, 2, 16, 16, *sizes, *[0] * 19)
    info = struct.pack("<I9i6d2H5Id8I", 0x0400494C, *fields)
    info = info[:4] + struct.pack("<I", len(info)) + info[8:]
    tag = (34412, 1, len(info), info, True)
    with tifffile.TiffWriter(path, byteorder="<") as file:
        for number, plane in enumerate(stack):
            tags = [tag] * (number == 0)
            file.write(plane, photometric="minisblack", metadata=None, extratags=tags)
            thumbnail = np.zeros((3, 16, 16), np.uint8)
            file.write(
                thumbnail, photometric="rgb", planarconfig="separate", subfiletype=1, metadata=None
            )


def test_planes_of_an_lsm_file_have_their_sizes(tmp_path):
    stack = np.random.default_rng(0).integers(0, 4096, (3, 40, 50)).astype(np.uint16)
    write_lsm(tmp_path / "colony 1.lsm", stack, (1.0, 0.25, 0.5))
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
