"""What a bundle holds, counted: images and objects in all, by class and by split."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from labelferry_export.snapshot import Tally


@dataclass(slots=True)
class Count:
    """Images (of a class: those with such an object) and objects."""

    images: int = 0
    objects: int = 0

    def add(self, images: int, objects: int) -> None:
        """Count more of them."""
        self.images += images
        self.objects += objects


@dataclass
class Contents:
    """Counts in all, by category id, and by split in the order of the options."""

    total: Count = field(default_factory=Count)
    classes: dict[int, Count] = field(default_factory=dict)
    splits: dict[str, Count] = field(default_factory=dict)

    def add_tally(self, tally: Tally) -> None:
        """Count what one row of a snapshot's tallies says."""
        if tally.category_id is not None:
            self.classes[tally.category_id].add(tally.images, tally.instances)
            return
        self.total.add(tally.images, tally.instances)
        if tally.split is not None:
            self.splits[tally.split].add(tally.images, tally.instances)

    def add_image(self, split: str | None, category_ids: Sequence[int]) -> None:
        """Count one image by the class of each of its objects."""
        self.total.add(1, len(category_ids))
        for category, objects in Counter(category_ids).items():
            self.classes[category].add(1, objects)
        if split is not None:
            self.splits[split].add(1, len(category_ids))
