"""Edge cases 12 and 13: names that meet, and names that somebody's system cannot hold, unzipped by Python, unzip and 7-Zip."""

import json
import shutil
import subprocess
import unicodedata
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from PIL import Image as Pillow
from tests.edge_cases.conftest import Export
from tests.support.scenes import Bundle, make_exporter

from labelferry_export.names import unique_key

# pycocotools' own arrays are of NumPy 1's ways.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MEETING = [
    "a/cell.png",
    "b/cell.png",
    "b/cell.bmp",
    "Cell.png",
    "caf\u00e9.png",
    "cafe\u0301.png",
    "STRASSE.png",
    "stra\u00dfe.png",
    "train/x.png",
    "x.png",
]
"""One name in two folders, one stem with two extensions, names equal but for case, but for their unicode form."""
ODD = [
    "größe Ж 漢字.png",
    "ship 🚢 👩‍🔬.png",
    " two  blanks .png",
    ".hidden.png",
    "CON.png",
    "aux.tar.png",
    "a.b.c.png",
    "semi;colon&amp'\"$(x)`.png",
    "-rf.png",
    "a:b.png",
    "img_t:01.png",
    'what? *<any>|"said".png',
    "back\\slash.png",
    "tab\tline\nbell\x07.png",
    "rtl\u202egnp.png",
    "per%cent%2E.png",
    "trailing. .png",
    f"{'long' * 60}.png",
    f"{'ü' * 120}.png",
]
TREES = ("labels", "annotations/geojson", "annotations/labelme", "annotations/instance_masks/masks", "visualizations")


def project(folder: Path, names: list[str]) -> Path:
    """Make a COCO project of images that differ in their pixels and have an object each."""
    images, annotations = [], []
    for number, name in enumerate(names, 1):
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.new("RGB", (16, 12), (number * 7 % 256, number, 99)).save(
            path, format="BMP" if name.endswith(".bmp") else "PNG"
        )
        images.append({"id": number, "file_name": name, "width": 16, "height": 12})
        ring = [2, 2, 9, 2, 9, 9, 2, 9]
        annotations.append({"id": number, "image_id": number, "category_id": 1, "iscrowd": 0, "segmentation": [ring]})
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cell"}]}
    (folder / "instances.json").write_text(json.dumps(document))
    return folder


def check_every_image_is_there_once(bundle: Bundle, names: list[str], source: Path) -> None:
    files = {each["id"]: each["file_name"] for each in bundle.coco().imgs.values()}
    assert len(bundle.names("images")) == len(set(files.values())) == len(names)
    for number, name in enumerate(names, 1):
        assert (bundle.folder / "images" / files[number]).read_bytes() == (source / "images" / name).read_bytes()
    keys = [unique_key(file) for file in files.values()]
    assert len(set(keys)) == len(keys)
    renamed = {each["from"]: each["to"] for each in bundle.manifest["renames"]}
    assert renamed == {name: files[n] for n, name in enumerate(names, 1) if name != files[n]}
    for tree in TREES:
        stems = {unicodedata.normalize("NFC", str(PurePosixPath(name).with_suffix(""))) for name in bundle.names(tree)}
        assert stems == {str(PurePosixPath(name).with_suffix("")) for name in files.values()}, tree


FORMATS = ("coco", "yolo", "geojson", "labelme", "instance_masks")


@pytest.mark.parametrize("names", [MEETING, MEETING[::-1]], ids=["in order", "backwards"])
def test_case_12_same_file_name(export: Export, tmp_path: Path, names: list[str]) -> None:
    source = project(tmp_path / "project", names)
    bundle = export(source, formats=FORMATS, visualizations=True)
    check_every_image_is_there_once(bundle, names, source)
    again = export(source, formats=("coco",), select=("b/*", "x.png"))
    kept = {each["id"]: each["file_name"] for each in again.coco().imgs.values()}
    whole = {each["id"]: each["file_name"] for each in bundle.coco().imgs.values()}
    assert kept.items() <= whole.items()
    assert kept


def test_case_13_names(export: Export, tmp_path: Path) -> None:
    source = project(tmp_path / "project", ODD)
    bundle = export(source, formats=(*FORMATS, "voc", "webdataset", "cvat"), visualizations=True)
    check_every_image_is_there_once(bundle, ODD, source)
    with zipfile.ZipFile(bundle.path) as archive:
        for info in archive.infolist():
            parts = PurePosixPath(info.filename).parts
            assert bool(info.flag_bits & 0x800) != info.filename.isascii()
            assert not info.filename.startswith("/")
            assert ".." not in parts
            assert all(len(part.encode()) <= 255 and not part.startswith(".") for part in parts)
            assert not set(info.filename) & set('<>:"\\|?*\t\n\x07\u202e')
    samples = [name for name in bundle.names("annotations/webdataset") if name.endswith(".tar")]
    assert samples == ["shard-000000.tar"]


@pytest.mark.parametrize("tool", [["unzip", "-q", "-o"], ["7z", "x", "-y", "-bso0", "-bsp0"]], ids=["unzip", "7-Zip"])
def test_case_13_names_by_another_unzipper(export: Export, tmp_path: Path, tool: list[str]) -> None:
    if shutil.which(tool[0]) is None:
        pytest.skip(f"there is no {tool[0]} on this machine")
    bundle = export(project(tmp_path / "project", ODD), formats=("coco", "yolo"))
    target = tmp_path / "elsewhere"
    where = ["-d", str(target)] if tool[0] == "unzip" else [f"-o{target}"]
    environment = {"LC_ALL": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    subprocess.run([*tool, str(bundle.path), *where], check=True, env=environment, capture_output=True)
    files = {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    with zipfile.ZipFile(bundle.path) as archive:
        assert files == {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "/etc/x.png", "..\\x.png"])
def test_case_13_names_that_lead_out_of_the_project_are_refused(export: Export, tmp_path: Path, name: str) -> None:
    from labelferry_export.errors import ExportError

    source = project(tmp_path / "project", ["inside.png"])
    Pillow.new("RGB", (16, 12)).save(tmp_path / "x.png")
    text = (source / "instances.json").read_text()
    (source / "instances.json").write_text(text.replace('"inside.png"', json.dumps(name)))
    with pytest.raises(ExportError) as caught:
        export(source, formats=("coco",))
    assert caught.value.item


@pytest.mark.parametrize("title", ["a/b", "..", "größe 🚢", "CON", "x\r\nSet-Cookie: y", '"; filename="z'])
def test_case_13_names_of_the_bundle_itself_can_be_saved_anywhere(tmp_path: Path, title: str) -> None:
    source = project(tmp_path / "project", ["a.png"])
    exporter = make_exporter(tmp_path / "exports", source, formats=("coco",), name=title)
    for _ in exporter.run():
        pass
    name = exporter.result.file_name
    assert PurePosixPath(name).name == name
    assert name.endswith(".zip")
    assert not set(name) & set('"\r\n/\\:')
