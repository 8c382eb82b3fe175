"""What a format loses, as it declares it: of single objects, of all objects alike, and what it has no place for at all."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from labelferry_export.findings import Finding, Loss, Warn
from labelferry_export.model import ProjectFacts


class Aspect(StrEnum):
    """Something that a project may say and a format may have no place for; the value is what it is called in sentences."""

    ATTRIBUTES = "attributes of objects"
    IMAGE_ATTRIBUTES = "attributes of images"
    SUPERCATEGORIES = "groups of classes"


@dataclass(frozen=True)
class Lossiness:
    """What a format may lose.

    `single` are the kinds of losses that it reports one by one. `alike` are those that happen to every object, by kind, in a
    sentence; they are reported once. So is what is `unsaid`, where the project says it.
    """

    single: tuple[Loss, ...] = ()
    alike: Mapping[Loss, str] = field(default_factory=dict)
    unsaid: tuple[Aspect, ...] = ()

    def in_words(self) -> str:
        """Return it as its cell in the table of formats shows it."""
        kinds = [*self.single, *(f"{kind} (all)" for kind in self.alike)]
        words = [", ".join(kinds)] if kinds else []
        return (
            "; ".join([*words, f"without {' and '.join(self.unsaid)}"] if self.unsaid else words) or "nothing is lost"
        )


def losses_of_project(format_name: str, lossiness: Lossiness, facts: ProjectFacts) -> Iterator[Warn]:
    """Yield what a format cannot say of a project as a whole, whatever its objects are one by one."""
    if facts.instances:
        for kind, message in lossiness.alike.items():
            yield Warn(code=Finding.FORMAT_LOSS, message=message, format=format_name, loss=kind)
    said = {
        Aspect.ATTRIBUTES: facts.has_attributes,
        Aspect.IMAGE_ATTRIBUTES: facts.has_image_attributes,
        Aspect.SUPERCATEGORIES: any(each.supercategory for each in facts.categories),
    }
    for aspect in lossiness.unsaid:
        if said[aspect]:
            message = f"{aspect} are left out: it has no place for them"
            yield Warn(code=Finding.FORMAT_LOSS, message=message, format=format_name, loss=Loss.REDUCED)
