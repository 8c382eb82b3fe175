"""The table in README.md names every row of the matrix, and only tests that are there."""

import re
from pathlib import Path

HERE = Path(__file__).parent
TABLE = (HERE / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (\d+) \| .+? \| (.+) \|$", re.MULTILINE)
TEST = re.compile(r"`([\w./]+\.py)::(\w+)`")


def test_the_table_has_every_row_once_and_in_order() -> None:
    assert [int(number) for number, _ in ROW.findall(TABLE)] == list(range(1, 45))


def test_every_row_names_a_test_or_says_why_not() -> None:
    for number, proof in ROW.findall(TABLE):
        assert TEST.search(proof) or "left out: " in proof, f"row {number}"


def test_every_test_that_the_table_names_is_there() -> None:
    named = TEST.findall(TABLE)
    assert named
    for file, test in named:
        assert f"def {test}(" in (HERE / file).read_text(encoding="utf-8"), f"{file}::{test}"


def test_every_test_of_a_row_stands_in_the_table() -> None:
    named = {test for _, test in TEST.findall(TABLE)}
    written = {
        test
        for path in HERE.glob("test_*.py")
        for test in re.findall(r"^def (test_rows?_\w+)\(", path.read_text(), re.MULTILINE)
    }
    assert written <= named, written - named
