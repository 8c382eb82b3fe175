"""The tables as csv, in a bundle: what its options change, and that readers of tables read either."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

MARK = b"\xef\xbb\xbf"


def test_csv_begins_with_a_byte_order_mark_where_that_is_wanted(
    make_project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    project = make_project()
    plain, marked = (
        unzip(export(project, metrics=("csv",), metric_options={"csv": {"bom": bom}})) for bom in (False, True)
    )
    for name in ("objects", "images", "classes", "columns"):
        table = f"metrics/{name}.csv"
        assert not (plain / table).read_bytes().startswith(MARK)
        assert (marked / table).read_bytes() == MARK + (plain / table).read_bytes()
        assert list(pd.read_csv(marked / table).columns) == list(pd.read_csv(plain / table).columns)
    # Its lines choose the objects of another export, as those of any table do.
    listed = unzip(export(project, metrics=(), objects_from=str(marked / "metrics/objects.csv")))
    annotations = "annotations/coco/instances.json"
    assert (listed / annotations).read_bytes() == (plain / annotations).read_bytes()
