from __future__ import annotations

import base64
import io
import warnings

import numpy as np
import pytest
from PIL import Image

from bmgd_data.nuclei import nuclei
from bmgd_data.plot import montage
from bmgd_data.plot import pictures as room
from bmgd_data.reader import Reader


def sample(side: int = 64, *, name: str = "250Pa/one", nuclei: int = 2) -> dict:
    """Two squares that touch, on a dark ground; the arrays are read-only as a Reader's are."""
    image = np.full((side, side), 400, np.uint16)
    instances = np.zeros((side, side), np.uint16)
    instances[35:55, 10:20] = 1
    instances[35:55, 20:30] = nuclei
    image[instances > 0] = 1800
    mask = instances > 0
    for array in (image, mask, instances):
        array.flags.writeable = False
    return {
        "image": image,
        "mask": mask,
        "instances": instances,
        "stiffness_pa": 250,
        "n_nuclei": nuclei,
        "name": name,
    }


def panels(picture: np.ndarray, side: int = 64) -> list[np.ndarray]:
    """The three panels of the first sample."""
    left, top, step = room._MARGIN, room._MARGIN + room._HEADER, side + room._GAP
    return [picture[top + n * step :, left:][:side, :side].astype(int) for n in range(3)]


def test_image_is_brighter_where_the_sample_is():
    image, _, _ = panels(montage([sample()]))
    assert image[38:52, 12:28].sum(axis=-1).min() > image[35:60, 35:60].sum(axis=-1).max()


def test_outline_follows_the_mask_and_nothing_else():
    _, mask, _ = panels(montage([sample()]))
    drawn = (mask == room._OUTLINE).all(axis=-1)
    assert drawn[35, 10:30].all()
    assert drawn[54, 10:30].all()
    assert drawn[35:55, 10].all()
    assert drawn[35:55, 29].all()
    assert drawn.sum() == 2 * 20 + 2 * 18


def test_touching_instances_have_different_colours():
    _, _, instances = panels(montage([sample()]))
    one, two = instances[45, 15], instances[45, 25]
    assert np.abs(one - two).max() > 60
    assert np.ptp(instances[50, 50]) == 0, "the ground is grey"


def test_neighbouring_numbers_never_look_alike():
    many = sample(256)
    many["image"] = np.full((256, 256), 400, np.uint16)
    many["image"][100:] = 1800
    many["instances"] = (np.arange(256) // 8 + 1)[None].repeat(256, axis=0).astype(np.uint16)
    _, _, instances = panels(montage([many]), 256)
    inside = instances[200, 4::8]
    assert np.abs(np.diff(inside, axis=0)).max(axis=1).min() > 60


def test_size_grows_with_rows_columns_and_note():
    one = montage([sample()])
    assert one.dtype == np.uint8
    assert montage([sample()] * 3).shape[1] == one.shape[1] + 2 * (64 + room._GAP)
    assert montage([sample()] * 3, columns=1).shape[1] == one.shape[1]
    assert (
        montage([sample()] * 3, columns=2).shape[0] == montage([sample()] * 4, columns=2).shape[0]
    )
    assert montage([sample()], note="generated").shape[0] == one.shape[0] + room._FOOTER


def test_shapes_may_differ():
    assert montage([sample(), sample(96)]).shape[1] == 2 * room._MARGIN + 2 * 96 + room._GAP


@pytest.mark.parametrize(("pixel", "length"), [(0.25, 40), (0.5, 20)])
def test_scale_bar_measures_ten_micrometres(pixel, length):
    with_bar, *others = panels(montage([sample(128)], pixel_size_um=pixel), 128)
    without, *same = panels(montage([sample(128)]), 128)
    changed = (with_bar != without).any(axis=-1)
    assert changed[118:121].any(axis=0).sum() == length
    assert all((a == b).all() for a, b in zip(others, same, strict=True))


def test_flat_and_empty_images_draw_without_a_warning():
    flat = sample()
    flat["image"] = np.zeros((64, 64), np.uint16)
    flat["instances"] = np.zeros((64, 64), np.uint16)
    flat["mask"] = np.zeros((64, 64), bool)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert montage([flat]).size


def test_long_names_show_their_end():
    one, two = (montage([sample(name="250Pa/" + "long " * 40 + end)]) for end in "AB")
    assert (one != two).any()
    assert one.shape == montage([sample()]).shape


@pytest.mark.parametrize(("samples", "columns"), [([], 4), ([sample()], 0)])
def test_nothing_to_draw_is_a_value_error(samples, columns):
    with pytest.raises(ValueError, match="Nothing to draw"):
        montage(samples, columns=columns)


def test_draws_what_a_reader_gives(tiny_root):
    reader = Reader("all", source="phantom:size=0.02", root=tiny_root)
    picture = montage(reader[::12], note="generated, not BMGD", method="components")
    assert picture.shape == (898, 1094, 3)


# -------------------------------------------------------------------------- one image, one nucleus


def test_show_takes_a_sample_and_a_reader(tiny_root):
    reader = Reader("all", source="phantom:size=0.02", root=tiny_root)
    np.testing.assert_array_equal(np.asarray(room.show(reader[3])), montage([reader[3]]))
    rows = [0, 16, 31, 47]
    drawn = montage([reader[row] for row in rows], **room.captions(reader))
    np.testing.assert_array_equal(np.asarray(room.show(reader, count=4)), drawn)
    with pytest.raises(ValueError, match="Nothing to draw"):
        room.show(reader[:0])


def test_outlines_of_touching_nuclei_run_between_them_too():
    picture = room.outlined(sample(), side=64)
    drawn = (picture == room._OUTLINE).all(axis=-1)
    assert drawn[45, [10, 19, 20, 29]].all()
    assert not drawn[45, [9, 15, 25, 30]].any()
    assert room.outlined(sample(128), side=64).shape == (64, 64, 3)


@pytest.mark.parametrize("shape", [(32, 64), (64, 32)])
def test_outlined_keeps_the_proportions(shape):
    wide = {key: value[: shape[0], : shape[1]] for key, value in sample().items() if key in "image"}
    wide |= {"instances": sample()["instances"][: shape[0], : shape[1]]}
    assert room.outlined(wide, side=128).shape[:2] == (2 * shape[0], 2 * shape[1])


def test_a_crop_has_its_nucleus_in_the_middle_and_outlines_no_other():
    picture = room.crop(sample(), 2, side=45)  # 20 x 10 pixels, and 12 around
    drawn = np.argwhere((picture == room._OUTLINE).all(axis=-1))
    assert np.abs(drawn.mean(axis=0) - 22).max() < 1.5
    assert len(drawn) >= 2 * 20 + 2 * 8
    with pytest.raises(ValueError, match="250Pa/one has no nucleus 7"):
        room.crop(sample(), 7)


def test_a_crop_at_the_corner_of_the_image():
    corner = sample()
    corner["instances"] = np.zeros((64, 64), np.uint16)
    corner["instances"][0, 0] = 1
    picture = room.crop(corner, 1, side=25)
    assert (picture[12, 12] == room._OUTLINE).all()
    assert picture[:12].max() == picture[:, :12].max() == 0


def test_extremes_are_those_of_the_column(tiny_root, monkeypatch):
    reader = Reader("all", source="phantom:size=0.02", root=tiny_root)
    table = nuclei(reader)
    cut = []
    crop = room.crop
    monkeypatch.setattr(
        room, "crop", lambda *given: cut.append((given[0]["name"], given[1])) or crop(*given)
    )
    assert room.extremes(reader, table, count=3).width == 2 * room._MARGIN + 3 * 154 - room._GAP
    order = np.argsort(table["area_um2"], kind="stable")
    wanted = [*order[:3], *order[::-1][:3]]
    assert cut == [(table["name"][row], table["label"][row]) for row in wanted]
    with pytest.raises(ValueError, match="no values"):
        room.extremes(reader, nuclei(reader[:0]))


def test_html_holds_the_picture_and_says_what_it_shows():
    tag = room.as_html(room.outlined(sample()), 'a "name" <b>')
    assert 'alt="a &quot;name&quot; &lt;b&gt;"' in tag
    data = base64.b64decode(tag.partition("base64,")[2].partition('"')[0])
    assert Image.open(io.BytesIO(data)).size == (144, 144)
