"""A ledger on a bench for each test."""

import pytest
from tests.ledger.bench import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()
