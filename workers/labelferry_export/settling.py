"""The pass over the images of a project that was read: each file's header, each object's outline, each image's split."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from labelferry_export.complaints import Complaints
from labelferry_export.conversion.plan import Conversion, conversion_of, renamed
from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.geometry.clean import Cleaned, flawless, mend
from labelferry_export.geometry.placement import Placement
from labelferry_export.geometry.shape import Shape
from labelferry_export.instances import Columns
from labelferry_export.picture import Header, read_header
from labelferry_export.rows import ImageRow, Settled
from labelferry_export.selection import Selection
from labelferry_export.selection.splits import Splits
from labelferry_export.snapshot_writer import SnapshotWriter
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
        columns, stored = self.writer.objects.of(row.position)
        if not placement.keeps:
            columns, stored = replace(columns, rings=placement.place_all(columns.rings)), False
        cleaned = yield from self._clean(row, columns, placement)
        if not len(cleaned) and self.selection.annotated_only:
            self.writer.leave_out_image(row.position)
            self.selection.leave_out_unannotated()
        else:
            if cleaned is not columns or not stored:
                self.writer.objects.put(row.position, cleaned)
            self.writer.settle_image(row, settled, cleaned.categories, len(cleaned.rings.points))
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

    def _clean(
        self, row: ImageRow, columns: Columns, placement: Placement
    ) -> Generator[tuple[int, str], None, Columns]:
        """Return the objects of one image that are left; `columns` itself when that is all of them as they are."""
        changed: dict[int, Shape | None] = {}
        for start in range(0, len(columns), OBJECTS_AT_ONCE):
            if start:
                yield row.position, row.name
            some = columns
            if len(columns) > OBJECTS_AT_ONCE:
                some = columns.taken(np.arange(start, min(start + OBJECTS_AT_ONCE, len(columns))))
            for place, shape in self._changes(row, some, placement):
                changed[start + place] = shape
        return columns.with_shapes(changed) if changed else columns

    def _changes(self, row: ImageRow, columns: Columns, placement: Placement) -> Iterator[tuple[int, Shape | None]]:
        """Yield index and new shape of those objects that do not stay as they are; None is the shape of one that is left out."""
        cleaned: dict[int, Cleaned] = {}
        for place in np.flatnonzero(~flawless(columns.rings, *placement.canvas)).tolist():
            (shape,) = columns.rings.taken(np.array([place])).shape_list()
            cleaned[place] = mend(shape, *placement.canvas)
        unwanted = self._unwanted(columns, cleaned, placement)
        for place, after in cleaned.items():
            if place not in unwanted:
                self._tell(row, int(columns.ids[place]), after)
                yield place, after.shape
        for place in unwanted:
            yield place, None

    def _unwanted(self, columns: Columns, cleaned: Mapping[int, Cleaned], placement: Placement) -> list[int]:
        """Return which objects, by index, are of a size or place that is not asked for."""
        choice = self.selection.shapes
        if choice is None:
            return []
        # Areas are those of the original: what is selected does not depend on how an image is scaled.
        back = Placement(placement.canvas, placement.upright)
        shapes: list[Shape | None] = [*back.place_all(columns.rings).shape_list()]
        for place, after in cleaned.items():
            shapes[place] = None if after.shape is None else back.place(after.shape)
        reasons = choice.reasons(shapes, *back.canvas)
        for reason in filter(None, reasons):
            self.selection.leave_out_object(reason)
        return [place for place, reason in enumerate(reasons) if reason is not None]

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
