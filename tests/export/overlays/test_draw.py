"""Overlays, pixel by pixel: fills, strokes, holes, parts, the order of objects, and what is hatched."""

import io
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from labelferry_export.geometry.raster import runs_of
from labelferry_export.geometry.shape import Part, Shape
from labelferry_export.model import Instance
from labelferry_export.overlays import draw_overlay, render
from labelferry_export.overlays.draw import drawing
from labelferry_export.overlays.fill import BLOCK_PIXELS
from labelferry_export.overlays.palette import COLOURS, colours_of
from labelferry_protocol.options import OverlayStyle

Bytes = NDArray[np.uint8]
Points = Sequence[tuple[float, float]]
Box = Callable[[float, float, float, float], Points]
MakeObject = Callable[..., Instance]

ONLY_FILL = OverlayStyle(fill_opacity=1, stroke_width=0, numbers=False)
ONLY_STROKE = OverlayStyle(fill_opacity=0, stroke_width=2, numbers=False)
ONLY_NUMBERS = OverlayStyle(fill_opacity=0, stroke_width=0, numbers=True)


def ground(width: int = 60, height: int = 50, value: int = 100) -> Bytes:
    return np.full((height, width, 3), value, np.uint8)


def changed(before: Bytes, after: Bytes) -> NDArray[np.bool_]:
    different: NDArray[np.bool_] = (before != after).any(axis=2)
    return different


def test_a_full_fill_is_the_objects_colour_on_exactly_the_pixels_of_its_mask(make_object: MakeObject) -> None:
    one = make_object([[(5.2, 4.1), (40.7, 9.9), (22.3, 44.4)]])
    before = ground()
    after = draw_overlay(before, [one], ONLY_FILL)
    mask = runs_of(one.shape, 60, 50).mask()
    assert np.array_equal(changed(before, after), mask)
    assert (after[mask] == COLOURS[0]).all()


def test_a_hole_stays_open_and_its_edge_is_stroked(make_object: MakeObject, box: Box) -> None:
    one = make_object([box(5, 5, 45, 45), box(15, 15, 35, 35)])
    before = ground()
    filled = changed(before, draw_overlay(before, [one], ONLY_FILL))
    assert filled[10, 25]
    assert not filled[15:35, 15:35].any()
    stroked = changed(before, draw_overlay(before, [one], ONLY_STROKE))
    assert stroked[25, [4, 5, 14, 15, 34, 35, 44, 45]].all()
    assert not stroked[18:32, 18:32].any()


def test_every_part_of_an_object_is_drawn(make_object: MakeObject, box: Box) -> None:
    one = make_object([box(2, 2, 8, 8)], [box(20, 20, 28, 28)])
    filled = changed(ground(), draw_overlay(ground(), [one], ONLY_FILL))
    assert filled.sum() == 36 + 64


def test_an_opacity_of_0_leaves_every_pixel_inside_as_it_was(make_object: MakeObject, box: Box) -> None:
    after = draw_overlay(ground(), [make_object([box(10, 10, 40, 40)])], ONLY_STROKE)
    assert (after[14:36, 14:36] == 100).all()


@given(opacity=st.floats(0, 1), value=st.integers(0, 255))
def test_a_fill_blends_by_its_opacity(opacity: float, value: int) -> None:
    square = np.array([(1, 1), (4, 1), (4, 4), (1, 4)], np.float64)
    one = Instance(id=1, image_id=1, category_id=1, shape=Shape((Part(square),)))
    style = OverlayStyle(fill_opacity=opacity, stroke_width=0, numbers=False)
    after = draw_overlay(ground(6, 6, value), [one], style)
    share = round(opacity * 255) / 255
    expected = value * (1 - share) + np.array(COLOURS[0]) * share
    assert (np.abs(after[2, 2] - expected) <= 0.5 + 1e-9).all()


def test_a_stroke_of_0_draws_no_outline(make_object: MakeObject, box: Box) -> None:
    style = OverlayStyle(fill_opacity=0, stroke_width=0, numbers=False)
    assert np.array_equal(draw_overlay(ground(), [make_object([box(10, 10, 40, 40)])], style), ground())


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8])
def test_a_stroke_is_as_wide_as_asked_for(make_object: MakeObject, box: Box, width: int) -> None:
    style = OverlayStyle(fill_opacity=0, stroke_width=width, numbers=False)
    before = ground(value=0)
    after = draw_overlay(before, [make_object([box(15, 12, 45, 40)])], style)
    across = after[26, :30].astype(float) / np.array(COLOURS[0]).clip(1)
    assert across[:, 1].sum() == pytest.approx(width, abs=0.05)


def test_the_later_object_lies_on_top(make_object: MakeObject, box: Box) -> None:
    low = make_object([box(5, 5, 30, 30)], number=1, category_id=1)
    high = make_object([box(20, 20, 45, 45)], number=2, category_id=2)
    after = draw_overlay(ground(), [low, high], ONLY_FILL)
    assert tuple(after[25, 25]) == COLOURS[1]
    assert tuple(after[10, 10]) == COLOURS[0]


def test_where_objects_overlap_both_tints_are_blended_in_their_order(make_object: MakeObject, box: Box) -> None:
    objects = [make_object([box(5, 5, 30, 30)], number=n, category_id=n) for n in (1, 2, 3)]
    style = OverlayStyle(fill_opacity=0.5, stroke_width=0, numbers=False)
    together = draw_overlay(ground(), objects, style)
    one_by_one = ground()
    for each in objects:
        one_by_one = draw_overlay(one_by_one, [each], style)
    assert np.array_equal(together, one_by_one)


def test_an_object_larger_than_a_block_is_filled_evenly(make_object: MakeObject, box: Box) -> None:
    side = int(1.7 * BLOCK_PIXELS**0.5)
    one = make_object([box(0, 0, side, side)])
    style = OverlayStyle(fill_opacity=0.5, stroke_width=0, numbers=False)
    after = draw_overlay(ground(side, side), [one], style)
    assert (after == after[0, 0]).all()


def test_what_lies_outside_of_the_image_is_not_drawn(make_object: MakeObject, box: Box) -> None:
    inside_and_out = make_object([box(-20, -20, 20, 20)], number=12345)
    far_away = make_object([box(500, 500, 520, 520)], number=2)
    after = draw_overlay(ground(), [inside_and_out, far_away], OverlayStyle(stroke_width=9))
    assert after.shape == (50, 60, 3)
    assert (after[40:, 40:] == 100).all()


def test_a_crowd_is_hatched(make_object: MakeObject, box: Box) -> None:
    crowd = make_object([box(5, 5, 45, 45)], crowd=True)
    filled = changed(ground(), draw_overlay(ground(), [crowd], ONLY_FILL))
    assert 0.3 < filled[5:45, 5:45].mean() < 0.5


def test_a_number_is_drawn_at_its_object_in_white_on_a_dark_halo(make_object: MakeObject, box: Box) -> None:
    for value in (0, 128, 255):
        before = ground(120, 100, value)
        after = draw_overlay(before, [make_object([box(60, 50, 110, 90)], number=42)], ONLY_NUMBERS)
        touched = np.argwhere(changed(before, after))
        assert touched.min(axis=0) == pytest.approx([64, 78], abs=7)
        assert np.abs(touched.mean(axis=0) - [70, 85]).max() < 2
        seen = after[touched[:, 0], touched[:, 1]].mean(axis=1)
        assert seen.max() - min(seen.min(), value) > 150


def test_the_number_of_a_ring_is_on_the_ring_and_not_in_its_hole(make_object: MakeObject, box: Box) -> None:
    ring = make_object([box(10, 10, 190, 190), box(45, 45, 155, 155)], number=7)
    before = ground(200, 200)
    touched = np.argwhere(changed(before, draw_overlay(before, [ring], ONLY_NUMBERS)))
    y, x = touched.mean(axis=0)
    assert not (45 < x < 155 and 45 < y < 155)
    assert 10 < x < 190
    assert 10 < y < 190


def test_the_number_of_a_crescent_is_inside_of_it(make_object: MakeObject) -> None:
    turn = np.linspace(-2, 2, 60)
    outer = np.stack([100 - 80 * np.cos(turn), 100 + 80 * np.sin(turn)], axis=1)
    inner = np.stack([100 - 45 * np.cos(turn), 100 + 45 * np.sin(turn)], axis=1)[::-1]
    crescent = make_object([np.concatenate([outer, inner]).tolist()], number=7)
    before = ground(200, 200)
    y, x = np.argwhere(changed(before, draw_overlay(before, [crescent], ONLY_NUMBERS))).mean(axis=0)
    assert runs_of(crescent.shape, 200, 200).mask()[round(y), round(x)]


def test_a_speck_gets_no_number(make_object: MakeObject, box: Box) -> None:
    before = ground()
    assert np.array_equal(
        draw_overlay(before, [make_object([box(30, 20, 33, 23)], number=123456)], ONLY_NUMBERS), before
    )


def test_a_number_at_the_edge_is_moved_into_the_image(make_object: MakeObject, box: Box) -> None:
    before = ground(100, 80)
    at_edge = draw_overlay(before, [make_object([box(88, 30, 100, 50)], number=8)], ONLY_NUMBERS)
    inside = draw_overlay(before, [make_object([box(40, 30, 52, 50)], number=8)], ONLY_NUMBERS)
    assert changed(before, at_edge).sum() == changed(before, inside).sum()


def test_colours_are_by_class_or_by_object(make_object: MakeObject, box: Box) -> None:
    one = make_object([box(5, 5, 15, 15)], number=1, category_id=3)
    two = make_object([box(25, 25, 35, 35)], number=2, category_id=3)
    by_class = draw_overlay(ground(), [one, two], ONLY_FILL)
    assert tuple(by_class[10, 10]) == tuple(by_class[30, 30]) == COLOURS[2]
    by_object = OverlayStyle(fill_opacity=1, stroke_width=0, numbers=False, color_by="instance")
    after = draw_overlay(ground(), [one, two], by_object)
    assert tuple(after[10, 10]) == COLOURS[0]
    assert tuple(after[30, 30]) == COLOURS[1]


def test_an_id_has_the_same_colour_in_any_company() -> None:
    (alone, row), (among, rows) = colours_of([7]), colours_of([3, 7, 14])
    assert np.array_equal(alone[row[0]], among[rows[1]])
    assert len(set(COLOURS)) == len(COLOURS)


def test_an_image_without_objects_is_drawn_as_it_is() -> None:
    assert np.array_equal(draw_overlay(ground(), [], OverlayStyle()), ground())


def test_an_object_without_pixels_harms_nothing(make_object: MakeObject) -> None:
    sliver = make_object([[(5.0, 5.1), (5.1, 5.1), (5.1, 5.2)]])
    after = draw_overlay(ground(), [sliver], OverlayStyle())
    assert (after[20:] == 100).all()


def test_the_original_pixels_are_not_changed(make_object: MakeObject, box: Box) -> None:
    before = ground()
    before.setflags(write=False)
    draw_overlay(before, [make_object([box(5, 5, 15, 15)])], OverlayStyle())
    list(render(before, [make_object([box(5, 5, 15, 15)])], OverlayStyle()))


def test_a_rendered_overlay_is_a_png_of_the_drawing_and_the_same_each_time(make_object: MakeObject, box: Box) -> None:
    objects = [make_object([box(5 + n, 5, 15 + n, 40)], number=n + 1, category_id=n % 3 + 1) for n in range(30)]
    data = b"".join(render(ground(), objects, OverlayStyle()))
    assert data == b"".join(render(ground(), objects, OverlayStyle()))
    with Image.open(io.BytesIO(data)) as picture:
        assert np.array_equal(np.asarray(picture), draw_overlay(ground(), objects, OverlayStyle()))


def test_a_large_picture_drawn_in_bands_has_no_seams(make_object: MakeObject, monkeypatch: pytest.MonkeyPatch) -> None:
    turn = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    objects = [
        make_object([np.stack([80 + r * np.cos(turn), 70 + r * np.sin(turn)], axis=1).tolist()], number=r)
        for r in (20, 45, 64)
    ]
    whole = draw_overlay(ground(160, 140), objects, OverlayStyle(stroke_width=5))
    for name, value in (
        ("draw.BAND_PIXELS", 1000),
        ("draw.BATCH", 1),
        ("fill.BLOCK_PIXELS", 777),
        ("stroke.WINDOW_SAMPLES", 3000),
    ):
        monkeypatch.setattr(f"labelferry_export.overlays.{name}", value)
    banded = ground(160, 140)
    units = sum(1 for _ in drawing(banded, objects, OverlayStyle(stroke_width=5)))
    assert units > 20
    assert np.array_equal(whole, banded)
