"""The pass over the images of a project that was read: each file's header, each object's outline, each image's split."""

from collections.abc import Iterator
from dataclasses import dataclass

from labelferry_export.complaints import Complaints
from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.geometry.clean import Cleaned, clean_all
from labelferry_export.geometry.shape import Shape
from labelferry_export.picture import Header, read_header
from labelferry_export.selection import Selection, split_of
from labelferry_export.snapshot_writer import ImageRow, Settled, SnapshotWriter
from labelferry_protocol.options import ExportOptions

OBJECTS_AT_ONCE = 500
"""Objects cleaned between two yields."""
DROPPED = "The object was left out: "
"""How the geometry begins its reason; whether it is left out is for `on_error` to say."""


@dataclass(frozen=True)
class Settling:
    """Settles the images one by one, in the project's order."""

    writer: SnapshotWriter
    options: ExportOptions
    selection: Selection
    complaints: Complaints

    def run(self) -> Iterator[tuple[int, str]]:
        """Yield position and name of the image that is being settled, several times for one with many objects."""
        row = self.writer.next_image(0)
        while row is not None:
            yield from self._settle(row)
            row = self.writer.next_image(row.position)

    def _settle(self, row: ImageRow) -> Iterator[tuple[int, str]]:
        header = self._header(row)
        canvas = None if header is None else self._canvas(row, header)
        if header is None or canvas is None:
            self.writer.leave_out_image(row.position)
            yield row.position, row.name
            return
        categories: list[int] = []
        vertices = 0
        objects = self.writer.objects_of(row.position)
        for start in range(0, len(objects), OBJECTS_AT_ONCE):
            for category, count in self._clean(row, objects[start : start + OBJECTS_AT_ONCE], canvas):
                categories.append(category)
                vertices += count
            yield row.position, row.name
        if not categories and self.selection.annotated_only:
            self.writer.leave_out_image(row.position)
        else:
            self.writer.settle_image(row, self._settled(row, header, canvas), categories, vertices)
        yield row.position, row.name

    def _header(self, row: ImageRow) -> Header | None:
        assert row.path is not None  # noqa: S101 - only images with a file are kept
        try:
            return read_header(row.path, row.name)
        except ExportError as error:
            self.complaints.refuse(error, Finding.IMAGE_BROKEN)
            return None

    def _canvas(self, row: ImageRow, header: Header) -> tuple[int, int] | None:
        """Return the size that the annotations lie on; complain when the file has another one than the project says."""
        stored = (header.width, header.height)
        said = (row.width or stored[0], row.height or stored[1])
        if said == stored or (header.turned and said == stored[::-1]):
            return said
        self.complaints.complain(
            Finding.IMAGE_SIZE,
            f"the image {row.name!r} has {stored[0]}x{stored[1]} px, the project says {said[0]}x{said[1]}",
            row.name,
        )
        return None

    def _settled(self, row: ImageRow, header: Header, canvas: tuple[int, int]) -> Settled:
        return Settled(
            width=canvas[0],
            height=canvas[1],
            size=header.size,
            mtime_ns=header.mtime_ns,
            mode=header.mode,
            transposed=canvas != (header.width, header.height),
            split=split_of(row.name, self.options.seed, self.options.split),
        )

    def _clean(
        self, row: ImageRow, objects: list[tuple[int, int, Shape]], canvas: tuple[int, int]
    ) -> Iterator[tuple[int, int]]:
        """Clean objects of one image; yield class and number of vertices of those that are left."""
        cleaned = clean_all([shape for _, _, shape in objects], *canvas)
        for (number, category, before), after in zip(objects, cleaned, strict=True):
            if after.findings:
                self._tell(row, number, after)
            # What passed without a flaw has its vertices unchanged, and needs not be written again.
            count = 0 if after.shape is None else _vertices(after.shape)
            if after.findings or count != _vertices(before):
                self.writer.replace_shape(number, after.shape)
            if count:
                yield category, count

    def _tell(self, row: ImageRow, number: int, cleaned: Cleaned) -> None:
        name = f"object {number} of image {row.name!r}"
        for finding in cleaned.findings:
            if finding.kind is Finding.OBJECT_DROPPED:
                message = f"{name} cannot be exported: {_inside_sentence(finding.message.removeprefix(DROPPED))}"
                self.complaints.complain(finding.kind, message, row.name, number)
            else:
                message = (
                    f"{name}: {_inside_sentence(finding.message)}{_areas(finding.area_before, finding.area_after)}"
                )
                self.complaints.note(finding.kind, message, row.name, number)


def _inside_sentence(sentence: str) -> str:
    return f"{sentence[:1].lower()}{sentence[1:].rstrip('.')}"


def _areas(before: float | None, after: float | None) -> str:
    return "" if before is None or after is None else f" (area {before:.6g} px² before, {after:.6g} after)"


def _vertices(shape: Shape) -> int:
    count = 0
    for part in shape.parts:
        count += len(part.outer)
        for hole in part.holes:
            count += len(hole)
    return count
