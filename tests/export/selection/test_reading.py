"""Any selection of a project, held against plain Python over what is known to be in it."""

import fnmatch
import itertools
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.export.selection.conftest import CLASSES, SIDE, make_zoo

from labelferry_export.errors import ExportError
from labelferry_export.reading.project import read_project
from labelferry_export.snapshot import Snapshot
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions
from labelferry_protocol.words import Border

PLACES = {"cat": (2, 4), "dog": (10, 8), "wolf": (SIDE - 12, 12)}
"""Where each class stands in every image, and the side of its square, as `make_zoo` draws it."""
_numbers = itertools.count()


@dataclass(frozen=True)
class Animal:
    """An object as the project has it."""

    id: int
    image: str
    name: str
    score: float
    patient: str

    @property
    def area(self) -> float:
        return float(PLACES[self.name][1] ** 2)


ANIMALS = [
    Animal(10 * number + category, f"p{number % 4}/{number:02}.png", name, number / 12, f"p{number % 4}")
    for number in range(1, 13)
    for category, name in enumerate(CLASSES, 1)
]
IMAGES = list(dict.fromkeys(each.image for each in ANIMALS))

conditions: dict[str, tuple[Callable[[Animal], bool], Callable[[str], bool]]] = {
    "": (lambda _: True, lambda _: True),
    "score > 0.5": (lambda each: each.score > 0.5, lambda _: True),
    "image.patient == 'p1' or score <= 0.25": (lambda each: each.patient == "p1" or each.score <= 0.25, lambda _: True),
    "image.patient != 'p1' and score <= 0.75": (
        lambda each: each.patient != "p1" and each.score <= 0.75,
        lambda image: not image.startswith("p1/"),
    ),
}

choices = st.fixed_dictionaries(
    {},
    optional={
        "select": st.sets(st.sampled_from(["p1/*", "p2/*", "0?.png", "1*.png"]), max_size=3).map(tuple),
        "exclude": st.sets(st.sampled_from(["p3/*", "*2.png", "05.png"]), max_size=2).map(tuple),
        "classes": st.sets(st.sampled_from(CLASSES), max_size=3).map(tuple),
        "where": st.sampled_from(list(conditions)),
        "min_area": st.sampled_from([0.0, 16.0, 17.0, 144.0]),
        "max_area": st.sampled_from([15.0, 64.0, 144.0, 1e6]),
        "border": st.sampled_from(list(Border)),
        "annotated_only": st.booleans(),
    },
)
listings = st.none() | st.sets(st.sampled_from(range(1, 140)), min_size=1, max_size=60)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("animals")
    make_zoo(folder / "zoo")
    return folder


def read(place: Path, options: ExportOptions) -> Snapshot:
    reading = read_project(place / "zoo", options, place / f"snapshot-{next(_numbers)}", [place])
    while True:
        try:
            next(reading)
        except StopIteration as end:
            snapshot: Snapshot = end.value
            return snapshot


def takes_image(name: str, options: ExportOptions) -> bool:
    def fits(pattern: str) -> bool:
        return fnmatch.fnmatchcase(name if "/" in pattern else name.rpartition("/")[2], pattern)

    selected = not options.select or any(map(fits, options.select))
    return selected and not any(map(fits, options.exclude)) and conditions[options.where][1](name)


def takes_animal(each: Animal, options: ExportOptions, listed: set[int] | None) -> bool:
    at_border = PLACES[each.name][0] + PLACES[each.name][1] == SIDE
    return (
        takes_image(each.image, options)
        and (not options.classes or each.name in options.classes)
        and (listed is None or each.id in listed)
        and conditions[options.where][0](each)
        and (options.min_area is None or each.area >= options.min_area)
        and (options.max_area is None or each.area <= options.max_area)
        and (options.border is Border.INCLUDE or at_border is (options.border is Border.ONLY))
    )


@given(said=choices, listed=listings)
@settings(max_examples=60, deadline=None)
def test_any_selection_is_what_plain_python_makes_of_it(
    place: Path, said: dict[str, Any], listed: set[int] | None
) -> None:
    if said.get("min_area", 0) > said.get("max_area", 1e9):
        said = {key: value for key, value in said.items() if key != "min_area"}
    if listed is not None:
        (place / "list.txt").write_text("\n".join(map(str, listed)))
        said = {**said, "objects_from": str(place / "list.txt")}
    options = ExportOptions(**said)
    animals = [each for each in ANIMALS if takes_animal(each, options, listed)]
    images = [each for each in IMAGES if takes_image(each, options)]
    if options.annotated_only:
        images = [image for image in images if any(each.image == image for each in animals)]
    vain = listed is not None and listed.isdisjoint(each.id for each in ANIMALS)
    if vain or not images:
        with pytest.raises(ExportError) as caught:
            read(place, options)
        assert caught.value.code is (
            Code.USAGE if vain or not any(takes_image(each, options) for each in IMAGES) else Code.SOURCE
        )
        return
    with closing(read(place, options)) as snapshot:
        assert [image.name for image in snapshot.images()] == images
        found = [each.id for image in snapshot.images() for each in snapshot.instances(image.id)]
        assert found == [each.id for each in animals]
        chosen = snapshot.facts.chosen
        assert (chosen.images.found, chosen.images.selected) == (len(IMAGES), len(images))
        assert (chosen.objects.found, chosen.objects.selected) == (len(ANIMALS), len(animals))
