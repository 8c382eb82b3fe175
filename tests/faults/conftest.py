"""Fixtures of the fault tests: a service of real processes, its client, and a project that takes some seconds to export."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.processes import Service, running_service
from tests.support.projects import make_coco_project

from labelferry import Client


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A broker and one worker, ready."""
    with running_service(tmp_path, "worker") as made:
        yield made


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    """A client of that service."""
    with Client(service.endpoint) as made:
        yield made


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that takes some seconds to export."""
    return make_coco_project(tmp_path_factory.mktemp("project"))
