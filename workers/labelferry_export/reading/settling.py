"""The pass over the images of a project that was read: each file's header, each object's outline, each image's split."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from labelferry_export.conversion.plan import Conversion, conversion_of, renamed
from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.geometry.clean import Cleaned, flawless, mend
from labelferry_export.geometry.placement import Placement
from labelferry_export.geometry.ring import Flags, joined
from labelferry_export.geometry.shape import Shape
from labelferry_export.instances import Columns
from labelferry_export.picture import Header, read_header
from labelferry_export.reading.complaints import Complaints
from labelferry_export.reading.rows import ImageRow, Settled
from labelferry_export.reading.snapshot_writer import SnapshotWriter
from labelferry_export.selection import Selection
from labelferry_export.selection.splits import Splits
from labelferry_protocol.options import ExportOptions

OBJECTS_AT_ONCE = 500
"""Objects cleaned between two yields, and about as many looked at together."""
MOST_AT_ONCE = 1000
IMAGES_AT_ONCE = 64
NO_OBJECTS = Columns.of(())
DROPPED = "The object was left out: "
"""How the geometry begins its reason."""


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
        for batch in self._batches():
            flags = yield from _look(batch)
            for each, some in zip(batch, flags, strict=True):
                yield from self._settle(each, some)

    def _batches(self) -> Iterator[list["_Opened"]]:
        """Yield the images, some at once, so that many small ones are not looked at one by one."""
        batch: list[_Opened] = []
        objects = 0
        for row in self.writer.kept_images():
            batch.append(self._open(row))
            objects += len(batch[-1].columns)
            if len(batch) >= IMAGES_AT_ONCE or objects >= OBJECTS_AT_ONCE:
                yield batch
                batch, objects = [], 0
        if batch:
            yield batch

    def _open(self, row: ImageRow) -> "_Opened":
        """Look at an image without a word: what is to be said of it comes when those before it are settled."""
        assert row.path is not None  # noqa: S101 - only images with a file are kept
        try:
            header = read_header(row.path, row.name, page=self.options.page)
        except ExportError as error:
            return _Opened(row, error)
        conversion = conversion_of(header, self.options)
        placement = _placement(row, header, conversion)
        columns, stored = self.writer.objects.of(row.position)
        if placement is not None and not placement.keeps:
            columns, stored = replace(columns, rings=placement.place_all(columns.rings)), False
        return _Opened(row, header, conversion, placement, columns, stored)

    def _settle(self, opened: "_Opened", fine: Flags) -> Iterator[tuple[int, str]]:
        row, columns = opened.row, opened.columns
        placement = self._complain(opened)
        if placement is None or opened.conversion is None or isinstance(opened.header, ExportError):
            self.writer.leave_out_image(row.position)
            yield row.position, row.name
            return
        settled = self._settled(row, opened.header, opened.conversion)
        self._tell_of_name(row, settled)
        self._tell_of_file(row, opened.header, placement)
        cleaned = yield from self._clean(row, columns, placement, fine)
        if not len(cleaned) and self.selection.annotated_only:
            self.writer.leave_out_image(row.position)
            self.selection.leave_out_unannotated()
        else:
            if cleaned is not columns or not opened.stored:
                self.writer.objects.put(row.position, cleaned)
            self.writer.settle_image(row, settled, cleaned.categories, len(cleaned.rings.points))
        yield row.position, row.name

    def _complain(self, opened: "_Opened") -> Placement | None:
        """Return how the project's outlines got to the canvas; complain when the image cannot be exported."""
        row, header, conversion = opened.row, opened.header, opened.conversion
        if isinstance(header, ExportError):
            self.complaints.refuse(header, Finding.IMAGE_BROKEN)
            return None
        if conversion is not None and conversion.too_long:
            message = f"the image {row.name!r} would have {conversion.width}x{conversion.height} px, {conversion.written} holds {conversion.too_long} a side: use --max-side, or another --image-format"
            self.complaints.complain(Finding.IMAGE_SIZE, message, row.name)
            return None
        if opened.placement is None:
            said = (row.width or header.width, row.height or header.height)
            message = (
                f"the image {row.name!r} has {header.width}x{header.height} px, the project says {said[0]}x{said[1]}"
            )
            self.complaints.complain(Finding.IMAGE_SIZE, message, row.name)
        return opened.placement

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
        self, row: ImageRow, columns: Columns, placement: Placement, fine: Flags
    ) -> Generator[tuple[int, str], None, Columns]:
        """Return the objects of one image that are left; `columns` itself when that is all of them as they are."""
        if fine.all() and self.selection.shapes is None:
            return columns
        changed: dict[int, Shape | None] = {}
        for start in range(0, len(columns), OBJECTS_AT_ONCE):
            if start:
                yield row.position, row.name
            some = columns
            if len(columns) > OBJECTS_AT_ONCE:
                some = columns.taken(np.arange(start, min(start + OBJECTS_AT_ONCE, len(columns))))
            for place, shape in self._changes(row, some, placement, fine[start : start + OBJECTS_AT_ONCE]):
                changed[start + place] = shape
        return columns.with_shapes(changed) if changed else columns

    def _changes(
        self, row: ImageRow, columns: Columns, placement: Placement, fine: Flags
    ) -> Iterator[tuple[int, Shape | None]]:
        """Yield index and new shape of those objects that do not stay as they are; None is the shape of one that is left out."""
        cleaned: dict[int, Cleaned] = {}
        flawed = np.flatnonzero(~fine)
        for place, shape in zip(flawed.tolist(), columns.rings.taken(flawed).shape_list(), strict=True):
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
                # Whatever `on_error` says: there is nothing to draw, so nothing to mend before the next try.
                message = f"{name} cannot be exported: {_inside_sentence(finding.message.removeprefix(DROPPED))}"
                self.complaints.note(finding.kind, message, row.name, number)
            else:
                message = (
                    f"{name}: {_inside_sentence(finding.message)}{_areas(finding.area_before, finding.area_after)}"
                )
                self.complaints.note(finding.kind, message, row.name, number)


@dataclass(frozen=True)
class _Opened:
    """An image whose file was looked at: its header or what is wrong with it, and its objects on the canvas, where there is one."""

    row: ImageRow
    header: Header | ExportError
    conversion: Conversion | None = None
    placement: Placement | None = None
    columns: Columns = NO_OBJECTS
    stored: bool = True
    """Whether the objects stand in the snapshot just so."""


def _placement(row: ImageRow, header: Header, conversion: Conversion) -> Placement | None:
    """Return how the project's outlines get to the canvas, by the size that it says; None when that is not the file's."""
    upright, canvas = (header.width, header.height), (conversion.width, conversion.height)
    said = (row.width or upright[0], row.height or upright[1])
    if said == upright:
        return Placement(upright, canvas)
    return Placement(said, canvas, header.orientation) if said == header.stored else None


def _look(batch: Sequence[_Opened]) -> Generator[tuple[int, str], None, list[Flags]]:
    """Return which objects of each image are flawless; yields now and then where they are many."""
    counts = [len(each.columns) for each in batch]
    sizes = [each.placement.canvas if each.placement else (0, 0) for each in batch]
    widths, heights = (np.repeat(np.array(side, np.int64), counts) for side in zip(*sizes, strict=True))
    rings = joined([each.columns.rings for each in batch])
    flags = []
    for start in range(0, len(rings), MOST_AT_ONCE):
        if start:
            yield batch[-1].row.position, batch[-1].row.name
        some = slice(start, start + MOST_AT_ONCE)
        chosen = rings if len(rings) <= MOST_AT_ONCE else rings.taken(np.arange(len(rings))[some])
        flags.append(flawless(chosen, widths[some], heights[some]))
    return np.split(np.concatenate([np.empty(0, np.bool_), *flags]), np.cumsum(counts)[:-1])


def _inside_sentence(sentence: str) -> str:
    return f"{sentence[:1].lower()}{sentence[1:].rstrip('.')}"


def _areas(before: float | None, after: float | None) -> str:
    return "" if before is None or after is None else f" (area {before:.6g} px² before, {after:.6g} after)"
