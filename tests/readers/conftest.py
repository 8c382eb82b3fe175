"""One scene for the readers that are too heavy for every run; `make readers` installs them and runs these tests.

They are skipped, with a word, where the readers are not installed.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.scenes import Bundle, Thing, box, export_to, make_scene

IMAGES = [("a.png", 60, 40), ("b c.png", 60, 40), ("empty.png", 60, 40)]
THINGS = [
    Thing([box(2, 2, 10, 10)], attributes={"round": True, "note": "x"}),
    Thing([box(20, 2, 10, 10)], [[box(23, 5, 3, 3)]], category=2),
    Thing([box(2, 20, 6, 6), box(12, 20, 6, 6)]),
    Thing([[40, 20, 55, 22, 44, 38]], image=2),
]


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., Bundle]:
    """Export the scene: two classes, a hole, two parts, attributes, an image without objects."""
    scene = make_scene(tmp_path / "scene", THINGS, IMAGES, ("cell", "wall"))
    return lambda *formats, **options: export_to(tmp_path / "exports", scene, formats=formats, **options)
