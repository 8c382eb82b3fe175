"""COCO's annotations as they are decoded, and those among them that are nothing but polygons, many at once. One that is something else: coco_form.py."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, compress, groupby
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw, structs

from labelferry_export.geometry.ring import Rings
from labelferry_export.model import LARGEST_ID
from labelferry_export.reading.json_cursor import Element
from labelferry_export.reading.json_stream import Decoder
from labelferry_export.sources.coco_form import IDS, CocoAnnotation, Segmentation, SegmentedAnnotation
from labelferry_export.sources.whole_numbers import polygons_in

POINT_WITHIN = 2048
"""A file whose numbers have a decimal point shows it within so many bytes of a block."""
OWN = frozenset([*SegmentedAnnotation.__struct_fields__, "num_keypoints"])
"""Keys of an annotation that are COCO's own, and no attributes; `num_keypoints` says nothing that `keypoints` does not."""
IGNORED = "ignore"
"""Some writers put this key into every annotation: 0 says nothing."""
_LIST_OF_LISTS = re.compile(rb"\[[ \t\r\n]*\[")


@dataclass(frozen=True, eq=False)
class PlainRun:
    """Plain annotations that follow each other, and their outlines, a shape each."""

    annotations: Sequence[CocoAnnotation]
    rings: Rings


class DrawnAnnotation(CocoAnnotation):
    """A plain annotation, its outline still json: as numbers it is among the polygons of the `Annotations` it belongs to."""

    segmentation: Raw = Raw(b"null")


class Annotations(list[CocoAnnotation]):
    """Annotations that were decoded together; `polygons` are those of the drawn ones among them, which are all that are plain."""

    def __init__(self, annotations: Iterable[CocoAnnotation], polygons: Rings) -> None:
        super().__init__(annotations)
        self.polygons = polygons


class _OnlySegmented(SegmentedAnnotation, forbid_unknown_fields=True):
    """A `SegmentedAnnotation` that says nothing besides."""


class _OnlyDrawn(DrawnAnnotation, forbid_unknown_fields=True):
    """A `DrawnAnnotation` that says nothing besides."""


class AnnotationDecoder(Decoder[CocoAnnotation]):
    """Decodes annotations; of many that are polygons in whole numbers the numbers are never made into objects of Python.

    Plain values that stand beside COCO's own keys are attributes; of all else that does `left_out` counts the annotations that say it.
    """

    def __init__(self, left_out: Counter[str]) -> None:
        super().__init__(SegmentedAnnotation, IDS)
        self._left_out = left_out
        self._only = _Outlines(_OnlyDrawn, _OnlySegmented)
        self._with_more = _Outlines(DrawnAnnotation, SegmentedAnnotation)
        self._said = Decoder(dict[str, Any])
        self._said_by_many = Decoder(dict[str, Raw])

    def decode(self, element: Element, name: str) -> CocoAnnotation:
        """As `Decoder.decode`."""
        annotation = super().decode(element, name)
        self._take_beside(annotation, self._said.decode(element, name))
        return annotation

    def decode_many(self, elements: bytes) -> list[CocoAnnotation] | None:
        """As `Decoder.decode_many`: `Annotations`, where they are such polygons."""
        annotations = self._only.decode_many(elements)
        if annotations is not None:
            return annotations
        annotations = self._with_more.decode_many(elements)
        said = None if annotations is None else self._said_by_many.decode_many(elements)
        if annotations is None or said is None:
            return None
        try:
            beside = [
                {key: msgspec.json.decode(value) for key, value in each.items() if key not in OWN} for each in said
            ]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        for annotation, values in zip(annotations, beside, strict=True):
            self._take_beside(annotation, values)
        return annotations

    def _take_beside(self, annotation: CocoAnnotation, said: dict[str, Any]) -> None:
        beside = {}
        for key, value in said.items():
            if key in OWN or value is None or (key == IGNORED and not value):
                continue
            if isinstance(value, (str, int, float)):
                beside[key] = value
            elif any(value):
                self._left_out[key] += 1
        if beside:
            annotation.attributes = {**beside, **(annotation.attributes or {})}


class _Outlines:
    """Decodes many annotations of two types: as they are drawn, where nearly all are polygons in whole numbers, else segmented."""

    def __init__(self, drawn: type[DrawnAnnotation], segmented: type[SegmentedAnnotation]) -> None:
        self._drawn = Decoder(drawn)
        self._segmented = Decoder(segmented)
        self._segmentation = msgspec.json.Decoder(Segmentation)

    def decode_many(self, elements: bytes) -> list[CocoAnnotation] | None:
        """As `Decoder.decode_many`."""
        if b"." in elements[:POINT_WITHIN]:
            return self._all_segmented(elements)
        annotations = self._drawn.decode_many(elements)
        if annotations is None:
            return None
        drawn = [_may_be_drawn(each) for each in annotations]
        polygons = polygons_in([each.segmentation for each in compress(annotations, drawn)])
        if polygons is None or len(polygons) < len(annotations) / 2:
            return self._all_segmented(elements)
        if all(drawn):
            return Annotations(annotations, polygons)
        both = zip(annotations, drawn, strict=True)
        try:
            return Annotations((each if is_drawn else self._redone(each) for each, is_drawn in both), polygons)
        except msgspec.ValidationError:
            return None

    def _all_segmented(self, elements: bytes) -> list[CocoAnnotation] | None:
        annotations = self._segmented.decode_many(elements)
        return None if annotations is None else list[CocoAnnotation](annotations)

    def _redone(self, drawn: DrawnAnnotation) -> SegmentedAnnotation:
        said = structs.asdict(drawn)
        return SegmentedAnnotation(**{**said, "segmentation": self._segmentation.decode(drawn.segmentation)})


def in_runs(annotations: Sequence[CocoAnnotation]) -> Iterator[PlainRun | SegmentedAnnotation]:
    """Yield annotations in their order: plain ones many at once, any other by itself."""
    if isinstance(annotations, Annotations):
        yield from _drawn_runs(annotations)
        return
    segmented = [each for each in annotations if isinstance(each, SegmentedAnnotation)]
    for are_plain, group in groupby(segmented, is_plain):
        if are_plain:
            some = list(group)
            yield PlainRun(some, rings_of(some))
        else:
            yield from group


def _drawn_runs(annotations: Annotations) -> Iterator[PlainRun | SegmentedAnnotation]:
    polygons, reached = annotations.polygons, 0
    if len(polygons) == len(annotations):
        yield PlainRun(annotations, polygons)
        return
    for are_segmented, group in groupby(annotations, lambda each: isinstance(each, SegmentedAnnotation)):
        some = list(group)
        if are_segmented:
            yield from (each for each in some if isinstance(each, SegmentedAnnotation))
            continue
        chosen = np.arange(reached, reached + len(some))
        reached += len(some)
        yield PlainRun(some, polygons.taken(chosen))


def is_plain(annotation: SegmentedAnnotation) -> bool:
    """Whether an annotation is nothing but rings with a number to keep, of which `outline_of` and `is_row_of_pixels` have nothing to say."""
    rings = annotation.segmentation
    if not rings or type(rings) is not list or not _is_free(annotation):
        return False
    return all(type(ring) is list and len(ring) % 2 == 0 for ring in rings)


def _may_be_drawn(annotation: DrawnAnnotation) -> bool:
    """Whether an annotation is plain, as far as can be said without looking at all of its outline."""
    return _is_free(annotation) and _LIST_OF_LISTS.match(annotation.segmentation) is not None


def _is_free(annotation: CocoAnnotation) -> bool:
    """Whether an annotation has a number to keep, and no box that might be a row of pixels."""
    box = annotation.bbox
    return type(annotation.id) is int and 0 < annotation.id <= LARGEST_ID and not (box is not None and 1 in box[2:])


def rings_of(annotations: Sequence[SegmentedAnnotation]) -> Rings:
    """Return the outlines of plain annotations."""
    outlines = [each.segmentation for each in annotations if isinstance(each.segmentation, list)]
    parts = np.array([len(outline) for outline in outlines], np.int64)
    rings = [ring for outline in outlines for ring in outline if isinstance(ring, list)]
    sizes = np.array([len(ring) // 2 for ring in rings], np.int64)
    numbers = np.fromiter(chain.from_iterable(rings), np.float64, 2 * int(sizes.sum()))
    return Rings.counted(numbers.reshape(-1, 2), sizes, np.ones(len(sizes), np.int64), parts)
