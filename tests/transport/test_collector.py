"""How often a service searches for garbage."""

import gc
from collections.abc import Iterator

import pytest

from labelferry_transport.collector import YOUNG_OBJECTS, search_seldom


@pytest.fixture
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.usefixtures("collector")
def test_what_is_there_is_not_searched_again_and_what_comes_is_searched_seldom() -> None:
    search_seldom()
    assert gc.get_freeze_count() > 1000
    assert gc.get_threshold()[0] == YOUNG_OBJECTS
    assert gc.isenabled()
