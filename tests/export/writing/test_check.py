"""Options are checked before any project is touched, by a sentence that names what is known."""

import pytest

from labelferry_export.check import check
from labelferry_export.errors import ExportError
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions


def test_the_defaults_are_right() -> None:
    check(ExportOptions())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (ExportOptions(formats=("cocoa",)), "'cocoa': choose from coco, "),
        (ExportOptions(metrics=("parquet2",)), "'parquet2'.*csv"),
        (ExportOptions(format_options={"coco": {"rules": "x"}}), "coco has no option 'rules'; it has: rle"),
        (ExportOptions(format_options={"coco": {"rle": "zip"}}), "rle of coco is one of compressed, uncompressed"),
        (ExportOptions(format_options={"nothing": {}}), "'nothing'"),
        (ExportOptions(format_options={"yolo": {"hole": "fill"}}), "yolo has no option 'hole'; it has: parts, holes"),
        (ExportOptions(format_options={"voc": {"base": 2}}), "base of voc is one of 0, 1, not 2"),
        (ExportOptions(metric_options={"csv": {"sign": ";"}}), "metric writer csv has no option 'sign'; it has: bom"),
        (ExportOptions(metric_options={"csv": {"bom": "yes"}}), "bom of csv is a bool, not 'yes'"),
        (ExportOptions(metric_options={"xls": {"bom": True}}), "'xls': choose from csv"),
        (ExportOptions(split={"train": 0.5}), "split"),
        (ExportOptions(source_format="cocoa"), "cocoa"),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(options: ExportOptions, said: str) -> None:
    with pytest.raises(ExportError, match=said) as caught:
        check(options)
    assert caught.value.code is Code.USAGE
