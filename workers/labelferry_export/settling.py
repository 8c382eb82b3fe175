"""The pass over the images of a project that was read: each file's header, each object's outline, each image's split."""

from collections.abc import Iterator
from dataclasses import dataclass

from labelferry_export.complaints import Complaints
from labelferry_export.conversion.plan import Conversion, conversion_of, renamed
from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.geometry.clean import Cleaned, clean_all
from labelferry_export.geometry.placement import Placement
from labelferry_export.geometry.shape import Shape
from labelferry_export.picture import Header, read_header
from labelferry_export.rows import ImageRow, Settled
from labelferry_export.selection import Selection
from labelferry_export.selection.shapes import ShapeChoice
from labelferry_export.selection.splits import Splits
from labelferry_export.snapshot_writer import SnapshotWriter
from labelferry_protocol.options import ExportOptions

Outlined = tuple[int, int, Shape]
"""An object: its id, its class, its outline."""
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
    splits: Splits
    complaints: Complaints

    def run(self) -> Iterator[tuple[int, str]]:
        """Yield position and name of the image that is being settled, several times for one with many objects."""
        row = self.writer.next_image(0)
        while row is not None:
            yield from self._settle(row)
            row = self.writer.next_image(row.position)

    def _settle(self, row: ImageRow) -> Iterator[tuple[int, str]]:
        header = self._header(row)
        conversion = None if header is None else self._conversion(row, header)
        placement = None if header is None or conversion is None else self._placement(row, header, conversion)
        if header is None or conversion is None or placement is None:
            self.writer.leave_out_image(row.position)
            yield row.position, row.name
            return
        settled = self._settled(row, header, conversion)
        self._tell_of_name(row, settled)
        self._tell_of_file(row, header, placement)
        categories: list[int] = []
        vertices = 0
        objects = self.writer.objects_of(row.position)
        for start in range(0, len(objects), OBJECTS_AT_ONCE):
            for category, count in self._clean(row, objects[start : start + OBJECTS_AT_ONCE], placement):
                categories.append(category)
                vertices += count
            yield row.position, row.name
        if not categories and self.selection.annotated_only:
            self.writer.leave_out_image(row.position)
            self.selection.leave_out_unannotated()
        else:
            self.writer.settle_image(row, settled, categories, vertices)
        yield row.position, row.name

    def _header(self, row: ImageRow) -> Header | None:
        assert row.path is not None  # noqa: S101 - only images with a file are kept
        try:
            return read_header(row.path, row.name, page=self.options.page)
        except ExportError as error:
            self.complaints.refuse(error, Finding.IMAGE_BROKEN)
            return None

    def _conversion(self, row: ImageRow, header: Header) -> Conversion | None:
        """Return what is written of the file; complain when that cannot be."""
        conversion = conversion_of(header, self.options)
        if conversion.too_long:
            message = f"the image {row.name!r} would have {conversion.width}x{conversion.height} px, {conversion.written} holds {conversion.too_long} a side: use --max-side, or another --image-format"
            self.complaints.complain(Finding.IMAGE_SIZE, message, row.name)
            return None
        return conversion

    def _placement(self, row: ImageRow, header: Header, conversion: Conversion) -> Placement | None:
        """Return how the project's outlines get to the canvas, by the size that it says; complain when that is not the file's."""
        upright, canvas = (header.width, header.height), (conversion.width, conversion.height)
        said = (row.width or upright[0], row.height or upright[1])
        if said == upright:
            return Placement(upright, canvas)
        if said == header.stored:
            return Placement(said, canvas, header.orientation)
        self.complaints.complain(
            Finding.IMAGE_SIZE,
            f"the image {row.name!r} has {upright[0]}x{upright[1]} px, the project says {said[0]}x{said[1]}",
            row.name,
        )
        return None

    def _tell_of_name(self, row: ImageRow, settled: Settled) -> None:
        if row.bundle_name != row.name.replace("\\", "/").rpartition("/")[2]:
            message = f"{row.name!r} is called {settled.bundle_name!r} in the bundle"
            self.complaints.note(Finding.IMAGE_RENAMED, message, row.name)

    def _tell_of_file(self, row: ImageRow, header: Header, placement: Placement) -> None:
        if header.orientation != 1:
            along = (
                "; its outlines, drawn on the stored pixels, were turned along" if placement.orientation != 1 else ""
            )
            message = f"{row.name!r} is stored turned (EXIF orientation {header.orientation}), and taken upright{along}"
            self.complaints.note(Finding.IMAGE_TURNED, message, row.name)
        if header.pages > 1:
            message = f"{row.name!r} has {header.pages} pages: page {header.page} is the image (--page chooses)"
            self.complaints.note(Finding.IMAGE_PAGES, message, row.name)

    def _settled(self, row: ImageRow, header: Header, conversion: Conversion) -> Settled:
        attributes = self.writer.image_attributes(row.position) if self.splits.needs_attributes else {}
        return Settled(
            bundle_name=renamed(row.bundle_name, conversion),
            width=conversion.width,
            height=conversion.height,
            size=header.size,
            mtime_ns=header.mtime_ns,
            mode=conversion.mode,
            orientation=header.orientation,
            page=header.page,
            full_width=header.width,
            full_height=header.height,
            written=conversion.written,
            quality=conversion.quality,
            split=self.splits.of(row.name, row.subset, attributes),
        )

    def _clean(self, row: ImageRow, objects: list[Outlined], placement: Placement) -> Iterator[tuple[int, int]]:
        """Clean objects of one image; yield class and number of vertices of those that are left."""
        cleaned = clean_all([placement.place(shape) for _, _, shape in objects], *placement.canvas)
        if self.selection.shapes is not None:
            objects, cleaned = self._select(self.selection.shapes, objects, cleaned, placement)
        for (number, category, before), after in zip(objects, cleaned, strict=True):
            if after.findings:
                self._tell(row, number, after)
            # What passed without a flaw has its vertices unchanged, and needs not be written again.
            count = 0 if after.shape is None else _vertices(after.shape)
            if after.findings or not placement.keeps or count != _vertices(before):
                self.writer.replace_shape(number, after.shape)
            if count:
                yield category, count

    def _select(
        self, choice: ShapeChoice, objects: list[Outlined], cleaned: list[Cleaned], placement: Placement
    ) -> tuple[list[Outlined], list[Cleaned]]:
        """Take away the objects of a size or place that is not wanted; return the others."""
        # Areas are those of the original: what is selected does not depend on how an image is scaled.
        back = Placement(placement.canvas, placement.upright)
        shapes = [None if each.shape is None else back.place(each.shape) for each in cleaned]
        reasons = choice.reasons(shapes, *back.canvas)
        for (number, _, _), reason in zip(objects, reasons, strict=True):
            if reason is not None:
                self.writer.replace_shape(number, None)
                self.selection.leave_out_object(reason)
        left = [index for index, reason in enumerate(reasons) if reason is None]
        return [objects[index] for index in left], [cleaned[index] for index in left]

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
