"""What a condition on attributes means: its parts, and whether an object or an image meets it. How it is written: condition_text.py.

A name that an object (or image) has no attribute for is null. Values are equal when they are of one kind (number, text, true or false,
null) and the same; an order compares two numbers or two texts (by code point), anything else is neither less nor greater.
A value alone is met when it is `true`.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from labelferry_export.model import Attribute

Attributes = Mapping[str, Attribute]


def of_object(class_name: str, crowd: bool, attributes: Attributes) -> Attributes:
    """Return what can be asked of an object: its attributes, and, where none is called so, its `class` and whether it is a `crowd`."""
    return {"class": class_name, "crowd": crowd, **attributes}


def of_image(name: str, subset: str | None, attributes: Attributes) -> Attributes:
    """Return what can be asked of an image: its attributes, and, where none is called so, its `name` and `subset`."""
    return {"name": name, **({"subset": subset} if subset else {}), **attributes}


class Unknown(Enum):
    """What an object's attribute is while only its image is known."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN
_KINDS: dict[type, str] = {int: "number", float: "number", str: "text", bool: "bool", type(None): "null"}
ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
Value = Attribute | None | Unknown
Verdict = bool | Unknown


@dataclass(frozen=True)
class Scope:
    """What names stand for: the attributes of an object (None: not known yet) and of its image."""

    of_object: Attributes | None
    of_image: Attributes


class Term(Protocol):
    """A part of a condition."""

    def value(self, scope: Scope) -> Value:
        """Return what it is for this object and image."""


@dataclass(frozen=True)
class Literal:
    """A number, a text, true, false or null."""

    said: Attribute | None

    def value(self, _scope: Scope) -> Value:
        """As `Term.value`."""
        return self.said


@dataclass(frozen=True)
class Name:
    """An attribute, of the object or of its image."""

    name: str
    of_image: bool

    def value(self, scope: Scope) -> Value:
        """As `Term.value`."""
        attributes = scope.of_image if self.of_image else scope.of_object
        return UNKNOWN if attributes is None else attributes.get(self.name)


@dataclass(frozen=True)
class Comparison:
    """Two terms and a sign between them: == != < <= > >=."""

    left: Term
    sign: str
    right: Term

    def value(self, scope: Scope) -> Verdict:
        """As `Term.value`."""
        left, right = self.left.value(scope), self.right.value(scope)
        if left is UNKNOWN or right is UNKNOWN:
            return UNKNOWN
        if self.sign in ("==", "!="):
            return _same(left, right) == (self.sign == "==")
        return _in_order(left, self.sign, right)


@dataclass(frozen=True)
class Membership:
    """Whether a term is one of several values."""

    term: Term
    values: tuple[Attribute | None, ...]

    def value(self, scope: Scope) -> Verdict:
        """As `Term.value`."""
        found = self.term.value(scope)
        return UNKNOWN if found is UNKNOWN else any(_same(found, each) for each in self.values)


@dataclass(frozen=True)
class Negation:
    """What is met when its term is not."""

    term: Term

    def value(self, scope: Scope) -> Verdict:
        """As `Term.value`."""
        found = verdict(self.term, scope)
        return UNKNOWN if found is UNKNOWN else not found


@dataclass(frozen=True)
class Junction:
    """Several terms of which all (`and`) or one (`or`) must be met."""

    terms: tuple[Term, ...]
    all_of: bool

    def value(self, scope: Scope) -> Verdict:
        """As `Term.value`: by Kleene's logic where something is unknown."""
        decided: Verdict = self.all_of
        for term in self.terms:
            found = verdict(term, scope)
            if found is not UNKNOWN and found != self.all_of:
                return found
            decided = UNKNOWN if found is UNKNOWN else decided
        return decided


@dataclass(frozen=True)
class Condition:
    """A whole condition: `names` and `image_names` are the attributes it asks for."""

    term: Term
    names: frozenset[str]
    image_names: frozenset[str]

    def meets(self, attributes: Attributes, image_attributes: Attributes) -> bool:
        """Whether an object with these attributes, in an image with those, meets it."""
        return self.term_met(Scope(attributes, image_attributes)) is True

    def can_meet(self, image_attributes: Attributes) -> bool:
        """Whether any object at all could meet it in an image with these attributes."""
        return self.term_met(Scope(None, image_attributes)) is not False

    def term_met(self, scope: Scope) -> Verdict:
        """Return whether it is met in a scope, as far as that can be told."""
        return verdict(self.term, scope)


def kinds_asked(term: Term) -> dict[Name, set[str]]:
    """Return which kinds of values (`kind_of`) each name is compared with; whether it is null may be asked of any."""
    found: dict[Name, set[str]] = {}
    pending = [term]
    while pending:
        match pending.pop():
            case Comparison(Name() as name, _, Literal(said)) | Comparison(Literal(said), _, Name() as name):
                found.setdefault(name, set()).add(kind_of(said))
            case Membership(Name() as name, values):
                found.setdefault(name, set()).update(map(kind_of, values))
            case Negation(inner):
                pending.append(inner)
            case Junction(terms):
                pending.extend(terms)
    return {name: kinds for name, kinds in found.items() if kinds != {"null"}}


def kind_of(value: Attribute | None) -> str:
    """Return what kind of value it is, in a word."""
    return _KINDS[type(value)]


def verdict(term: Term, scope: Scope) -> Verdict:
    """Return whether a term, taken as a condition, is met: only `true` is."""
    found = term.value(scope)
    return UNKNOWN if found is UNKNOWN else found is True


def _same(left: Attribute | None, right: Attribute | None) -> bool:
    return left == right and kind_of(left) == kind_of(right)


def _in_order(left: Attribute | None, sign: str, right: Attribute | None) -> bool:
    comparable = kind_of(left) == kind_of(right) and kind_of(left) in ("number", "text")
    return comparable and bool(ORDERS[sign](left, right))
