"""COCO projects as they are found in the wild: layouts, outlines, ids."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labelferry_export.errors import ExportError
from labelferry_export.sources.coco_annotations import AnnotationDecoder
from labelferry_export.sources.coco_form import CocoAnnotation
from labelferry_protocol.errors import Code
from labelferry_protocol.words import OnError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.export.reading.conftest import CocoProject, Failure, Reader

SQUARE = [10, 10, 20, 10, 20, 20, 10, 20]
FAR_SQUARE = [30, 20, 35, 20, 35, 25, 30, 25]


def rings(shape: Any) -> list[list[float]]:
    return [ring.ravel().tolist() for part in shape.parts for ring in (part.outer, *part.holes)]


def test_a_folder_with_images_and_instances_json_is_read(coco: CocoProject, read: Reader) -> None:
    coco.add_image("a.png")
    coco.add_image("sub/b.png", size=(50, 20))
    coco.add_object(attributes={"score": 0.5, "ok": True, "note": "\u00e9"})
    coco.add_object([SQUARE, FAR_SQUARE])
    project = read(coco.write())
    assert project.snapshot.facts.source_format == "coco"
    assert (project.snapshot.facts.name, project.snapshot.facts.images, project.snapshot.facts.instances) == (
        "project",
        2,
        2,
    )
    assert [(image.id, image.name, image.bundle_name, image.width, image.height) for image in project.images] == [
        (1, "a.png", "a.png", 40, 30),
        (2, "sub/b.png", "b.png", 50, 20),
    ]
    first, second = project.objects
    assert rings(first.shape) == [SQUARE]
    assert first.attributes == {"score": 0.5, "ok": True, "note": "\u00e9"}
    assert rings(second.shape) == [SQUARE, FAR_SQUARE]
    assert project.findings == []


def test_coordinates_come_through_bit_for_bit(coco: CocoProject, read: Reader) -> None:
    outline = [0.1, 0.30000000000000004, 39.99999999999999, 1e-9, 20.5, 29.7]
    coco.add_image()
    coco.add_object([outline])
    assert rings(read(coco.write()).objects[0].shape) == [outline]


def test_the_order_of_keys_white_space_and_a_byte_order_mark_do_not_matter(coco: CocoProject, read: Reader) -> None:
    coco.add_image()
    coco.add_object()
    text = json.dumps(dict(reversed(coco.tree.items())), indent=3)
    (coco.root / "instances.json").write_bytes(b"\xef\xbb\xbf\n" + text.encode())
    assert len(read(coco.root).objects) == 1


def test_ids_that_were_written_as_floats_are_whole_numbers(coco: CocoProject, read: Reader, fail: Failure) -> None:
    coco.add_image()
    coco.images[0]["id"] = 1.0
    coco.categories[0]["id"] = 1.0
    coco.add_object(image_id=1.0, category_id=1.0)
    coco.add_object([FAR_SQUARE], id=7.0, image_id=1.0)
    project = read(coco.write())
    assert [image.id for image in project.images] == [1]
    assert [(each.id, each.image_id) for each in project.objects] == [(1, 1), (7, 1)]
    coco.add_object(image_id=1.5)
    assert "Expected `int | str`, got `float` - at `$.image_id`" in str(fail(coco.write()))


@pytest.mark.parametrize(
    ("place", "images"),
    [
        ("instances.json", "images"),
        ("instances.json", "."),
        ("annotations/instances.json", "images"),
        ("annotations/instances_val.json", "val"),
        ("annotations/instances_val.json", "images/val"),
        ("annotations/coco/instances.json", "images"),
        ("valid/_annotations.coco.json", "valid"),
        ("anything.json", "images"),
    ],
)
def test_every_usual_layout_is_recognised(coco: CocoProject, read: Reader, place: str, images: str) -> None:
    coco.add_image()
    coco.add_object()
    coco.write(place)
    (coco.root / images).mkdir(exist_ok=True, parents=True)
    (coco.root / "images" / "a.png").rename(coco.root / images / "a.png")
    assert read(coco.root).images[0].path == coco.root / images / "a.png"


def test_the_json_file_itself_is_a_project(coco: CocoProject, read: Reader) -> None:
    coco.add_image()
    coco.add_object()
    coco.write("annotations/instances_val.json")
    project = read(coco.root / "annotations" / "instances_val.json")
    assert (project.snapshot.facts.name, project.images[0].subset) == ("instances_val", "val")


def test_subsets_in_several_files_become_one_project(coco: CocoProject, read: Reader) -> None:
    for subset, number in (("train", 7), ("val", 2)):
        tree = {
            "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": number, "segmentation": [SQUARE]}],
            "categories": [{"id": number, "name": "cell"}],
        }
        (coco.root / "annotations").mkdir(exist_ok=True)
        (coco.root / "annotations" / f"instances_{subset}.json").write_text(json.dumps(tree))
    coco.add_image("x.png", file=True)
    for subset in ("train", "val"):
        (coco.root / subset).mkdir()
        (coco.root / subset / "a.png").write_bytes((coco.root / "images" / "x.png").read_bytes())
    project = read(coco.root)
    assert [(image.id, image.name, image.subset) for image in project.images] == [
        (1, "train/a.png", "train"),
        (2, "val/a.png", "val"),
    ]
    assert [(category.id, category.name) for category in project.snapshot.facts.categories] == [(1, "cell")]
    assert [(each.id, each.image_id, each.category_id) for each in project.objects] == [(1, 1, 1), (2, 2, 1)]
    assert [code for code, _ in project.findings] == ["object-renumbered", "image-renamed"]


def test_rle_of_both_forms_is_traced_along_pixel_edges_with_its_hole(coco: CocoProject, read: Reader) -> None:
    mask = np.zeros((30, 40), np.uint8)
    mask[5:15, 8:20] = 1
    mask[8:10, 10:12] = 0
    flat = mask.ravel(order="F").tolist()
    counts, current = [0], 0
    for value in flat:
        if value != current:
            counts.append(0)
            current = value
        counts[-1] += 1
    coco.add_image()
    coco.add_object({"size": [30, 40], "counts": counts})
    mask_utils = pytest.importorskip("pycocotools.mask")
    packed = mask_utils.encode(np.asfortranarray(mask))["counts"].decode()
    coco.add_object({"size": [30, 40], "counts": packed}, iscrowd=1)
    project = read(coco.write())
    outline, crowd = project.objects
    assert rings(outline.shape) == rings(crowd.shape)
    assert sorted(map(len, rings(outline.shape))) == [8, 8]
    assert outline.shape.has_holes
    assert (outline.crowd, crowd.crowd) == (False, True)


def test_an_annotation_with_a_box_alone_gets_the_box_as_outline_and_that_is_said(
    coco: CocoProject, read: Reader
) -> None:
    coco.add_image()
    coco.add_object([], bbox=[1, 2, 3, 4])
    project = read(coco.write())
    assert rings(project.objects[0].shape) == [[1, 2, 4, 2, 4, 6, 1, 6]]
    assert project.findings == [("other", "annotation 1 of instances.json has no outline: its box is used as outline")]


def test_a_row_of_pixels_drawn_through_its_centres_is_kept_as_its_box(coco: CocoProject, read: Reader) -> None:
    coco.add_image()
    coco.add_object([[5, 6, 5, 9, 5, 7]], bbox=[5, 6, 1, 4])
    project = read(coco.write())
    assert rings(project.objects[0].shape) == [[5, 6, 6, 6, 6, 10, 5, 10]]
    assert [code for code, _ in project.findings] == ["object-repaired"]


def test_a_single_ring_without_the_list_around_it_is_read(coco: CocoProject, read: Reader) -> None:
    coco.add_image()
    coco.add_object(SQUARE)
    assert rings(read(coco.write()).objects[0].shape) == [SQUARE]


def test_category_ids_with_gaps_become_one_to_k_in_the_order_of_the_file(coco: CocoProject, read: Reader) -> None:
    coco.categories = [{"id": 90, "name": "b"}, {"id": 0, "name": "a"}, {"id": "x", "name": None}]
    coco.add_image()
    coco.add_object(category_id="x")
    coco.add_object(category_id=90)
    project = read(coco.write())
    assert [(each.id, each.name) for each in project.snapshot.facts.categories] == [(1, "b"), (2, "a"), (3, "class_3")]
    assert [each.category_id for each in project.objects] == [3, 1]


def test_annotation_ids_are_kept_and_bad_ones_get_new_ones_above_all(coco: CocoProject, read: Reader) -> None:
    coco.add_image()
    for number in (5, 0, 5, None, -3, 2):
        coco.add_object(id=number)
    project = read(coco.write())
    assert [each.id for each in project.objects] == [2, 5, 6, 7, 8, 9]
    assert [code for code, _ in project.findings] == ["object-renumbered"] * 4


def test_image_ids_that_are_text_or_below_one_are_numbered(coco: CocoProject, read: Reader) -> None:
    coco.add_image("a.png", id="first")
    coco.add_image("b.png", id=0)
    coco.add_object(image_id="first")
    coco.add_object(image_id=0)
    project = read(coco.write())
    assert [(image.id, image.name) for image in project.images] == [(1, "a.png"), (2, "b.png")]
    assert [each.image_id for each in project.objects] == [1, 2]


def test_an_image_of_unsaid_size_has_that_of_its_file(coco: CocoProject, read: Reader) -> None:
    coco.add_image()
    coco.images[0].update(width=None, height=0)
    assert [(image.width, image.height) for image in read(coco.write()).images] == [(40, 30)]


def test_outlines_on_stored_pixels_are_turned_with_the_image(coco: CocoProject, read: Reader) -> None:
    from PIL import Image as Pillow

    tags = Pillow.Exif()
    tags[0x0112] = 6
    coco.add_image("a.jpg", size=(30, 40), file=False)
    coco.add_image("b.jpg", size=(40, 30), file=False)
    (coco.root / "images").mkdir()
    for name in ("a.jpg", "b.jpg"):
        Pillow.new("RGB", (40, 30)).save(coco.root / "images" / name, exif=tags)
    coco.add_object([[1, 2, 11, 2, 11, 22]])
    coco.add_object([[1, 2, 11, 2, 11, 22]], image_id=2)
    project = read(coco.write())
    assert [(image.width, image.height, image.orientation) for image in project.images] == [(30, 40, 6), (30, 40, 6)]
    upright, turned = (each.shape.parts[0].outer.tolist() for each in project.objects)
    assert upright == [[1, 2], [11, 2], [11, 22]]
    assert turned == [[28, 1], [28, 11], [8, 11]]
    assert project.findings == [
        ("image-turned", "'a.jpg' is stored turned (EXIF orientation 6), and taken upright"),
        (
            "image-turned",
            "'b.jpg' is stored turned (EXIF orientation 6), and taken upright; its outlines, drawn on the stored pixels, were turned along",
        ),
    ]


def test_attributes_that_are_no_plain_value_are_left_out_with_a_word(coco: CocoProject, read: Reader) -> None:
    coco.add_image()
    coco.add_object(attributes={"a": [1], "b": 1, "c": None})
    project = read(coco.write())
    assert project.objects[0].attributes == {"b": 1}
    assert project.findings == [
        ("other", "annotation 1 of instances.json: attributes that are no plain value were left out: 'a'")
    ]


def test_two_json_files_that_may_be_meant_are_a_question(coco: CocoProject, fail: Failure) -> None:
    coco.add_image()
    coco.write("one.json")
    coco.write("two.json")
    assert "holds several COCO files, 'one.json', 'two.json': name one of them" in str(fail(coco.root))


@pytest.mark.parametrize("count", [1, 3, 200])
def test_what_is_said_of_an_image_beside_cocos_own_keys_is_its_attributes(
    coco: CocoProject, read: Reader, count: int
) -> None:
    for number in range(count):
        said: dict[str, Any] = {"patient": f"p{number}", "coco_url": "x", "license": 1, "nested": {"a": 1}}
        coco.add_image(f"{number}.png", **said, attributes={"good": True, "patient": "own"} if number == 0 else "none")
    coco.add_object()
    found = [image.attributes for image in read(coco.write()).images]
    assert found == [{"patient": "own", "good": True}, *({"patient": f"p{number}"} for number in range(1, count))]


NUMBER = st.integers(-3, 45).map(float) | st.sampled_from([0.5, 20.25, 60.0])
OUTLINES = st.lists(st.lists(NUMBER, max_size=10), max_size=3) | st.just([SQUARE])
ANNOTATIONS = st.fixed_dictionaries(
    {"image_id": st.sampled_from([1, 1, 1, 2, 3, 9]), "category_id": st.sampled_from([1, 1, 1, 7])},
    optional={
        "id": st.integers(-1, 9) | st.none() | st.just("x") | st.just(2**60),
        "segmentation": OUTLINES,
        "bbox": st.lists(st.sampled_from([1, 2, 5]), min_size=4, max_size=4),
        "iscrowd": st.sampled_from([0, 1]),
        "track_id": st.integers(0, 3) | st.none() | st.lists(st.integers(), max_size=1),
        "attributes": st.dictionaries(st.text(max_size=2), st.integers(0, 9) | st.lists(st.integers(), max_size=1)),
    },
)


def as_whole_numbers(annotation: dict[str, Any]) -> dict[str, Any]:
    """Outlines as pixel tools write them, which take the quickest way."""
    if "segmentation" not in annotation:
        return annotation
    return {**annotation, "segmentation": [[abs(int(each)) for each in ring] for ring in annotation["segmentation"]]}


class OneByOne(AnnotationDecoder):
    """Never decodes many at once."""

    def decode_many(self, elements: bytes) -> list[CocoAnnotation] | None:
        return None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    annotations=st.lists(ANNOTATIONS, max_size=12),
    on_error=st.sampled_from(OnError),
    whole=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_objects_told_many_at_once_become_what_they_become_one_by_one(
    coco: CocoProject,
    read: Reader,
    annotations: list[dict[str, Any]],
    on_error: OnError,
    whole: bool,
    indent: int | None,
) -> None:
    if whole:
        annotations = [as_whole_numbers(each) for each in annotations]
    coco.images.clear()
    coco.add_image("a.png")
    coco.add_image("b.png")
    if on_error is OnError.SKIP:
        coco.add_image("gone.png", file=False)
    coco.annotations = annotations
    path = coco.write() / "instances.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=indent))

    def told() -> object:
        try:
            project = read(coco.root, on_error=on_error)
        except ExportError as error:
            return str(error)
        objects = [
            (each.id, each.image_id, each.category_id, each.crowd, each.attributes, rings(each.shape))
            for each in project.objects
        ]
        return objects, project.findings

    at_once = told()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("labelferry_export.sources.coco_reading.AnnotationDecoder", OneByOne)
        assert told() == at_once
        patch.setattr("labelferry_export.sources.coco_annotations.is_plain", lambda _: False)
        assert told() == at_once


def test_a_score_beside_the_attributes_is_one(coco: CocoProject, read: Reader) -> None:
    coco.add_image()
    coco.add_object(score=0.75)
    coco.add_object(score=1, attributes={"ok": True})
    coco.add_object(score=0.5, attributes={"score": 0.25})
    coco.add_object(score={"of": "what"})
    coco.add_object({"size": [30, 40], "counts": [0, 5, 1195]}, score=0.125)
    coco.add_object(score=None)
    assert [each.attributes for each in read(coco.write()).objects] == [
        {"score": 0.75},
        {"score": 1, "ok": True},
        {"score": 0.25},
        {},
        {"score": 0.125},
        {},
    ]


@pytest.mark.parametrize(
    "outline", [[SQUARE], [[10.5, 10, 20, 10, 20, 20]], {"size": [30, 40], "counts": [0, 5, 1195]}]
)
@pytest.mark.parametrize("count", [1, 3, 300])
def test_what_is_said_of_an_object_beside_cocos_own_keys_is_its_attributes_or_told_to_be_left_out(
    coco: CocoProject, read: Reader, count: int, outline: Any
) -> None:
    coco.add_image()
    for number in range(count):
        plain: dict[str, Any] = {"track_id": number, "note": "né", "ignore": 0, "area": 5, "empty": None}
        key_points = (
            {"keypoints": [12, 12, 2, 0, 0, 0], "num_keypoints": 1} if number == 0 else {"keypoints": [0, 0, 0]}
        )
        coco.add_object(
            outline, **plain, **key_points, attributes={"own": True, "note": "own"} if number == 0 else None
        )
    project = read(coco.write())
    assert [each.attributes for each in project.objects] == [
        {"track_id": 0, "note": "own", "own": True},
        *({"track_id": number, "note": "né"} for number in range(1, count)),
    ]
    message = "'keypoints', in instances.json 1 times, is left out: beside its outline an object has plain values only"
    assert project.findings == [("other", message)]


def test_one_object_that_says_more_changes_none_of_the_others(coco: CocoProject, read: Reader) -> None:
    coco.add_image()
    for number in range(40):
        coco.add_object(**{"occluded": True} if number == 30 else {})
    found = read(coco.write()).objects
    assert [each.attributes for each in found] == [{"occluded": True} if n == 30 else {} for n in range(40)]
    assert {str(rings(each.shape)) for each in found} == {str([[float(each) for each in SQUARE]])}


@pytest.mark.parametrize("folder", [False, True])
def test_a_list_of_results_is_no_project_and_said_to_be_one(tmp_path: Path, fail: Failure, folder: bool) -> None:
    (tmp_path / "run").mkdir()
    results = tmp_path / "run" / "results.json"
    results.write_text(json.dumps([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]))
    error = fail(results.parent if folder else results)
    assert error.code is Code.SOURCE
    start = "run holds results.json, which is" if folder else "results.json is"
    assert str(error).startswith(f"{start} a list of COCO results: detections name neither their images nor")
