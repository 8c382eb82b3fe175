"""What Pascal VOC has beside its images: lists of them, and the map of classes to colours. The xml and masks of an image: voc.py."""

from collections.abc import Sequence

from labelferry_export.findings import Loss, Warn
from labelferry_export.format import Written, loss_of_all
from labelferry_export.formats._voc_colours import voc_colours
from labelferry_export.formats._xml import is_xml
from labelferry_export.formats._yolo import split_by_role
from labelferry_export.model import Category

NAME = "voc"
VOID = 255
MOST_VALUES = VOID - 1
"""Of a mask: classes of the project, objects of an image."""


def image_sets(splits: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the lists of images by name, each with the splits whose images it holds; none means all images.

    A split that is train, val or test by its name has that list. `trainval` is all but the test. Without splits all but `test` are there.
    """
    if not splits:
        return {"train": (), "val": (), "trainval": ()}
    by_role = split_by_role(splits)
    role_of = {split: role for role, split in by_role.items() if split and (role == split or role not in splits)}
    sets: dict[str, tuple[str, ...]] = {role_of.get(split, split): (split,) for split in splits}
    rest = tuple(split for split in splits if split != by_role["test"])
    return {**sets, "trainval": rest} if rest and "trainval" not in sets else sets


def labelmap(categories: Sequence[Category]) -> Written:
    """Return labelmap.txt, as CVAT and Datumaro read it, and what it cannot say."""
    lines, losses = ["# label:color_rgb:parts:actions\n"], []
    colours = voc_colours().tolist()
    for number, name in enumerate(("background", *(each.name for each in categories))):
        label = "".join("_" if each in ":\n\r" else each for each in name)
        label = f"_{label[1:]}" if label.startswith("#") else label
        if label != name:
            message = f"the class {name!r} is called {label!r} in labelmap.txt, which has no other way to say it"
            losses.append(loss_of_all(Loss.RENAMED, NAME, message))
        red, green, blue = colours[number] if number < VOID else (0, 0, 0)
        lines.append(f"{label}:{red},{green},{blue}::\n")
    return Written("".join(lines).encode(errors="replace"), tuple(losses))


def class_losses(categories: Sequence[Category], masks: bool) -> list[Warn]:
    """Return what the format cannot say of the classes."""
    losses = [
        loss_of_all(Loss.RENAMED, NAME, f"characters of the class {each.name!r} that XML cannot say were replaced")
        for each in categories
        if not is_xml(each.name)
    ]
    if masks and len(categories) > MOST_VALUES:
        message = f"{len(categories)} classes are more than the {MOST_VALUES} of a VOC mask: boxes only; semantic_masks can hold them"
        losses.append(loss_of_all(Loss.REDUCED, NAME, message))
    return losses
