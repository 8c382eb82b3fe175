"""Takes in the objects that a source tells of, one by one or many at once: where each belongs, whether it is wanted, and down it goes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from labelferry_export.findings import Finding
from labelferry_export.geometry.ring import Flags, Integers, Rings, lay_out
from labelferry_export.geometry.shape import Shape
from labelferry_export.instances import Columns
from labelferry_export.model import LARGEST_ID, Attribute
from labelferry_export.reading.complaints import Complaints
from labelferry_export.reading.rows import ImageRow, Standing
from labelferry_export.reading.snapshot_writer import SnapshotWriter, encoded
from labelferry_export.selection import Selection
from labelferry_export.selection.classes import Classes
from labelferry_export.selection.condition import of_image, of_object
from labelferry_export.selection.reason import Reason
from labelferry_export.source import FoundObject, FoundObjects, Key, plain_values

OBJECTS_AT_ONCE = 256
POINTS_AT_ONCE = 1 << 17
"""So many objects, or points of their outlines, are written down together."""


class _Place(NamedTuple):
    """Where an object belongs: its image's position, its class; and its attributes, as json."""

    position: int = 0
    category: int = 0
    attributes: bytes = b""


NOWHERE = _Place()
"""Of an object that is passed over: what it is takes its number, so that those of others do not depend on it."""


@dataclass(frozen=True)
class Wanted:
    """What is to be exported: of the images and objects, and of the classes."""

    selection: Selection
    classes: Classes


class ObjectIntake:
    """What becomes of the objects. Images and classes are in the writer, and in `wanted`, before their objects come."""

    def __init__(self, writer: SnapshotWriter, wanted: Wanted, complaints: Complaints) -> None:
        self._writer = writer
        self._selection = wanted.selection
        self._classes = wanted.classes
        self._complaints = complaints
        self._last: tuple[Key, ImageRow | None] | None = None
        self._last_attributes: Mapping[str, Attribute] = {}
        self._waiting: list[tuple[int, bool, Shape, _Place]] = []
        """Id, crowd, shape and place of objects that are not written down yet."""
        self._waiting_points = 0
        self._takes_all = not (self._selection.asks_objects or self._classes.asks)
        self.count = 0
        """Objects that were told of, also those that are not exported."""
        self.highest = 0
        """The greatest id of any of them."""

    def add(self, found: FoundObject) -> None:
        """Write down an object whose image and class are exported."""
        self.count += 1
        number = _kept_id(found.id)
        self.highest = max(self.highest, number)
        place = self._place(found)
        if place is not None:
            self._waiting.append((number, found.crowd, found.shape, place))
            self._waiting_points += sum(len(part.outer) for part in found.shape.parts)
            if len(self._waiting) >= OBJECTS_AT_ONCE or self._waiting_points >= POINTS_AT_ONCE:
                self.flush()

    def add_many(self, found: FoundObjects) -> None:
        """Write down those objects whose images and classes are exported."""
        self.flush()
        self.count += len(found)
        ids = np.array([_kept_id(each) for each in found.ids], np.int64)
        self.highest = max(self.highest, int(ids.max(initial=0)))
        quick = self._all_placed(found)
        places = [self._place(found.bare(index)) for index in range(len(found))] if quick is None else quick
        crowds, rings = np.array(found.crowds, np.bool_), found.rings
        if None in places:
            chosen = np.array([index for index, place in enumerate(places) if place is not None], np.int64)
            ids, crowds, rings = ids[chosen], crowds[chosen], rings.taken(chosen)
        self._write(ids, crowds, rings, [place for place in places if place is not None])

    def flush(self) -> None:
        """Write down the objects that wait for more to come."""
        waiting, self._waiting, self._waiting_points = self._waiting, [], 0
        if waiting:
            ids, crowds, shapes, places = zip(*waiting, strict=True)
            self._write(np.array(ids, np.int64), np.array(crowds, np.bool_), lay_out(shapes), places)

    def _write(self, ids: Integers, crowds: Flags, rings: Rings, places: Sequence[_Place]) -> None:
        attributes = [each.attributes for each in places]
        columns = Columns(
            ids=ids,
            categories=np.array([each.category for each in places], np.int64),
            crowds=crowds,
            rings=rings,
            attributes=attributes if any(attributes) else None,
        )
        self._writer.objects.add(columns, np.array([each.position for each in places], np.int64))

    def _all_placed(self, found: FoundObjects) -> list[_Place] | None:
        """Return the places of many objects where there is nothing to ask of any of them, else None."""
        if found.attributes or self._selection.asks_objects or self._classes.counts:
            return None
        images = {key: self._image(key) for key in dict.fromkeys(found.images)}
        if any(image is None or not image.kept for image in images.values()):
            return None
        if any(key not in self._classes or self._classes.reason(key) for key in set(found.categories)):
            return None
        pairs = list(zip(found.images, found.categories, strict=True))
        places = {
            (key, category): _Place(image.position, self._classes.number(category))
            for key, category in dict.fromkeys(pairs)
            if (image := images[key])
        }
        return [places[pair] for pair in pairs]

    def _place(self, found: FoundObject) -> _Place | None:
        """Return where an object belongs, nowhere when it is passed over; complain and return None when it cannot be told."""
        image = self._image(found.image)
        if image is None:
            self._complaints.complain(
                Finding.REFERENCE_BROKEN,
                f"{found.label} belongs to image {found.image!r}, which the project does not have",
                object_id=found.id,
            )
            return None
        if found.category not in self._classes:
            self._complaints.complain(
                Finding.REFERENCE_BROKEN,
                f"{found.label} (image {image.name!r}) is of class {found.category!r}, which the project does not have",
                image.name,
                found.id,
            )
            return None
        if self._is_selected(found, image) and image.kept and self._fits(found, image):
            return _Place(image.position, self._classes.number(found.category), self._attributes(found, image))
        return NOWHERE

    def _image(self, key: Key) -> ImageRow | None:
        """Return the image with this key; objects of one image mostly follow each other."""
        if self._last is None or self._last[0] != key:
            image = self._writer.find_image(key)
            self._last = (key, image)
            if image is not None and self._selection.needs_image_attributes:
                attributes = self._writer.image_attributes(image.position)
                self._last_attributes = of_image(image.name, image.subset, attributes)
        return self._last[1]

    def _is_selected(self, found: FoundObject, image: ImageRow) -> bool:
        """Whether nothing that was asked for leaves an object out; count it where something does."""
        if self._takes_all and image.standing is not Standing.NOT_SELECTED:
            return True
        reason = self._classes.reason(found.category)
        if self._selection.asks_objects:
            # Asked whatever the class is, so that a list's entry counts as found.
            name = self._classes.name(found.category)
            attributes = of_object(name, found.crowd, plain_values(found.attributes))
            own = self._selection.object_reason(found.id, attributes, self._last_attributes)
            reason = reason or own
        if image.standing is Standing.NOT_SELECTED:
            reason = Reason.IMAGE
        elif self._classes.counts:
            self._classes.count(found.category)
        if reason is not None:
            self._selection.leave_out_object(reason)
        return reason is None

    def _fits(self, found: FoundObject, image: ImageRow) -> bool:
        """Whether a mask was made for this image's size; complain when not."""
        canvas = (image.width, image.height)
        if found.canvas is None or None in canvas or found.canvas == canvas:
            return True
        self._complaints.complain(
            Finding.OBJECT_DROPPED,
            f"{found.label} (image {image.name!r}) is a mask of {found.canvas[0]}x{found.canvas[1]} px, the image has {canvas[0]}x{canvas[1]}",
            image.name,
            found.id,
        )
        return False

    def _attributes(self, found: FoundObject, image: ImageRow) -> bytes:
        """Return an object's attributes as json, empty for one without."""
        if not found.attributes:
            return b""
        plain = plain_values(found.attributes)
        lost = [key for key, value in found.attributes.items() if key not in plain and value is not None]
        if lost:
            names = ", ".join(map(repr, lost[:4]))
            self._complaints.note(
                Finding.OTHER,
                f"{found.label}: attributes that are no plain value were left out: {names}",
                image.name,
                found.id,
            )
        return encoded(plain) or b""


def _kept_id(number: int | None) -> int:
    """Return an object's number, 0 when it is none to keep."""
    return number if number is not None and 1 <= number <= LARGEST_ID else 0
