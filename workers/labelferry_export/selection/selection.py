"""Which images and objects of a project are exported: every question is asked here, and what was left out for which reason is counted."""

import fnmatch
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labelferry_export.errors import ExportError
from labelferry_export.findings import Finding
from labelferry_export.model import Attribute, Chosen, Counted
from labelferry_export.selection.condition import kind_of, kinds_asked
from labelferry_export.selection.condition_text import condition_of
from labelferry_export.selection.listed import Lists
from labelferry_export.selection.reason import Reason
from labelferry_export.selection.shapes import ShapeChoice
from labelferry_export.selection.words import listed
from labelferry_protocol.errors import Code
from labelferry_protocol.options import ExportOptions


@dataclass(frozen=True)
class Patterns:
    """Name patterns. One without a slash is held against an image's base name, one with a slash against its whole name in the project.

    `*` matches any characters, slashes too; case counts.
    """

    of_base: tuple["re.Pattern[str]", ...]
    of_whole: tuple["re.Pattern[str]", ...]

    @classmethod
    def of(cls, said: Sequence[str]) -> "Patterns":
        """Return patterns as the options say them."""
        compiled = [(re.compile(fnmatch.translate(each)), "/" in each) for each in said]
        return cls(
            tuple(each for each, whole in compiled if not whole), tuple(each for each, whole in compiled if whole)
        )

    def fit(self, name: str) -> bool:
        """Whether one of them matches the image of this name."""
        base = name.rpartition("/")[2]
        return any(each.match(base) for each in self.of_base) or any(each.match(name) for each in self.of_whole)


class Selection:
    """What of a project is wanted. Each image and object is asked about once; `lists` are those that the options name."""

    def __init__(self, options: ExportOptions, lists: Lists) -> None:
        self._options = options
        self._select = Patterns.of(options.select) if options.select else None
        self._exclude = Patterns.of(options.exclude) if options.exclude else None
        self._condition = condition_of(options.where)
        self._lists = lists
        self._images: Counter[Reason] = Counter()
        self._objects: Counter[Reason] = Counter()
        self._unseen = set() if self._condition is None else set(self._condition.names)
        self._unseen_of_image = set() if self._condition is None else set(self._condition.image_names)
        self._kinds = {} if self._condition is None else kinds_asked(self._condition.term)
        """By name, until an object or image has a value of another kind there."""
        self._odd: list[str] = []
        self.annotated_only = options.annotated_only
        self.shapes = ShapeChoice.of(options)
        """What is asked of outlines; None when nothing is."""
        self.asks_objects = self._condition is not None or lists.objects is not None
        """Whether `object_reason` can have an answer."""

    @property
    def needs_image_attributes(self) -> bool:
        """Whether `object_reason` is to be given the attributes of images."""
        return bool(self._condition and self._condition.image_names)

    def image_reason(self, name: str, number: int, attributes: Mapping[str, Attribute]) -> Reason | None:
        """Return why the image with this name, number and attributes is left out, None when it is not; count it."""
        # The list is asked first, so that what it names is known to be there whatever else is asked.
        if self._lists.images is not None and not self._lists.images.takes(name, number):
            return self._leave_out_image(Reason.IMAGES_FROM)
        if self._select is not None and not self._select.fit(name):
            return self._leave_out_image(Reason.SELECT)
        if self._exclude is not None and self._exclude.fit(name):
            return self._leave_out_image(Reason.EXCLUDE)
        if self._condition is not None:
            self._unseen_of_image.difference_update(attributes)
            self._look_at_kinds(attributes, of_image=True)
            if not self._condition.can_meet(attributes):
                return self._leave_out_image(Reason.WHERE)
        return None

    def object_reason(
        self, number: int | None, attributes: Mapping[str, Attribute], image_attributes: Mapping[str, Attribute]
    ) -> Reason | None:
        """Return why the object with this id and these attributes is left out by itself, None when it is not."""
        if self._lists.objects is not None and not self._lists.objects.takes(number):
            return Reason.OBJECTS_FROM
        if self._condition is None:
            return None
        if self._unseen:
            self._unseen.difference_update(attributes)
        self._look_at_kinds(attributes, of_image=False)
        return None if self._condition.meets(attributes, image_attributes) else Reason.WHERE

    def leave_out_object(self, reason: Reason) -> None:
        """Count an object that is left out."""
        self._objects[reason] += 1

    def leave_out_unannotated(self) -> None:
        """Count an image that is left out because no object of it is left."""
        self._leave_out_image(Reason.ANNOTATED_ONLY)

    def check(self, images: int, names: Sequence[str]) -> None:
        """Raise `ExportError(USAGE)` when none of so many images is selected, or a list names nothing; `names` are some of them."""
        self._lists.check(names)
        if images and self._images.total() == images:
            raise ExportError(Code.USAGE, f"none of the {images} images of the project is selected {self._by()}")

    def findings(self) -> Iterator[tuple[Finding, str]]:
        """Yield what the options ask for that the project does not have."""
        for option, used in self._lists.used.items():
            if used.unmatched:
                what = "image" if option == "images_from" else "object"
                message = f"{used.file} lists what is no {what} of the project: {used.unmatched:,} of {used.entries:,}, the first is {used.example!r}"
                yield Finding.SELECTION_UNMATCHED, message
        for name in sorted(self._unseen):
            yield Finding.SELECTION_UNMATCHED, f"the condition asks for {name!r}: no object has such an attribute"
        for name in sorted(self._unseen_of_image):
            yield Finding.SELECTION_UNMATCHED, f"the condition asks for 'image.{name}': no image has such an attribute"
        yield from ((Finding.SELECTION_UNMATCHED, each) for each in self._odd)

    def chosen(self, images: int, objects: int) -> Chosen:
        """Return what was selected of a project with so many images and objects."""
        return Chosen(_counted(images, self._images), _counted(objects, self._objects), self._lists.used)

    def _look_at_kinds(self, attributes: Mapping[str, Attribute], *, of_image: bool) -> None:
        """Remember values that can never meet the condition, as they are of another kind than what they are compared with."""
        for name, kinds in list(self._kinds.items()):
            value = attributes.get(name.name) if name.of_image is of_image else None
            if value is not None and kind_of(value) not in kinds:
                del self._kinds[name]
                shown = f"image.{name.name}" if of_image else name.name
                asked = " or ".join(sorted(kinds - {"null"}))
                self._odd.append(
                    f"the condition compares {shown!r} with a {asked}, and {value!r} is a {kind_of(value)}: values of different kinds never match"
                )

    def _leave_out_image(self, reason: Reason) -> Reason:
        self._images[reason] += 1
        return reason

    def _by(self) -> str:
        said = {
            Reason.IMAGES_FROM: "by the list",
            Reason.SELECT: f"by {listed(self._options.select)}",
            Reason.EXCLUDE: f"when {listed(self._options.exclude)} are excluded",
            Reason.WHERE: f"by the condition {self._options.where!r}",
        }
        return ", ".join(said[each] for each in said if self._images[each])


def check_selection(options: ExportOptions) -> None:
    """Raise `ExportError(USAGE)` for a condition that cannot be read, bounds that hold nothing, or a list whose path is relative."""
    condition_of(options.where)
    least, most = options.min_area, options.max_area
    if least is not None and most is not None and least > most:
        raise ExportError(Code.USAGE, f"no area is at least {least:g} and at most {most:g}: exchange the two bounds")
    for path in (options.images_from, options.objects_from):
        if path is not None and not Path(path).is_absolute():
            message = f"the list {path!r} has a relative path: name it as the worker sees it, from the root on"
            raise ExportError(Code.USAGE, message, path)


def _counted(found: int, left_out: Counter[Reason]) -> Counted:
    in_order = {str(each): left_out[each] for each in Reason if left_out[each]}
    return Counted(found, found - left_out.total(), in_order)
