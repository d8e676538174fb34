from __future__ import annotations

import warnings

import numpy as np
import pytest

from bmgd_data import plot as room
from bmgd_data.plot import montage
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


def test_touching_instances_have_colours_of_their_own():
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


def test_of_long_names_the_end_is_shown():
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
