"""Fixtures of the fault tests: services of real processes, plain and in a world of faults, clients, a large project and a small one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.ports import reserved_base_port
from tests.support.processes import Service, running_service
from tests.support.projects import make_coco_project
from tests.support.proxy import Proxy, proxied
from tests.support.world import World

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


Build = Callable[..., Service]


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    """Makes a service in a world: `build("a", "b", lease_seconds=2.0)`; the keywords are the world's settings."""
    with ExitStack() as closing:

        def build(*workers: str, **settings: float | bool) -> Service:
            def prepare(service: Service) -> None:
                service.world = World.make(tmp_path / "world", **settings)

            return closing.enter_context(running_service(tmp_path, *workers, prepare=prepare))

        yield build


@pytest.fixture
def wired(tmp_path: Path) -> Iterator[Callable[..., tuple[Service, Proxy]]]:
    """Makes a service on loopback tcp whose first worker, and whoever else wishes, comes through a proxy."""
    with ExitStack() as closing:

        def build(*workers: str, **settings: float | bool) -> tuple[Service, Proxy]:
            hosts = ("127.0.0.1", "127.0.0.2")
            port = closing.enter_context(reserved_base_port(hosts))
            proxy = closing.enter_context(proxied(hosts[1], hosts[0], port))

            def prepare(service: Service) -> None:
                service.world = World.make(tmp_path / "world", told_everywhere=True, **settings)
                service.listen = f"tcp://{hosts[0]}:{port}"
                service.ways = {workers[0]: proxy.endpoint} if workers else {}

            return closing.enter_context(running_service(tmp_path, *workers, prepare=prepare)), proxy

        yield build


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that takes some seconds to export."""
    return make_coco_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that takes less than a second to export."""
    return make_coco_project(tmp_path_factory.mktemp("small"), images_wanted=12, size=(200, 160))
