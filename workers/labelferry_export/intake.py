"""What stands between a source and a snapshot: it checks what the source found, selects, names, and writes it down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from labelferry_export.complaints import Complaints
from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.model import Attribute
from labelferry_export.names import choose_name
from labelferry_export.paths import check_access, find
from labelferry_export.rows import ImageRow, Standing
from labelferry_export.selection import Selection
from labelferry_export.selection.classes import Classes
from labelferry_export.selection.reason import Reason
from labelferry_export.snapshot_writer import SnapshotWriter
from labelferry_export.source import FoundCategory, FoundImage, FoundObject, FoundProject, Key, plain_values


@dataclass(frozen=True)
class Wanted:
    """What is to be exported: of the images and objects, and of the classes."""

    selection: Selection
    classes: Classes


class Intake:
    """The sink that a source is read into. `roots` are the folders that projects may lie in."""

    def __init__(self, writer: SnapshotWriter, wanted: Wanted, complaints: Complaints, roots: Sequence[Path]) -> None:
        self._writer = writer
        self._selection = wanted.selection
        self._classes = wanted.classes
        self._complaints = complaints
        self._roots = roots
        self._root = Path()
        self._last: tuple[Key, ImageRow | None] | None = None
        self._last_attributes: Mapping[str, Attribute] = {}
        self.name = ""
        self.info: dict[str, Attribute] = {}
        self.objects = 0
        """Objects that the source told of, also those that are not exported."""
        self.images = 0
        self.highest = 0
        """The greatest id of any object, exported or not."""

    def begin(self, project: FoundProject) -> None:
        """Take the project's name, root and description."""
        self._root = check_access(project.root, self._roots)
        self.name = project.name
        self.info = plain_values(project.info)

    def add_category(self, category: FoundCategory) -> None:
        """Take in a class: it gets a number, or becomes one with an earlier class, as the options say."""
        if category.key in self._classes:
            self.complain(
                Finding.REFERENCE_BROKEN, f"two classes have the id {category.key!r}: {category.name!r} is the second"
            )
            return
        if not category.name.strip():
            category = replace(category, name=f"class_{len(self._classes) + 1}")
            self.note(Finding.OTHER, f"class {category.key!r} has no name: it is called {category.name!r}")
        if (named := self._classes.add(category)) is not None:
            self._writer.add_category(named)

    def add_image(self, image: FoundImage) -> None:
        """Name an image, and find its file unless it is not selected."""
        self.images += 1
        position = self._writer.next_position()
        attributes = plain_values(image.attributes)
        image = replace(image, attributes=attributes)
        if not _is_text(image.name):
            self.complain(
                Finding.IMAGE_MISSING, f"the name of image {image.key!r} is not valid unicode: {image.name!r}"
            )
            image = replace(image, name=image.name.encode(errors="replace").decode())
            self._add(position, image, None, Standing.MISSING)
            return
        number = position if image.id is None else image.id
        if self._selection.image_reason(image.name, number, attributes) is not None:
            self._add(position, image, None, Standing.NOT_SELECTED)
            return
        path = self._find(image)
        self._add(position, image, path, Standing.MISSING if path is None else Standing.KEPT)

    def add_object(self, found: FoundObject) -> None:
        """Write down an object whose image and class are exported."""
        self.objects += 1
        self.highest = max(self.highest, found.id or 0)
        if self._last is None or self._last[0] != found.image:
            self._turn_to(found.image)
        image = self._last[1] if self._last else None
        if image is None:
            self.complain(
                Finding.REFERENCE_BROKEN,
                f"{found.label} belongs to image {found.image!r}, which the project does not have",
                object_id=found.id,
            )
            return
        if found.category not in self._classes:
            self.complain(
                Finding.REFERENCE_BROKEN,
                f"{found.label} (image {image.name!r}) is of class {found.category!r}, which the project does not have",
                image.name,
                found.id,
            )
            return
        if self._is_selected(found, image) and image.kept and self._fits(found, image):
            number = self._classes.number(found.category)
            row = (image.position, number, found.crowd, found.shape, self._attributes(found, image))
            self._writer.add_object(found.id, row)
        else:
            self._writer.pass_over(found.id)

    def complain(self, code: Finding, message: str, image: str | None = None, object_id: int | None = None) -> None:
        """As `Sink.complain`."""
        self._complaints.complain(code, message, image, object_id)

    def note(self, code: Finding, message: str, image: str | None = None, object_id: int | None = None) -> None:
        """As `Sink.note`."""
        self._complaints.note(code, message, image, object_id)

    def _turn_to(self, key: Key) -> None:
        image = self._writer.find_image(key)
        self._last = (key, image)
        if image is not None and self._selection.needs_image_attributes:
            self._last_attributes = self._writer.image_attributes(image.position)

    def _is_selected(self, found: FoundObject, image: ImageRow) -> bool:
        """Whether nothing that was asked for leaves an object out; count it where something does."""
        reason = self._classes.reason(found.category)
        if self._selection.asks_objects:
            # Asked whatever the class is, so that a list's entry counts as found.
            own = self._selection.object_reason(found.id, plain_values(found.attributes), self._last_attributes)
            reason = reason or own
        if image.standing is Standing.NOT_SELECTED:
            reason = Reason.IMAGE
        elif self._classes.counts:
            self._classes.count(found.category)
        if reason is not None:
            self._selection.leave_out_object(reason)
        return reason is None

    def _add(self, position: int, image: FoundImage, path: Path | None, standing: Standing) -> None:
        name = choose_name(image.name, position, self._writer.take_name)
        if not self._writer.add_image(position, image, name, path, standing):
            self.complain(
                Finding.REFERENCE_BROKEN,
                f"two images have the id {image.key!r}: {image.name!r} is the second",
                image.name,
            )

    def _find(self, image: FoundImage) -> Path | None:
        """Return the image's file; complain when there is none that may be read."""
        file = image.name if image.file is None else image.file
        try:
            path = find(self._root, file, image.folders)
        except ExportError as error:
            self._complaints.refuse(error)
            return None
        if path is None:
            looked = " or ".join(repr(f"{folder}{file}") for folder in image.folders)
            self.complain(
                Finding.IMAGE_MISSING,
                f"the image {image.name!r} is missing: there is no file {looked} in the project",
                image.name,
            )
        return path

    def _fits(self, found: FoundObject, image: ImageRow) -> bool:
        """Whether a mask was made for this image's size; complain when not."""
        canvas = (image.width, image.height)
        if found.canvas is None or None in canvas or found.canvas == canvas:
            return True
        self.complain(
            Finding.OBJECT_DROPPED,
            f"{found.label} (image {image.name!r}) is a mask of {found.canvas[0]}x{found.canvas[1]} px, the image has {canvas[0]}x{canvas[1]}",
            image.name,
            found.id,
        )
        return False

    def _attributes(self, found: FoundObject, image: ImageRow) -> Mapping[str, Attribute]:
        if not found.attributes:
            return {}
        plain = plain_values(found.attributes)
        lost = [key for key, value in found.attributes.items() if key not in plain and value is not None]
        if lost:
            names = ", ".join(map(repr, lost[:4]))
            self.note(
                Finding.OTHER,
                f"{found.label}: attributes that are no plain value were left out: {names}",
                image.name,
                found.id,
            )
        return plain


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
