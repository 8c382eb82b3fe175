"""Numbers as text, many at once, against Python's own formatting."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.formats._numbers import flat, flat_rings, joined_lines, spelled
from labelferry_export.geometry.ring import lay_out
from labelferry_export.geometry.shape import Part, Shape
from labelferry_export.sources.labelferry_form import FormCategory


@given(st.data(), st.integers(1, 9))
def test_shares_are_spelled_as_python_spells_them(data: st.DataObject, decimals: int) -> None:
    units = data.draw(st.lists(st.integers(0, 10**decimals), max_size=8))
    expected = "".join(f" {unit // 10**decimals}.{unit % 10**decimals:0{decimals}d}" for unit in units)
    assert spelled(np.array(units, np.int64), decimals) == expected.encode()


NUMBERS = st.integers(-9, 50000).map(float) | st.floats(-1e6, 1e6)
RINGS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=5).map(lambda points: np.array(points, float))


@given(st.lists(RINGS, min_size=1, max_size=4))
def test_the_rings_of_an_image_are_told_at_once_as_one_by_one(rings: list[np.ndarray]) -> None:
    together = flat_rings(lay_out([Shape((Part(ring),)) for ring in rings]))
    assert together == [flat(ring) for ring in rings]
    assert [[type(each) is int for each in ring] for ring in together] == [
        [each.is_integer() for each in ring.reshape(-1).tolist()] for ring in rings
    ]


def test_records_are_a_line_each_whatever_their_texts_hold() -> None:
    records = [FormCategory(id=1, name='line\nend, "\u2028'), FormCategory(id=2, name="b")]
    assert joined_lines(records) == b'{"id":1,"name":"line\\nend, \\"\xe2\x80\xa8"},\n{"id":2,"name":"b"}'
    assert joined_lines([]) == b""
