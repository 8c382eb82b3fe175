"""Objects selected by their area and place."""

import numpy as np
import pytest

from labelferry_export.geometry.measure import areas, measure_all
from labelferry_export.geometry.shape import Part, Shape
from labelferry_export.selection.reason import Reason
from labelferry_export.selection.shapes import ShapeChoice
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import Border


def box(left: float, top: float, right: float, bottom: float) -> Shape:
    return Shape((Part(np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)),))


def reasons(options: ExportOptions, *shapes: Shape | None) -> list[Reason | None]:
    choice = ShapeChoice.of(options)
    assert choice is not None
    return choice.reasons(shapes, 20, 10)


def test_nothing_asked_is_nothing_to_do() -> None:
    assert ShapeChoice.of(ExportOptions(scale=0.5)) is None


def test_both_bounds_of_an_area_are_included() -> None:
    options = ExportOptions(min_area=4, max_area=9)
    shapes = (box(5, 5, 6.9, 7), box(5, 5, 7, 7), box(5, 5, 8, 8), box(5, 5, 8, 8.1), None)
    assert reasons(options, *shapes) == [Reason.AREA, None, None, Reason.AREA, None]


def test_with_a_scale_areas_are_in_square_micrometres() -> None:
    options = ExportOptions(min_area=1, scale=0.5)
    assert reasons(options, box(5, 5, 7, 7), box(5, 5, 7, 6.9)) == [None, Reason.AREA]


def test_a_hole_is_no_area_and_parts_that_overlap_count_once() -> None:
    holed = Shape((Part(box(2, 2, 8, 8).parts[0].outer, (box(3, 3, 7, 7).parts[0].outer,)),))
    double = Shape((*box(2, 2, 4, 4).parts, *box(3, 2, 5, 4).parts))
    assert areas([holed, double]).tolist() == [20, 6] == [each.area for each in measure_all([holed, double])]
    assert areas([]).tolist() == []


@pytest.mark.parametrize(
    ("shape", "touches"),
    [
        (box(0, 3, 5, 6), True),
        (box(0.5, 3, 5, 6), True),
        (box(0.6, 3, 5, 6), False),
        (box(1, 1, 19, 9), False),
        (box(3, 3, 20, 6), True),
        (box(3, 3, 19.5, 6), True),
        (box(3, 0, 6, 3), True),
        (box(3, 3, 6, 10), True),
        (Shape((*box(3, 3, 4, 4).parts, *box(6, 6, 7, 10).parts)), True),
    ],
)
def test_an_object_touches_the_border_when_it_reaches_into_the_outermost_pixels(shape: Shape, touches: bool) -> None:
    assert reasons(ExportOptions(border=Border.EXCLUDE), shape) == [Reason.BORDER if touches else None]
    assert reasons(ExportOptions(border=Border.ONLY), shape) == [None if touches else Reason.BORDER]
