"""What stands between a source and a snapshot: it checks what the source found, selects, names, and writes it down."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from labelferry_export.complaints import Complaints
from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.model import Attribute
from labelferry_export.names import choose_name
from labelferry_export.paths import check_access, find
from labelferry_export.selection import Selection
from labelferry_export.snapshot_writer import ImageRow, SnapshotWriter
from labelferry_export.source import FoundCategory, FoundImage, FoundObject, FoundProject, Key, plain_values


class Intake:
    """The sink that a source is read into. `roots` are the folders that projects may lie in."""

    def __init__(
        self, writer: SnapshotWriter, selection: Selection, complaints: Complaints, roots: Sequence[Path]
    ) -> None:
        self._writer = writer
        self._selection = selection
        self._complaints = complaints
        self._roots = roots
        self._root = Path()
        self._wanted_classes: dict[Key, int | None] = {}
        """The class ids by key; None for a class that was not selected."""
        self._last: tuple[Key, ImageRow | None] | None = None
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
        """Number a class: 1, 2, ... in this order."""
        number = len(self._wanted_classes) + 1
        if not category.name.strip():
            category = replace(category, name=f"class_{number}")
            self.note(Finding.OTHER, f"class {category.key!r} has no name: it is called {category.name!r}")
        if not self._writer.add_category(category):
            self.complain(
                Finding.REFERENCE_BROKEN, f"two classes have the id {category.key!r}: {category.name!r} is the second"
            )
            return
        self._wanted_classes[category.key] = number if self._selection.takes_class(category.name) else None

    def add_image(self, image: FoundImage) -> None:
        """Name an image, and find its file unless it is not selected."""
        self.images += 1
        position = self._writer.next_position()
        if not _is_text(image.name):
            self.complain(
                Finding.IMAGE_MISSING, f"the name of image {image.key!r} is not valid unicode: {image.name!r}"
            )
            image = replace(image, name=image.name.encode(errors="replace").decode())
            self._add(position, image, None, kept=False)
            return
        kept = self._selection.takes_image(image.name)
        self._add(position, image, self._find(image) if kept else None, kept=kept)

    def add_object(self, found: FoundObject) -> None:
        """Write down an object whose image and class are exported."""
        self.objects += 1
        self.highest = max(self.highest, found.id or 0)
        if self._last is None or self._last[0] != found.image:
            self._last = (found.image, self._writer.find_image(found.image))
        image = self._last[1]
        if image is None:
            self.complain(
                Finding.REFERENCE_BROKEN,
                f"{found.label} belongs to image {found.image!r}, which the project does not have",
                object_id=found.id,
            )
            return
        if found.category not in self._wanted_classes:
            self.complain(
                Finding.REFERENCE_BROKEN,
                f"{found.label} (image {image.name!r}) is of class {found.category!r}, which the project does not have",
                image.name,
                found.id,
            )
            return
        category = self._wanted_classes[found.category]
        if image.kept and category is not None and self._fits(found, image):
            row = (image.position, category, found.crowd, found.shape, self._attributes(found, image))
            self._writer.add_object(found.id, row)

    def complain(self, code: Finding, message: str, image: str | None = None, object_id: int | None = None) -> None:
        """As `Sink.complain`."""
        self._complaints.complain(code, message, image, object_id)

    def note(self, code: Finding, message: str, image: str | None = None, object_id: int | None = None) -> None:
        """As `Sink.note`."""
        self._complaints.note(code, message, image, object_id)

    def _add(self, position: int, image: FoundImage, path: Path | None, *, kept: bool) -> None:
        name = choose_name(image.name, position, self._writer.take_name)
        kept = kept and path is not None
        stored = replace(image, attributes=plain_values(image.attributes))
        if not self._writer.add_image(position, stored, name, path, kept=kept):
            self.complain(
                Finding.REFERENCE_BROKEN,
                f"two images have the id {image.key!r}: {image.name!r} is the second",
                image.name,
            )
        elif kept and name != image.name.replace("\\", "/").rpartition("/")[2]:
            self.note(Finding.IMAGE_RENAMED, f"{image.name!r} is called {name!r} in the bundle", image.name)

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
