"""Objects as columns and as blocks: whatever is packed, taken or put together is what it was, bit for bit."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from labelferry_export.geometry.shape import Part, Shape
from labelferry_export.instances import Columns, Instances
from labelferry_export.model import Instance
from labelferry_export.packing import pack, unpack

SQUARE = np.array([[10, 10], [20, 10], [20, 20], [10, 20]], np.float64)
RINGS = hnp.arrays(
    np.float64,
    st.tuples(st.integers(0, 6), st.just(2)),
    elements=st.floats() | st.integers(-40000, 40000).map(float) | st.just(-0.0),
)
PARTS = st.builds(Part, RINGS, st.lists(RINGS, max_size=2).map(tuple))
SHAPES = st.lists(PARTS, max_size=3).map(lambda parts: Shape(tuple(parts)))
ATTRIBUTES = st.dictionaries(st.text(max_size=3), st.integers(0, 9) | st.text(max_size=3), max_size=2)
OBJECTS = st.builds(
    Instance,
    id=st.integers(1, 2**53),
    image_id=st.just(7),
    category_id=st.integers(1, 9),
    shape=SHAPES,
    crowd=st.booleans(),
    attributes=ATTRIBUTES,
)


def told(instances: Sequence[Instance]) -> list[object]:
    return [
        (
            *(each.id, each.image_id, each.category_id, each.crowd, each.attributes),
            [[ring.tobytes() for ring in (part.outer, *part.holes)] for part in each.shape.parts],
        )
        for each in instances
    ]


@given(st.lists(st.lists(OBJECTS, max_size=4), min_size=1, max_size=4))
def test_what_is_packed_in_blocks_comes_back_bit_for_bit(groups: list[list[Instance]]) -> None:
    columns = Columns.of([each for group in groups for each in group])
    blocks = list(pack(columns, list(accumulate(map(len, groups), initial=0))))
    assert [told(Instances(7, unpack(block))) for block in blocks] == list(map(told, groups))
    again = Columns.joined([unpack(block) for block in blocks])
    assert told(Instances(7, again)) == told([each for group in groups for each in group])


@given(st.lists(OBJECTS, max_size=5), st.data())
def test_any_of_the_objects_can_be_taken_in_any_order(objects: list[Instance], data: st.DataObject) -> None:
    numbers = st.integers(0, len(objects) - 1)
    chosen = data.draw(st.lists(numbers, max_size=6)) if objects else []
    taken = Columns.of(objects).taken(np.array(chosen, np.int64))
    assert told(Instances(7, taken)) == told([objects[index] for index in chosen])


@given(st.lists(OBJECTS, max_size=5), st.data())
def test_shapes_are_changed_and_objects_left_out_in_place(objects: list[Instance], data: st.DataObject) -> None:
    numbers = st.integers(0, max(len(objects) - 1, 0))
    changed = data.draw(st.dictionaries(numbers, st.none() | SHAPES, max_size=3)) if objects else {}
    left = Columns.of(objects).with_shapes(changed)
    expected = [
        Instance(
            each.id, 7, each.category_id, changed.get(index, each.shape) or each.shape, each.crowd, each.attributes
        )
        for index, each in enumerate(objects)
        if changed.get(index, each.shape) is not None
    ]
    assert told(Instances(7, left)) == told(expected)


def test_instances_are_a_sequence_that_can_be_cut() -> None:
    objects = [Instance(number, 7, 1, Shape((Part(SQUARE + number),))) for number in range(5)]
    instances = Instances(7, Columns.of(objects))
    assert told(instances[1:3]) == told(objects[1:3])
    assert told([instances[-1]]) == told(objects[-1:])
    assert instances[0:5] is instances
    assert (len(instances), len(instances[5:])) == (5, 0)


def test_whole_coordinates_take_a_quarter_of_the_room() -> None:
    whole, broken = (Columns.of([Instance(1, 1, 1, Shape((Part(ring),)))]) for ring in (SQUARE, SQUARE + 0.5))
    assert len(next(pack(whole, [0, 1]))) + 48 == len(next(pack(broken, [0, 1])))
