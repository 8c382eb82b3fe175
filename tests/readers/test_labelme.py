"""LabelMe reads its files: `labelme.LabelFile`, which checks keys, types, sizes and the image that is named."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.support.scenes import Bundle

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    label_file: Any = pytest.importorskip("labelme._label_file", reason="LabelMe is not installed: make readers")
    utils: Any = pytest.importorskip("labelme.utils", reason="LabelMe is not installed: make readers")

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("split", [{}, {"train": 0.5, "val": 0.5}], ids=["whole", "split"])
def test_labelme_opens_every_file_with_the_image_it_names(
    export: Callable[..., Bundle], split: dict[str, float]
) -> None:
    bundle = export("labelme", split=split)
    files = {
        name.rpartition("/")[2]: bundle.folder / "annotations/labelme" / name
        for name in bundle.names("annotations/labelme")
    }
    assert sorted(files) == ["a.json", "b c.json", "empty.json"]
    loaded = {name: label_file.LabelFile(str(path)) for name, path in files.items()}
    for name, each in loaded.items():
        (image,) = (path for path in (bundle.folder / "images").rglob(name.replace(".json", ".png")))
        assert each.image_data
        assert (files[name].parent / each.image_path).resolve() == image.resolve()
    assert loaded["empty.json"].shapes == []
    assert [(each["label"], each["shape_type"], each["group_id"]) for each in loaded["a.json"].shapes] == [
        ("cell", "polygon", None),
        ("wall", "mask", None),
        ("cell", "polygon", 3),
        ("cell", "polygon", 3),
    ]
    assert loaded["a.json"].shapes[0]["flags"] == {"round": True}


def test_labelmes_own_rasteriser_finds_the_objects_where_they_are(export: Callable[..., Bundle]) -> None:
    loaded = label_file.LabelFile(str(export("labelme").folder / "annotations/labelme/a.json"))
    square, holed, *_ = loaded.shapes
    drawn = utils.shape_to_mask((40, 60), square["points"], "polygon")
    assert drawn[3:11, 3:11].all()
    assert not drawn[:1].any()
    assert abs(int(drawn.sum()) - 100) <= 21, "LabelMe draws with Pillow, which sets the pixels on the outline too"
    assert np.asarray(holed["mask"]).sum() == 91
    assert np.asarray(holed["points"]).tolist() == [[20, 2], [29, 11]]
