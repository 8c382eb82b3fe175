"""Which part a hole belongs to."""

import numpy as np

from labelferry_export.geometry.measure import measure_all
from labelferry_export.geometry.nest import nest
from labelferry_export.geometry.ring import Floats


def square(corner: float, side: float) -> Floats:
    far = corner + side
    return np.array([(corner, corner), (far, corner), (far, far), (corner, far)])


def test_a_hole_is_taken_from_the_smallest_part_around_it_and_from_no_other() -> None:
    shape, stray = nest([square(0, 30), square(12, 6)], [square(10, 10)])
    assert [len(part.holes) for part in shape.parts] == [1, 0]
    assert stray == ()
    assert measure_all([shape])[0].area == 900 - 100 + 36


def test_nested_parts_keep_their_own_holes() -> None:
    shape, _ = nest([square(0, 30), square(12, 6)], [square(10, 10), square(14, 2)])
    assert [[hole[0, 0] for hole in part.holes] for part in shape.parts] == [[10], [14]]


def test_a_hole_in_no_part_is_handed_back() -> None:
    shape, stray = nest([square(0, 5)], [square(10, 2)])
    assert not shape.has_holes
    assert len(stray) == 1
