"""The words of a condition: names, literals and signs, each with its place in the text. What they mean together: condition_text.py."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from labelferry_export.model import Attribute

SHOWN = 60
"""So many characters of a condition are shown around the place of an error."""


class ConditionError(Exception):
    """A condition that cannot be read. The text says what is wrong, where, and shows the place."""

    def __init__(self, reason: str, text: str, place: int) -> None:
        begin = max(0, place - SHOWN // 2)
        # Every blank is one column wide, so that the mark stands where it should.
        shown = "".join(each if each.isprintable() else " " for each in text[begin : begin + SHOWN])
        marker = " " * (place - begin) + "^"
        super().__init__(f"{reason} (at character {place + 1})\n  {shown}\n  {marker}")
        self.reason = reason
        self.place = place


class Kind(StrEnum):
    """What a token is."""

    LITERAL = "literal"
    NAME = "name"
    QUOTED_NAME = "quoted name"
    SIGN = "sign"
    WORD = "word"
    END = "end"


@dataclass(frozen=True)
class Token:
    """One word of a condition: `text` as the parser compares it, `value` of a literal, `place` of its first character."""

    kind: Kind
    text: str
    place: int
    value: Attribute | None = None


WORDS = frozenset(["and", "or", "not", "in"])
CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_TOKEN = re.compile(
    r"""(?P<blank>\s+)
    |(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<quoted>`[^`]+`)
    |(?P<name>[^\W\d]\w*)
    |(?P<sign>==|!=|<=|>=|<|>|\(|\)|,|\.)""",
    re.VERBOSE | re.DOTALL,
)
_ADVICE = {
    "=": "a comparison is written ==",
    "&": "write 'and'",
    "|": "write 'or'",
    "!": "write 'not', or != for a comparison",
    '"': 'the text is not closed: a " is missing',
    "'": "the text is not closed: a ' is missing",
    "`": "the name is not closed: a ` is missing",
    "[": "a list is written in round brackets: (1, 2)",
    "]": "a list is written in round brackets: (1, 2)",
}


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a condition, `END` last; raise `ConditionError` at a character that begins none."""
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise ConditionError(_ADVICE.get(text[place]) or _odd(text[place]), text, place)
        if found.lastgroup != "blank":
            yield _token(found, text)
        place = found.end()
    yield Token(Kind.END, "", len(text))


def _token(found: "re.Match[str]", text: str) -> Token:
    said, place = found.group(), found.start()
    match found.lastgroup:
        case "number":
            return Token(Kind.LITERAL, said, place, _number(said, text, place))
        case "string":
            return Token(Kind.LITERAL, said, place, re.sub(r"\\(.)", r"\1", said[1:-1], flags=re.DOTALL))
        case "quoted":
            return Token(Kind.QUOTED_NAME, said[1:-1], place)
        case "sign":
            return Token(Kind.SIGN, said, place)
    if said in CONSTANTS:
        return Token(Kind.LITERAL, said, place, CONSTANTS[said])
    return Token(Kind.WORD if said in WORDS else Kind.NAME, said, place)


def _odd(character: str) -> str:
    return f"{character!r} means nothing here; a name that has it is written in backticks: `cell type`"


def _number(said: str, text: str, place: int) -> int | float:
    try:
        return int(said)
    except ValueError:
        value = float(said)
    if abs(value) == float("inf"):
        raise ConditionError(f"{said} is too large for a number", text, place)
    return value
