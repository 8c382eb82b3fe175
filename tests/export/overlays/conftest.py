"""What the tests of overlays share: objects made of rings."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from labelferry_export.geometry.shape import Part, Shape
from labelferry_export.model import Instance

Points = Sequence[tuple[float, float]]
MakeObject = Callable[..., Instance]


@pytest.fixture
def box() -> Callable[[float, float, float, float], Points]:
    def make(left: float, top: float, right: float, bottom: float) -> Points:
        return [(left, top), (right, top), (right, bottom), (left, bottom)]

    return make


@pytest.fixture
def make_object() -> MakeObject:
    """Make an object of parts; each is an outer ring followed by its holes."""

    def make(*parts: Sequence[Points], number: int = 1, category_id: int = 1, crowd: bool = False) -> Instance:
        shape = Shape(
            tuple(
                Part(np.array(rings[0], np.float64), tuple(np.array(hole, np.float64) for hole in rings[1:]))
                for rings in parts
            )
        )
        return Instance(id=number, image_id=1, category_id=category_id, shape=shape, crowd=crowd)

    return make
