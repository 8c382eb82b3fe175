"""XML read again by expat as it streams in, and CVAT's files. What expat refuses is no XML."""

from collections.abc import Callable, Mapping
from xml.parsers import expat

from labelferry_export.bundle.readers import Reader

Start = Callable[[str, Mapping[str, str]], None]
End = Callable[[str, str], None]
CVAT_SHAPES = frozenset(["polygon", "mask"])


class XmlReader:
    """A reader that tells of elements: `start` with name and attributes, `end` with name and the text right before it; `done` at the file's end."""

    def __init__(self, start: Start | None, end: End, done: Callable[[], None]) -> None:
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._started
        self._parser.EndElementHandler = self._ended
        self._parser.CharacterDataHandler = self._said
        self._start: Start = start or (lambda *_: None)
        self._end, self._done = end, done
        self._text = ""

    def take(self, data: bytes) -> None:
        """Parse a block."""
        _parse(self._parser, data, last=False)

    def close(self) -> None:
        """Say that the file has ended."""
        _parse(self._parser, b"", last=True)
        self._done()

    def _started(self, name: str, attributes: dict[str, str]) -> None:
        self._text = ""
        self._start(name, attributes)

    def _said(self, text: str) -> None:
        # A text that lies across two blocks is told in two pieces.
        self._text += text

    def _ended(self, name: str) -> None:
        self._end(name, self._text)
        self._text = ""


def check_xml(text: bytes) -> None:
    """Raise ValueError where a whole text is no XML."""
    _parse(expat.ParserCreate(), text, last=True)


def _parse(parser: expat.XMLParserType, data: bytes, *, last: bool) -> None:
    try:
        parser.Parse(data, last)
    except expat.ExpatError as error:
        raise ValueError(f"it is no XML: {error}") from None


class CvatRecount:
    """Recounts CVAT's files; polygons of one object follow each other and share a `group_id`."""

    def __init__(self, folder: str, classes: int) -> None:
        self.images = 0
        self.objects = 0
        self._folder = folder
        self._classes = classes
        self._labels: set[str] = set()
        self._group: str | None = None

    def open(self, name: str) -> Reader | None:
        """Return the reader of a file of this format."""
        if not name.startswith(self._folder):
            return None
        self._labels.clear()
        return XmlReader(self._start, self._end, self._close)

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "image":
            self.images += 1
            self._group = None
        if name not in CVAT_SHAPES:
            return
        group = attributes.get("group_id")
        self.objects += group is None or group != self._group
        self._group = group
        if attributes["label"] not in self._labels:
            raise ValueError(f"a shape has the label {attributes['label']!r}, which the file does not declare")
        if name == "mask":
            self._check_mask(attributes)
        elif attributes["points"].count(";") < 2:
            raise ValueError(f"a polygon of image {self.images} has fewer than three points")

    def _check_mask(self, attributes: Mapping[str, str]) -> None:
        pixels = int(attributes["width"]) * int(attributes["height"])
        total = sum(map(int, attributes["rle"].split(",")))
        if total != pixels:
            raise ValueError(
                f"the run lengths of a mask of image {self.images} add up to {total}, its box has {pixels} pixels"
            )

    def _end(self, name: str, text: str) -> None:
        # An attribute's name comes before any shape too, and is no harm among the labels.
        if name == "name":
            self._labels.add(text)

    def _close(self) -> None:
        if len(self._labels) < self._classes:
            raise ValueError(f"it declares fewer labels than the {self._classes} classes of the project")
