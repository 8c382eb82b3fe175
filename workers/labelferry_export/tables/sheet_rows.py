"""Rows of a sheet as xml: what a workbook's sheets are made of, here or in a lane. What holds sheets together: workbook.py.

After ECMA-376, part 1, section 18.3. Text is text: inline strings, which no reader takes for formulas or links.
"""

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape

from labelferry_export.tables.columns import Cell, Row
from labelferry_export.tables.numbers import said_numbers

MAX_CHARACTERS = 32_767

_UNSAID = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
"""Characters that xml cannot hold, or that the escape for these is made of (section 22.9.2.19, ST_Xstring)."""
_EMPTY = re.compile(rb'<c r="[A-Z]+[0-9]+" s="[0-9]+"><v></v></c>')


class RowForm:
    """The form of a sheet's rows. `styles` are those of the columns; in the columns `texts` is text, or nothing, in all others numbers."""

    def __init__(self, styles: Sequence[int], texts: Sequence[int]) -> None:
        self.letters = [letters_of(index) for index in range(len(styles))]
        self._texts = [place for place in texts if place < len(styles)]
        self._numbered = [place for place in range(len(styles)) if place not in texts]
        # The row's number at every even place, a cell or its value at every odd one, is what the form is filled with.
        cells = [
            "%b%b" if place in texts else f'<c r="{letter}%b" s="{style}"><v>%b</v></c>'
            for place, (letter, style) in enumerate(zip(self.letters, styles, strict=True))
        ]
        self._form = f'<row r="%b">{"".join(cells)}</row>'.encode()

    def xml_of(self, rows: Sequence[Row], number: int) -> tuple[bytes, list[tuple[int, int]]]:
        """Return the xml of rows, the first of them row `number` (from 1), and the cells, (row, column) from 0, whose text was cut."""
        lines, cut = [], []
        for place, row in enumerate(rows, start=number):
            line, columns = self._row(row, place)
            lines.append(line)
            cut += [(place - 1, column) for column in columns]
        return b"".join(lines), cut

    def _row(self, row: Row, number: int) -> tuple[bytes, list[int]]:
        said = str(number).encode()
        filling = [said] * (1 + 2 * len(row))
        numbers = said_numbers([row[place] for place in self._numbered])
        for place, value in zip(self._numbered, numbers, strict=True):
            filling[2 + 2 * place] = value
        cut = []
        for place in self._texts:
            # A text's cell is made whole: where there is none, there is no cell, and no number of it either.
            text, filling[1 + 2 * place] = row[place], b""
            filling[2 + 2 * place] = b"" if text is None else self._text(place, text, said)
            if isinstance(text, str) and len(text) > MAX_CHARACTERS // 2 and shortened(text) != text:
                cut.append(place)
        line = self._form % tuple(filling)
        return _EMPTY.sub(b"", line) if b"" in numbers else line, cut

    def _text(self, place: int, cell: Cell, number: bytes) -> bytes:
        text = shortened(str(cell))
        said = escape(_UNSAID.sub(lambda found: f"_x{ord(found[0]):04X}_", text))
        letter = self.letters[place]
        return (
            f'<c r="{letter}{number.decode()}" t="inlineStr"><is><t xml:space="preserve">{said}</t></is></c>'
        ).encode()


def shortened(text: str) -> str:
    """Return the beginning of a text that a cell can hold; a cell counts in units of UTF-16."""
    if len(text) <= MAX_CHARACTERS // 2:
        return text
    units = text.encode("utf-16-le", "surrogatepass")[: 2 * MAX_CHARACTERS]
    return units.decode("utf-16-le", "ignore")


def letters_of(index: int) -> str:
    """Return the name of a column: A, B, ..., Z, AA, ..."""
    name = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        name = chr(ord("A") + rest) + name
    return name
