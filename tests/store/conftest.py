"""A store on disk for each test, in a directory of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labelferry_broker.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path)
    yield store
    store.close()
