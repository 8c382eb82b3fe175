"""The part of YAML that a `data.yaml` is written in: maps, lists and words, in blocks or in brackets. Nothing else is understood, or run.

No anchors, tags, documents or multi-line text: they are an error that names the line. So nothing here can grow beyond the file.
"""

import json
import re
from dataclasses import dataclass

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]

MAX_NESTING = 12
_BARE_END = re.compile(r"(?::(?=\s|$)|\s#|$)")
_FLOW_END = re.compile(r"(?::(?=[\s,\]}]|$)|[,\[\]{}]|\s#|$)")
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None, "~": None, "": None}
_ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "0": "\0",
    '"': '"',
    "\\": "\\",
    "/": "/",
    " ": " ",
    "e": "\x1b",
    "a": "\a",
}
_HEX = {"x": 2, "u": 4, "U": 8}


class YamlError(ValueError):
    """Text that is not of this part of YAML; the text says where and why."""


@dataclass(frozen=True)
class _Line:
    number: int
    indent: int
    text: str


def read_yaml(text: str) -> Value:
    """Return the value that `text` is; raise `YamlError`. The keys of maps are text, whatever they look like."""
    lines = [line for number, raw in enumerate(text.split("\n"), 1) if (line := _line(number, raw.rstrip("\r")))]
    if not lines:
        return None
    reader = _Blocks(lines)
    value = reader.block(lines[0].indent, 0)
    if reader.at < len(lines):
        raise _error(lines[reader.at].number, "this line is indented less than the ones before it")
    return value


def _line(number: int, raw: str) -> _Line | None:
    text = raw.lstrip(" ")
    if not text.strip() or text.startswith("#") or (number == 1 and text.startswith("%YAML")) or text.rstrip() == "---":
        return None
    if text.startswith("\t"):
        raise _error(number, "it is indented with a tab, which YAML does not allow")
    return _Line(number, len(raw) - len(text), text.rstrip())


def _error(number: int, what: str) -> YamlError:
    return YamlError(f"line {number}: {what}")


class _Blocks:
    """Reads lines into maps and lists by their indents; `at` is the line that comes next."""

    def __init__(self, lines: list[_Line]) -> None:
        self._lines = lines
        self.at = 0

    def block(self, indent: int, depth: int) -> Value:
        """Return the map, list or word whose first line comes next, indented by `indent`."""
        line = self._lines[self.at]
        if depth > MAX_NESTING:
            raise _error(line.number, f"more than {MAX_NESTING} maps and lists inside one another")
        if line.text == "-" or line.text.startswith("- "):
            return self._list(indent, depth)
        if line.text[0] not in "[{" and _key_end(line) is not None:
            return self._map(indent, depth)
        return self._value(line, line.text, depth)

    def _list(self, indent: int, depth: int) -> Value:
        values: list[Value] = []
        while (line := self._here(indent)) and (line.text == "-" or line.text.startswith("- ")):
            rest = line.text[1:].lstrip(" ")
            if rest and rest[0] not in "[{\"'" and _key_end(_Line(line.number, 0, rest)) is not None:
                inner = indent + len(line.text) - len(rest)
                self._lines[self.at] = _Line(line.number, inner, rest)
                values.append(self.block(inner, depth + 1))
            else:
                values.append(self._value(line, rest, depth))
        return values

    def _map(self, indent: int, depth: int) -> Value:
        values: dict[str, Value] = {}
        while (line := self._here(indent)) and not line.text.startswith("- "):
            found = _key_end(line)
            if found is None:
                raise _error(line.number, "a key and a colon were expected")
            key, end = found
            if key in values:
                raise _error(line.number, f"the key {key[:60]!r} is there twice")
            values[key] = self._value(line, line.text[end:].lstrip(" "), depth)
        return values

    def _here(self, indent: int) -> _Line | None:
        if self.at == len(self._lines) or self._lines[self.at].indent < indent:
            return None
        if self._lines[self.at].indent > indent:
            raise _error(self._lines[self.at].number, "this line is indented more than the ones before it")
        return self._lines[self.at]

    def _value(self, line: _Line, rest: str, depth: int) -> Value:
        """Return the value that begins with `rest` of a line, and step over it."""
        self.at += 1
        rest = "" if rest.startswith("#") else rest
        if not rest:
            following = self._lines[self.at] if self.at < len(self._lines) else None
            deeper = following is not None and following.indent > line.indent
            level = following is not None and following.indent == line.indent and following.text.startswith("- ")
            if following is None or not (deeper or (level and not line.text.startswith("-"))):
                return None
            return self.block(following.indent, depth + 1)
        if rest[0] in "&*!|>@`%":
            raise _error(line.number, f"{rest[:1]!r} begins a kind of YAML that is not read here")
        if rest[0] in "[{":
            flow = _Flow(line.number, rest, self)
            return flow.whole(depth)
        value, end = _word(line.number, rest, _BARE_END)
        _check_tail(line.number, rest[end:])
        return value

    def next_text(self, number: int) -> str:
        """Return the next line's text and step over it: brackets may go on for lines."""
        if self.at == len(self._lines):
            raise _error(number, "a bracket is not closed")
        self.at += 1
        return self._lines[self.at - 1].text


class _Flow:
    """A value in brackets, over as many lines as it needs."""

    def __init__(self, number: int, text: str, lines: _Blocks) -> None:
        self._number = number
        self._text = text
        self._lines = lines
        self._at = 0

    def whole(self, depth: int) -> Value:
        value = self._value(depth)
        _check_tail(self._number, self._text[self._at :])
        return value

    def _peek(self) -> str:
        while True:
            rest = self._text[self._at :].lstrip(" ")
            self._at = len(self._text) - len(rest)
            if rest and not rest.startswith("#"):
                return rest[0]
            self._text, self._at = self._lines.next_text(self._number), 0

    def _value(self, depth: int) -> Value:
        if depth > MAX_NESTING:
            raise _error(self._number, f"more than {MAX_NESTING} maps and lists inside one another")
        first = self._peek()
        if first == "[":
            return self._several("]", depth)
        if first == "{":
            return dict(_pairs(self._several("}", depth)))
        return self._word()

    def _word(self) -> Value:
        if self._peek() in "&*!|>@`%,:]}":
            raise _error(self._number, f"{self._peek()!r} was not expected")
        value, end = _word(self._number, self._text[self._at :], _FLOW_END)
        self._at += end
        return value

    def _several(self, closing: str, depth: int) -> list[Value]:
        self._at += 1
        values: list[Value] = []
        while self._peek() != closing:
            if closing == "}":
                key = self._word()
                if self._peek() != ":":
                    raise _error(self._number, "a key and a colon were expected")
                self._at += 1
                values.append([_spelled(key), None if self._peek() in ",}" else self._value(depth + 1)])
            else:
                values.append(self._value(depth + 1))
            if self._peek() == ",":
                self._at += 1
            elif self._peek() != closing:
                raise _error(self._number, f"a comma or {closing} was expected")
        self._at += 1
        return values


def _pairs(values: list[Value]) -> list[tuple[str, Value]]:
    return [(str(each[0]), each[1]) for each in values if isinstance(each, list)]


def _key_end(line: _Line) -> tuple[str, int] | None:
    """Return the key that a line begins with and where its value begins, None when it begins with none."""
    try:
        value, end = _word(line.number, line.text, _BARE_END)
    except YamlError:
        return None
    rest = line.text[end:].lstrip(" ")
    if not rest.startswith(":") or not (len(rest) == 1 or rest[1] == " "):
        return None
    quoted = line.text[0] in "\"'"
    return str(value) if quoted else line.text[:end].strip(), len(line.text) - len(rest) + 1


def _word(number: int, text: str, ends: re.Pattern[str]) -> tuple[Value, int]:
    """Return the word that `text` begins with, and its length."""
    if text.startswith('"'):
        return _double_quoted(number, text)
    if text.startswith("'"):
        found = re.match(r"'((?:[^']|'')*)'", text)
        if found is None:
            raise _error(number, "a quote is not closed")
        return found[1].replace("''", "'"), found.end()
    found = ends.search(text)
    end = found.start() if found else len(text)
    return _typed(text[:end].strip()), end


def _double_quoted(number: int, text: str) -> tuple[str, int]:
    found = re.match(r'"((?:[^"\\]|\\.)*)"', text)
    if found is None:
        raise _error(number, "a quote is not closed")

    def unescape(match: re.Match[str]) -> str:
        kind, digits = match[1][0], match[1][1:]
        try:
            return chr(int(digits, 16)) if digits else _ESCAPES[kind]
        except (KeyError, ValueError, OverflowError):
            raise _error(number, f"\\{match[1]} is no escape that is read here") from None

    raw = re.sub(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", unescape, found[1])
    return raw, found.end()


def _typed(text: str) -> Value:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) and len(text) < 40 else text


def _spelled(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _check_tail(number: int, rest: str) -> None:
    rest = rest.strip()
    if rest and not rest.startswith("#"):
        raise _error(number, f"{rest[:20]!r} was not expected behind the value")
