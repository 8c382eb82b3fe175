"""Workbooks (xlsx) as a stream: sheets are written row by row into a zip that is given out in pieces; the same rows, the same bytes.

After ECMA-376, part 1, sections 12.3 (package parts) and 18.3 (sheets), and part 2 (packaging). Text is text: inline strings,
which no reader takes for formulas or links. No date, no author, no calculation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from labelferry_export.tables.columns import Row
from labelferry_export.tables.sheet_rows import RowForm
from labelferry_export.tables.small_zip import Part, SmallZip

MAX_ROWS = 1_048_576
MAX_SHEET_BYTES = 3 << 29
"""Bytes of a sheet's xml; zip without its 64-bit extension, which some readers refuse in workbooks, ends at 2 GiB."""

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_ROOT_RELATIONS = (
    f'{_DECLARATION}<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
)


@dataclass(frozen=True)
class SheetColumn:
    """A column of a sheet: its header, how its numbers are shown (`0`, `0.000`), and how wide it is, in characters."""

    header: str
    shown_as: str
    width: int


class Workbook:
    """A workbook that is being written. After each call, `take` gives out the bytes that are ready."""

    def __init__(self, formats: Sequence[str]) -> None:
        """`formats` are all that any column is shown as."""
        self._zip = SmallZip()
        self._styles = {shown_as: index + 2 for index, shown_as in enumerate(formats)}
        self._titles: list[str] = []
        self._add("_rels/.rels", _ROOT_RELATIONS)

    def take(self) -> bytes:
        """Return the bytes that were made since the last call."""
        return self._zip.take()

    def styles_of(self, columns: Sequence[SheetColumn]) -> tuple[int, ...]:
        """Return the styles of columns, as rows are made with."""
        return tuple(self._styles[column.shown_as] for column in columns)

    def sheet(self, title: str, columns: Sequence[SheetColumn], texts: Sequence[int]) -> "Sheet":
        """Begin a sheet, with its header; one at a time. `title` has at most 31 characters, and none of `[]:*?/\\`.

        In the columns `texts` is text, or nothing, in all others numbers, or nothing.
        """
        self._titles.append(title)
        self._zip.begin(f"xl/worksheets/sheet{len(self._titles)}.xml")
        return Sheet(self._zip, columns, RowForm(self.styles_of(columns), texts))

    def close(self) -> None:
        """Write what holds the sheets together."""
        numbers = range(1, len(self._titles) + 1)
        self._add("xl/styles.xml", _styles(self._styles))
        self._add("xl/workbook.xml", _workbook(self._titles))
        self._add("xl/_rels/workbook.xml.rels", _workbook_relations(numbers))
        self._add("[Content_Types].xml", _content_types(numbers))
        self._zip.close()

    def _add(self, name: str, text: str) -> None:
        self._zip.begin(name)
        self._zip.add(Part.of(text.encode()))
        self._zip.end()


class Sheet:
    """A sheet that is being written."""

    def __init__(self, file: SmallZip, columns: Sequence[SheetColumn], form: RowForm) -> None:
        self._file = file
        self._form = form
        self._bytes = 0
        self.rows = 0
        """Rows so far, the header among them."""
        self.cut: list[tuple[int, int]] = []
        """The cells whose text was too long, as (row, column) from 0; the header is row 0."""
        header = "".join(
            f'<c r="{each}1" s="1" t="inlineStr"><is><t>{escape(column.header)}</t></is></c>'
            for each, column in zip(form.letters, columns, strict=True)
        )
        self._put(Part.of(f'{_sheet_head(columns)}<row r="1">{header}</row>'.encode()), 1)

    @property
    def full(self) -> bool:
        """Whether no other block of rows should be added."""
        return self.rows >= MAX_ROWS or self._bytes >= MAX_SHEET_BYTES

    @property
    def room(self) -> int:
        """How many rows may still be added."""
        return MAX_ROWS - self.rows

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows, at most `room`."""
        xml, cut = self._form.xml_of(rows, self.rows + 1)
        self.cut += cut
        self._put(Part.of(xml), len(rows))

    def add_made(self, part: Part, rows: int, cut: Sequence[tuple[int, int]]) -> None:
        """Add rows, at most `room`, that were made elsewhere, the first of them `rows` + 1."""
        self.cut += cut
        self._put(part, rows)

    def close(self) -> None:
        """End the sheet."""
        self._put(Part.of(b"</sheetData></worksheet>"), 0)
        self._file.end()

    def _put(self, part: Part, rows: int) -> None:
        self._file.add(part)
        self._bytes += part.size
        self.rows += rows


def _sheet_head(columns: Sequence[SheetColumn]) -> str:
    widths = "".join(
        f'<col min="{index}" max="{index}" width="{column.width}" customWidth="1"/>'
        for index, column in enumerate(columns, start=1)
    )
    return (
        f'{_DECLARATION}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        f"<cols>{widths}</cols><sheetData>"
    )


def _styles(styles: dict[str, int]) -> str:
    """Return the styles: 0 is plain, 1 the header's bold, then a number format each."""
    formats = "".join(
        f'<numFmt numFmtId="{162 + each}" formatCode={quoteattr(text)}/>' for text, each in styles.items()
    )
    shown = "".join(
        f'<xf numFmtId="{162 + each}" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        for each in styles.values()
    )
    font = '<sz val="11"/><name val="Calibri"/><family val="2"/>'
    return (
        f'{_DECLARATION}<styleSheet xmlns="{_MAIN}"><numFmts count="{len(styles)}">{formats}</numFmts>'
        f'<fonts count="2"><font>{font}</font><font><b/>{font}</font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        f'<cellXfs count="{len(styles) + 2}"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
        f'<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>{shown}</cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    )


def _workbook(titles: Sequence[str]) -> str:
    sheets = "".join(
        f'<sheet name={quoteattr(title)} sheetId="{number}" r:id="rId{number}"/>'
        for number, title in enumerate(titles, start=1)
    )
    return f'{_DECLARATION}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{sheets}</sheets></workbook>'


def _workbook_relations(numbers: range) -> str:
    relations = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        for number in numbers
    )
    styles = f'<Relationship Id="rId{numbers.stop}" Type="{_OFFICE}/styles" Target="styles.xml"/>'
    return f'{_DECLARATION}<Relationships xmlns="{_PACKAGE}/relationships">{relations}{styles}</Relationships>'


def _content_types(numbers: range) -> str:
    def override(part: str, kind: str) -> str:
        return f'<Override PartName="/xl/{part}" ContentType="{_TYPE}.{kind}+xml"/>'

    sheets = "".join(override(f"worksheets/sheet{number}.xml", "worksheet") for number in numbers)
    return (
        f'{_DECLARATION}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f"{override('workbook.xml', 'sheet.main')}{override('styles.xml', 'styles')}{sheets}</Types>"
    )
