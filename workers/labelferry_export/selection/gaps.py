"""What splits lack, so that a training or a measurement on them would: told before anybody trains. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from labelferry_export.model import Category
from labelferry_export.selection.words import listed


def gaps(
    splits: Sequence[str], objects: Mapping[str | None, Mapping[int, int]], categories: Sequence[Category]
) -> Iterator[str]:
    """Yield a sentence for each split without images, or without objects of a class that another split has.

    `objects` are counts by split and class id; a split without images is not in it.
    """
    there = {number for counts in objects.values() for number, count in counts.items() if count}
    for split in splits:
        if split not in objects:
            yield f"the split {split!r} has no images"
        elif missing := [each.name for each in categories if each.id in there and not objects[split].get(each.id)]:
            yield f"the split {split!r} has no object of {listed(missing, 6)}"
