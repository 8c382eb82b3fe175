"""WebDataset shards, read back by `webdataset` and by tarfile: whole samples, originals, masks of 16 bits, the same bytes again."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as reference
import pytest
import webdataset
from PIL import Image as Pillow

from labelferry_export.findings import Finding
from labelferry_export.formats.webdataset import ending_of, key_of
from labelferry_export.model import Image

# pycocotools' own arrays are of NumPy 1's ways.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def image(name: str) -> Image:
    return Image(id=1, name=name, path=Path(name), width=4, height=4, bundle_name=name)


def read(shard: Path) -> list[dict[str, Any]]:
    """Return the samples as webdataset's own readers group them; the file is opened here, as its opener never closes it."""
    with shard.open("rb") as stream:
        files = webdataset.tariterators.tar_file_expander([{"url": str(shard), "stream": stream}])
        return list(webdataset.tariterators.group_by_keys(files))


def samples(*shards: Path) -> dict[str, dict[str, Any]]:
    return {sample["__key__"]: sample for shard in shards for sample in read(shard)}


@pytest.mark.parametrize(
    ("name", "key"), [("a.png", "a"), ("a.b.c.png", "a%2Eb%2Ec"), ("100%.png", "100%25"), ("a%2Eb.png", "a%252Eb")]
)
def test_edge_case_13_a_key_has_no_dot_and_no_two_stems_have_one_key(name: str, key: str) -> None:
    assert key_of(image(name)) == key


@pytest.mark.parametrize(
    ("name", "beginning", "ending"),
    [
        ("a.JPG", b"", "jpg"),
        ("a.tiff", b"", "tiff"),
        ("a", b"\x89PNG\r\n", "png"),
        ("a.json", b"\xff\xd8\xff\xe0", "jpg"),
        ("a", b"what", "bin"),
    ],
)
def test_an_image_has_an_ending_that_readers_know(name: str, beginning: bytes, ending: str) -> None:
    assert ending_of(image(name), beginning) == ending


def test_a_sample_is_the_original_its_objects_and_their_mask(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    folder = unzip(export(odd_project, formats=("webdataset",), images=False))
    found = samples(folder / "annotations/webdataset/shard-000000.tar")
    assert list(found) == ["a", "b%2Ec", "empty", "ship 🚢"]
    digests = {hashlib.sha256(path.read_bytes()).digest() for path in odd_project.rglob("*.png")}
    assert {hashlib.sha256(sample["png"]).digest() for sample in found.values()} == digests
    document = json.loads(found["a"]["json"])
    assert (document["file_name"], document["width"], document["height"]) == ("a.png", 40, 30)
    assert [each["id"] for each in document["annotations"]] == [1, 2, 3]
    with Pillow.open(io.BytesIO(found["a"]["mask.png"])) as mask:
        assert mask.mode.startswith("I;16")
        values = np.asarray(mask)
    for place, each in enumerate(document["annotations"], start=1):
        segmentation = each["segmentation"]
        encoded = reference.frPyObjects(segmentation, 30, 40) if isinstance(segmentation, list) else [segmentation]
        assert ((values == place) == reference.decode(reference.merge(encoded)).astype(bool)).all()
        assert (values == place).sum() == each["area"]


def test_edge_case_20_an_image_without_objects_is_a_whole_sample(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    sample = samples(unzip(export(odd_project, formats=("webdataset",))) / "annotations/webdataset/shard-000000.tar")[
        "empty"
    ]
    assert json.loads(sample["json"])["annotations"] == []
    with Pillow.open(io.BytesIO(sample["mask.png"])) as mask:
        assert mask.getextrema() == (0, 0)


def test_the_readme_s_own_decoder_leaves_the_mask_alone(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    shard = unzip(export(odd_project, formats=("webdataset",))) / "annotations/webdataset/shard-000000.tar"
    sample = next(iter(webdataset.decode("pil", only=["png", "jpg", "json"])(read(shard))))
    assert sample["png"].size == (40, 30)
    assert sample["json"]["annotations"][0]["id"] == 1
    assert isinstance(sample["mask.png"], bytes)


def test_a_renamed_key_is_reported(odd_project: Path, make_exporter: Callable[..., Any]) -> None:
    exporter = make_exporter(odd_project, formats=("webdataset",), visualizations=False, metrics=())
    for _ in exporter.run():
        pass
    (warning,) = (each for each in exporter.result.warnings if each.code == Finding.FORMAT_LOSS)
    assert "b%2Ec" in warning.example


def test_shards_end_at_their_size_and_are_listed(
    make_project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    options = {"webdataset": {"shard_size": 0.02}}
    folder = unzip(export(make_project(9), formats=("webdataset",), format_options=options)) / "annotations/webdataset"
    listed = json.loads((folder / "dataset.json").read_text())
    assert listed["categories"] == [{"id": 1, "name": "cell"}, {"id": 2, "name": "yes: # no"}]
    shards = [folder / each["file"] for each in listed["shards"]]
    assert [path.name for path in shards] == [f"shard-{number:06}.tar" for number in range(len(shards))]
    assert len(shards) > 1
    assert sum(each["samples"] for each in listed["shards"]) == len(samples(*shards)) == 9
    assert [path.stat().st_size for path in shards] == [each["size"] for each in listed["shards"]]


def test_splits_are_folders_of_shards(
    make_project: Callable[..., Path], export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    folder = unzip(export(make_project(6), formats=("webdataset",), split={"train": 0.5, "val": 0.5}))
    found = {path.parent.name: set(samples(path)) for path in folder.glob("annotations/webdataset/*/shard-*.tar")}
    assert found == {split: {path.stem for path in (folder / "images" / split).iterdir()} for split in ("train", "val")}


def test_images_and_masks_can_be_left_out(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    options = {"webdataset": {"images": False, "mask": False}}
    folder = unzip(export(odd_project, formats=("webdataset",), format_options=options))
    found = samples(folder / "annotations/webdataset/shard-000000.tar")
    assert all({key for key in sample if not key.startswith("__")} == {"json"} for sample in found.values())


def test_edge_case_22_a_shard_has_no_time_and_no_owner_and_the_same_bytes_again(
    odd_project: Path, export: Callable[..., Path], unzip: Callable[[Path], Path]
) -> None:
    shards = [
        unzip(export(odd_project, formats=("webdataset",))) / "annotations/webdataset/shard-000000.tar"
        for _ in range(2)
    ]
    assert shards[0].read_bytes() == shards[1].read_bytes()
    assert shards[0].stat().st_size % 10240 == 0
    with tarfile.open(shards[0]) as archive:
        members = archive.getmembers()
    assert {(each.mtime, each.uid, each.gid, each.uname, each.gname, each.mode) for each in members} == {
        (0, 0, 0, "", "", 0o644)
    }


def test_overlaps_that_the_mask_cannot_say_are_reported(
    make_project: Callable[..., Path], make_exporter: Callable[..., Any]
) -> None:
    project = make_project(1)
    document = json.loads((project / "instances.json").read_text())
    document["annotations"].append(
        {**document["annotations"][0], "id": 99, "segmentation": [[6, 6, 14, 6, 14, 14, 6, 14]]}
    )
    (project / "instances.json").write_text(json.dumps(document))
    exporter = make_exporter(project, formats=("webdataset",), visualizations=False, metrics=())
    for _ in exporter.run():
        pass
    (warning,) = (each for each in exporter.result.warnings if each.code == Finding.FORMAT_LOSS)
    assert warning.example.startswith("16 px")
