"""What stands between a source and a snapshot: it checks what the source found, selects, names, and writes it down. Objects: object_intake.py."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.model import Attribute
from labelferry_export.names import choose_name
from labelferry_export.paths import Finder, check_access
from labelferry_export.reading.complaints import Complaints
from labelferry_export.reading.object_intake import ObjectIntake, Wanted
from labelferry_export.reading.rows import Standing
from labelferry_export.reading.snapshot_writer import SnapshotWriter
from labelferry_export.selection.condition import of_image
from labelferry_export.source import (
    FoundCategory,
    FoundImage,
    FoundObject,
    FoundObjects,
    FoundProject,
    plain_values,
)

__all__ = ["Intake", "Wanted"]


class Intake:
    """The sink that a source is read into. `roots` are the folders that projects may lie in."""

    def __init__(self, writer: SnapshotWriter, wanted: Wanted, complaints: Complaints, roots: Sequence[Path]) -> None:
        self._writer = writer
        self._selection = wanted.selection
        self._classes = wanted.classes
        self._complaints = complaints
        self._roots = roots
        self._files = Finder(Path())
        self._objects = ObjectIntake(writer, wanted, complaints)
        self.name = ""
        self.info: dict[str, Attribute] = {}
        self.images = 0

    @property
    def objects(self) -> int:
        """Objects that the source told of, also those that are not exported."""
        return self._objects.count

    @property
    def highest(self) -> int:
        """The greatest id of any object, exported or not."""
        return self._objects.highest

    def begin(self, project: FoundProject) -> None:
        """Take the project's name, root and description."""
        self._files = Finder(check_access(project.root, self._roots))
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
        if self._selection.image_reason(image.name, number, of_image(image.name, image.subset, attributes)) is not None:
            self._add(position, image, None, Standing.NOT_SELECTED)
            return
        path = self._find(image)
        self._add(position, image, path, Standing.MISSING if path is None else Standing.KEPT)

    def add_object(self, found: FoundObject) -> None:
        """Write down an object whose image and class are exported."""
        self._objects.add(found)

    def add_objects(self, found: FoundObjects) -> None:
        """Write down those objects whose images and classes are exported."""
        self._objects.add_many(found)

    def flush(self) -> None:
        """Write down the objects that wait for more to come."""
        self._objects.flush()

    def complain(self, code: Finding, message: str, image: str | None = None, object_id: int | None = None) -> None:
        """As `Sink.complain`."""
        self._complaints.complain(code, message, image, object_id)

    def note(self, code: Finding, message: str, image: str | None = None, object_id: int | None = None) -> None:
        """As `Sink.note`."""
        self._complaints.note(code, message, image, object_id)

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
            path = self._files.find(file, image.folders)
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


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
