"""The reading of one COCO file: its arrays, and what is told of each element. Which files make a project: coco.py."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.geometry.rle import RleError, size_of_rle
from labelferry_export.geometry.shape import Part, Shape
from labelferry_export.reading.json_stream import Decoder, JsonStream, WrongType, collector_off
from labelferry_export.selection import listed
from labelferry_export.source import FoundCategory, FoundImage, FoundObject, FoundObjects, Key, Sink
from labelferry_export.sources.coco_annotations import AnnotationDecoder, PlainRun, in_runs
from labelferry_export.sources.coco_files import ARRAYS, CocoFile, CocoLayout, image_folders
from labelferry_export.sources.coco_form import (
    CATEGORY,
    IMAGE,
    INFO,
    CocoAnnotation,
    CocoCategory,
    CocoImage,
    CocoMask,
    Number,
    SegmentedAnnotation,
    Unusable,
    box_outline,
    is_row_of_pixels,
    outline_of,
)
from labelferry_protocol.errors import Code

INDEX_SHARE = 0.12
"""Of the time a file takes, what finding its arrays takes."""
ELEMENTS_AT_ONCE = 64
BYTES_PER_STEP = 1 << 16
"""After so many bytes of annotations the caller may stop."""

T = TypeVar("T")


class CocoFileReading:
    """The reading of one annotation file. `classes` has the key of each class name, over all files of the project."""

    def __init__(
        self, layout: CocoLayout, file: CocoFile, stream: JsonStream, sink: Sink, classes: dict[str, Key]
    ) -> None:
        self._layout = layout
        self._file = file
        self._stream = stream
        self._sink = sink
        self._classes = classes
        self._aliases: dict[Key, Key] = {}
        """The keys of this file's classes, and those that the sink has them under: files may number the same classes differently."""
        self._places: dict[str, int] = {}
        self._left_out: Counter[str] = Counter()
        self._offset = 0

    def index(self) -> Iterator[float]:
        """Find the arrays; yield how far the file is read."""
        self._places = yield from self._stream.index_within(INDEX_SHARE)
        missing = [key for key in ARRAYS if key not in self._places]
        if missing:
            name = self._stream.name
            raise ExportError(Code.SOURCE, f"{name} is not a COCO annotation file: it has no {listed(missing)}", name)

    def info(self) -> dict[str, Any]:
        """Return what the file says of itself."""
        if "info" not in self._places:
            return {}
        try:
            return INFO.decode(self._stream.value(self._places["info"]), self._stream.name)
        except WrongType:
            return {}

    def tell(self) -> Iterator[float]:
        """Tell the sink what is in the arrays; yield how far the file is read."""
        for category in self._each("categories", CATEGORY, Finding.REFERENCE_BROKEN):
            self._tell_category(category)
        folders = image_folders(self._layout.root, self._file)
        for count, image in enumerate(self._each("images", IMAGE, Finding.IMAGE_MISSING)):
            self._tell_image(image, folders)
            if count % ELEMENTS_AT_ONCE == 0:
                yield self._done()
        batches = self._batches("annotations", AnnotationDecoder(self._left_out), Finding.OBJECT_DROPPED)
        more, reached = True, 0
        while more:
            # What was decoded is gone when the collector is on again: it would look at each of the many lists.
            with collector_off():
                annotations = next(batches, [])
                more = bool(annotations)
                self._tell_objects(annotations)
                annotations.clear()
            if self._offset - reached > BYTES_PER_STEP:
                reached = self._offset
                yield self._done()
        self._tell_left_out()
        self._stream.check_unchanged()

    def _done(self) -> float:
        return INDEX_SHARE + (1 - INDEX_SHARE) * self._offset / max(1, self._stream.size)

    def _each(self, key: str, decoder: Decoder[T], finding: Finding) -> Iterator[T]:
        """Yield the elements of an array that are what they should be; complain of the others."""
        return chain.from_iterable(self._batches(key, decoder, finding))

    def _batches(self, key: str, decoder: Decoder[T], finding: Finding) -> Iterator[list[T]]:
        name = self._stream.name

        def complain(count: int, offset: int, reason: str) -> None:
            message = f"number {count} of the {key} of {name} (at byte {offset}) cannot be read: {reason}"
            self._sink.complain(finding, message)

        for batch in self._stream.values(self._places[key], decoder, complain):
            self._offset = batch.offset
            yield batch.values

    def _tell_category(self, category: CocoCategory) -> None:
        name = "" if category.name is None else str(category.name)
        key = self._key(category.id)
        known = self._classes.get(name) if self._several else None
        if known is None:
            self._classes[name] = known = key
            self._sink.add_category(FoundCategory(key, name, category.supercategory or ""))
        self._aliases[category.id] = known

    def _tell_image(self, image: CocoImage, folders: tuple[str, ...]) -> None:
        subset = self._file.subset
        self._sink.add_image(
            FoundImage(
                key=self._key(image.id),
                name=f"{subset}/{image.file_name}" if self._several else image.file_name,
                file=image.file_name,
                folders=folders,
                width=_size(image.width),
                height=_size(image.height),
                id=image.id if isinstance(image.id, int) else None,
                subset=subset,
                attributes=image.attributes or {},
            )
        )

    def _tell_objects(self, annotations: Sequence[CocoAnnotation]) -> None:
        """Tell of the objects in their order: of those that are nothing but rings many at once."""
        for run in in_runs(annotations):
            if isinstance(run, PlainRun):
                self._tell_plain(run)
            else:
                self._tell_object(run)

    def _tell_plain(self, run: PlainRun) -> None:
        several, annotations = self._several, run.annotations
        ids = [each.id for each in annotations if isinstance(each.id, int)]
        attributes = [each.values for each in annotations]
        images = [each.image_id for each in annotations]
        self._sink.add_objects(
            FoundObjects(
                images=[self._key(each) for each in images] if several else images,
                categories=[self._aliases.get(each.category_id, each.category_id) for each in annotations],
                ids=ids,
                crowds=[bool(each.iscrowd) for each in annotations],
                rings=run.rings,
                label=lambda index: f"annotation {ids[index]} of {self._stream.name}",
                attributes=attributes if any(attributes) else None,
            )
        )

    def _tell_object(self, annotation: SegmentedAnnotation) -> None:
        number = annotation.id if isinstance(annotation.id, int) else None
        label = f"annotation {annotation.id} of {self._stream.name}"
        try:
            shape = outline_of(annotation)
        except (Unusable, RleError) as error:
            self._sink.complain(Finding.OBJECT_DROPPED, f"{label} cannot be exported: {error}", object_id=number)
            return
        if not annotation.segmentation:
            self._sink.note(Finding.OTHER, f"{label} has no outline: its box is used as outline", object_id=number)
        elif is_row_of_pixels(shape, annotation.bbox):
            shape = Shape((Part(box_outline(annotation.bbox)),))
            message = f"{label} is an outline through the centres of one row of pixels, which encloses nothing: its box is used"
            self._sink.note(Finding.OBJECT_REPAIRED, message, object_id=number)
        mask = annotation.segmentation if isinstance(annotation.segmentation, CocoMask) else None
        self._sink.add_object(
            FoundObject(
                image=self._key(annotation.image_id),
                category=self._aliases.get(annotation.category_id, annotation.category_id),
                shape=shape,
                label=label,
                id=number,
                crowd=bool(annotation.iscrowd),
                canvas=size_of_rle(mask.size) if mask else None,
                attributes=annotation.values,
            )
        )

    def _tell_left_out(self) -> None:
        for key, count in sorted(self._left_out.items()):
            message = f"{key[:64]!r}, in {self._stream.name} {count} times, is left out: beside its outline an object has plain values only"
            self._sink.note(Finding.OTHER, message)

    @property
    def _several(self) -> bool:
        return len(self._layout.files) > 1

    def _key(self, number: Key) -> Key:
        return f"{self._file.subset}/{number}" if self._several else number


def _size(value: Number) -> int | None:
    """Return a width or height as the project says it, None when it says none that an image can have."""
    return int(value) if value is not None and 1 <= value < 2**31 else None
