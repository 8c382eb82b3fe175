"""The registry: every format is found, complete, and has its round trip test."""

from pathlib import Path

import pytest

from labelferry_export import formats
from labelferry_export.costs import TYPICAL
from labelferry_export.errors import ExportError
from labelferry_export.stages import annotations, compression
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions, FormatOption


def test_every_file_of_the_folder_is_a_format_under_its_own_name() -> None:
    folder = Path(formats.__file__).parent
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert files <= set(formats.known())
    assert all(name == each.name for name, each in formats.known().items())


def test_every_format_has_a_test_file_here_and_says_how_to_load_it() -> None:
    for name, each in formats.known().items():
        assert (Path(__file__).parent / f"test_{name}.py").exists(), name
        assert each.title
        assert each.usage
        assert each.cost.object > 0


def test_what_a_format_costs_goes_by_its_options_wherever_it_is_asked() -> None:
    def costs(**options: FormatOption) -> list[float]:
        wanted = ExportOptions(
            images=False, visualizations=False, metrics=(), formats=("voc",), format_options={"voc": options}
        )
        return [stage.cost(wanted, TYPICAL) for stage in (annotations.STAGE, compression.STAGE)]

    for boxes_alone, with_masks in zip(costs(masks=False), costs(), strict=True):
        assert boxes_alone < with_masks / 2


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ExportError, match="'tiff': choose from coco, ") as caught:
        formats.find("tiff")
    assert caught.value.code is Code.USAGE


def test_options_that_are_not_given_have_their_defaults() -> None:
    assert formats.resolve(formats.find("coco"), {}) == {"rle": "compressed", "holes": "rle"}
