"""The one call that makes a bundle of a project."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.scenes import Bundle, Thing, export_to, make_scene

Export = Callable[..., Bundle]


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Export a project and unzip the bundle."""
    return lambda project, **options: export_to(tmp_path / "exports", project, **options)


@pytest.fixture
def export_scene(tmp_path: Path, export: Export) -> Export:
    """Make a scene of things and export it."""

    def run(*things: Thing, **said: Any) -> Bundle:
        scene = {key: said.pop(key) for key in ("images", "classes") if key in said}
        return export(make_scene(tmp_path / "scene", things, **scene), **said)

    return run
