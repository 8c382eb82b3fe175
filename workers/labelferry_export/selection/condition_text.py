"""Reads a condition on attributes from text, by recursive descent: never by Python's own `eval`. What it then means: condition.py.

    condition   = conjunction {"or" conjunction}
    conjunction = negation {"and" negation}
    negation    = {"not"} comparison
    comparison  = operand [("==" | "!=" | "<" | "<=" | ">" | ">=") operand]...  |  operand ["not"] "in" "(" value {"," value} ")"
    operand     = value | name | "(" condition ")"
    value       = number | "text" | 'text' | true | false | null
    name        = NAME | `any name` | image.NAME | image.`any name`

A chain of comparisons (`0.2 <= score < 0.5`) means each of them. In a text, a backslash takes the next character as it is.
"""

from collections.abc import Callable

from labelferry_export.errors import ExportError
from labelferry_export.model import Attribute
from labelferry_export.selection.condition import (
    ORDERS,
    Comparison,
    Condition,
    Junction,
    Literal,
    Membership,
    Name,
    Negation,
    Term,
)
from labelferry_export.selection.tokens import ConditionError, Kind, Token, tokens
from labelferry_protocol.errors import Code

MOST_CHARACTERS = 2048
DEEPEST = 32
"""Brackets and `not` inside one another."""
COMPARISONS = frozenset(["==", "!=", *ORDERS])
IMAGE = "image"


def read_condition(text: str) -> Condition:
    """Return the condition that a text is; raise `ConditionError` where it is none."""
    if len(text) > MOST_CHARACTERS:
        raise ConditionError(f"the condition has more than {MOST_CHARACTERS} characters", text, MOST_CHARACTERS)
    parser = _Parser(text)
    term = parser.condition()
    parser.expect_end()
    return Condition(term, frozenset(parser.names), frozenset(parser.image_names))


def condition_of(text: str) -> Condition | None:
    """Return the condition of the options, None for an empty one; raise `ExportError(USAGE)` where it cannot be read."""
    if not text.strip():
        return None
    try:
        return read_condition(text)
    except ConditionError as error:
        raise ExportError(Code.USAGE, f"the condition on attributes cannot be read: {error}") from None


class _Parser:
    """A place in the tokens of one text; each method reads one row of the grammar above."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokens(text))
        self._next = 0
        self._depth = 0
        self.names: set[str] = set()
        self.image_names: set[str] = set()

    def condition(self) -> Term:
        return self._joined("or", lambda: self._joined("and", self._negation))

    def expect_end(self) -> None:
        if self._token.kind is not Kind.END:
            raise self._error("'and', 'or' or the end is expected")

    def _joined(self, word: str, read: Callable[[], Term]) -> Term:
        terms = [read()]
        while self._takes(Kind.WORD, word):
            terms.append(read())
        return terms[0] if len(terms) == 1 else Junction(tuple(terms), all_of=word == "and")

    def _negation(self) -> Term:
        if not self._takes(Kind.WORD, "not"):
            return self._comparison()
        self._deeper()
        term = Negation(self._negation())
        self._depth -= 1
        return term

    def _comparison(self) -> Term:
        left = self._operand()
        if self._takes(Kind.WORD, "in"):
            return self._membership(left)
        if self._token.text == "not" and self._token.kind is Kind.WORD:
            self._next += 1
            if not self._takes(Kind.WORD, "in"):
                raise self._error("'in' is expected: NAME not in (...)")
            return Negation(self._membership(left))
        found: list[Term] = []
        while self._token.kind is Kind.SIGN and self._token.text in COMPARISONS:
            sign = self._taken().text
            right = self._operand()
            found.append(Comparison(left, sign, right))
            left = right
        if not found:
            return left
        return found[0] if len(found) == 1 else Junction(tuple(found), all_of=True)

    def _membership(self, term: Term) -> Term:
        self._expect_sign("(")
        values = [self._value()]
        while self._takes(Kind.SIGN, ","):
            values.append(self._value())
        self._expect_sign(")")
        return Membership(term, tuple(values))

    def _operand(self) -> Term:
        if self._takes(Kind.SIGN, "("):
            self._deeper()
            term = self.condition()
            self._expect_sign(")")
            self._depth -= 1
            return term
        if self._token.kind is Kind.LITERAL:
            return Literal(self._taken().value)
        if self._token.kind in (Kind.NAME, Kind.QUOTED_NAME):
            return self._name()
        raise self._error("a name or a value is expected")

    def _name(self) -> Term:
        token = self._taken()
        if not self._takes(Kind.SIGN, "."):
            self.names.add(token.text)
            return Name(token.text, of_image=False)
        if token.text != IMAGE or token.kind is Kind.QUOTED_NAME:
            self._next -= 1
            raise self._error("only image.NAME has a dot; a name that has one is written in backticks: `a.b`")
        if self._token.kind not in (Kind.NAME, Kind.QUOTED_NAME, Kind.WORD):
            raise self._error("the name of an attribute of the image is expected behind 'image.'")
        name = self._taken().text
        self.image_names.add(name)
        return Name(name, of_image=True)

    def _value(self) -> Attribute | None:
        if self._token.kind is not Kind.LITERAL:
            raise self._error("a value is expected: a number, a text in quotes, true, false or null")
        return self._taken().value

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _taken(self) -> Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _takes(self, kind: Kind, text: str) -> bool:
        found = self._token.kind is kind and self._token.text == text
        self._next += found
        return found

    def _expect_sign(self, sign: str) -> None:
        if not self._takes(Kind.SIGN, sign):
            raise self._error(f"{sign!r} is expected")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error(f"more than {DEEPEST} brackets or 'not' lie inside one another")

    def _error(self, expected: str) -> ConditionError:
        token = self._token
        found = "the condition ends" if token.kind is Kind.END else f"{token.text!r} stands here"
        return ConditionError(f"{expected}, but {found}", self._text, token.place)
