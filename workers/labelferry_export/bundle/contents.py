"""What a bundle holds, counted: images and objects in all, by class, by split, and by split and class."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

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
    """Counts in all, by category id, by split in order, and by split and category id."""

    total: Count = field(default_factory=Count)
    classes: dict[int, Count] = field(default_factory=dict)
    splits: dict[str, Count] = field(default_factory=dict)
    split_classes: dict[str, dict[int, Count]] = field(default_factory=dict)

    @classmethod
    def of(cls, category_ids: Sequence[int], splits: Sequence[str]) -> Self:
        """Return counts of nothing yet, for these classes and splits."""
        return cls(
            classes={each: Count() for each in category_ids},
            splits={split: Count() for split in splits},
            split_classes={split: {each: Count() for each in category_ids} for split in splits},
        )

    def add_tally(self, tally: Tally) -> None:
        """Count what one row of a snapshot's tallies says."""
        if tally.category_id is not None:
            self._add_class(tally.split, tally.category_id, Count(tally.images, tally.instances))
            return
        self.total.add(tally.images, tally.instances)
        if tally.split is not None:
            self.splits[tally.split].add(tally.images, tally.instances)

    def add_image(self, split: str | None, category_ids: Sequence[int]) -> None:
        """Count one image by the class of each of its objects."""
        self.total.add(1, len(category_ids))
        for category, objects in Counter(category_ids).items():
            self._add_class(split, category, Count(1, objects))
        if split is not None:
            self.splits[split].add(1, len(category_ids))

    def _add_class(self, split: str | None, category: int, count: Count) -> None:
        self.classes[category].add(count.images, count.objects)
        if split is not None:
            self.split_classes[split][category].add(count.images, count.objects)
