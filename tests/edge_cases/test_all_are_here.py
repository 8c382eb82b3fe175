"""The list of edge cases, and that every one of them has its test, named after its number and its title."""

import re
from pathlib import Path

import pytest

TITLES = {
    1: "hole in coco",
    2: "mask starting at pixel 0 0",
    3: "rle order",
    4: "area equals the mask",
    5: "bbox contains segmentation",
    6: "half pixel contract",
    7: "multi part instance",
    8: "nested objects",
    9: "degenerate geometry",
    10: "self intersection",
    11: "out of image vertices",
    12: "same file name",
    13: "names",
    14: "image size truth",
    15: "exif orientation",
    16: "bit depth",
    17: "category ids",
    18: "more than 255 instances",
    19: "overlaps",
    20: "images without annotations",
    21: "splits",
    22: "determinism",
    23: "snapshot consistency",
    24: "metrics",
    25: "bundle integrity",
}
NAMES = [
    name
    for path in sorted(Path(__file__).parent.glob("test_*.py"))
    for name in re.findall(r"^def (test_case_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
]


@pytest.mark.parametrize("number", TITLES)
def test_every_edge_case_has_its_test(number: int) -> None:
    wanted = f"test_case_{number:02}_{TITLES[number].replace(' ', '_')}"
    assert any(name.startswith(wanted) for name in NAMES), wanted


def test_no_test_here_has_a_number_that_is_no_edge_case() -> None:
    assert list(TITLES) == list(range(1, 26))
    assert {int(name.split("_")[2]) for name in NAMES} == set(TITLES)
