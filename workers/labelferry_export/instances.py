"""The objects of one image as columns, which is how a snapshot holds them, and as the sequence of instances that most readers want."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Self, overload

import msgspec
import numpy as np

from labelferry_export.geometry.ring import Flags, Integers, Rings, Shapes, joined, lay_out
from labelferry_export.geometry.shape import Shape
from labelferry_export.model import Attribute, Instance

_decode = msgspec.json.Decoder(dict[str, Attribute]).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, eq=False)
class Columns:
    """Objects, row i of every column one of them. ids, categories: (n,); crowds: (n,); rings: n shapes.

    `attributes` are json objects, empty bytes for an object without; None when no object has any.
    """

    ids: Integers
    categories: Integers
    crowds: Flags
    rings: Rings
    attributes: Sequence[bytes] | None = None

    @classmethod
    def of(cls, instances: Sequence[Instance]) -> Self:
        """Return instances as columns."""
        given = [_encode(each.attributes) if each.attributes else b"" for each in instances]
        return cls(
            ids=np.array([each.id for each in instances], np.int64),
            categories=np.array([each.category_id for each in instances], np.int64),
            crowds=np.array([each.crowd for each in instances], np.bool_),
            rings=lay_out([each.shape for each in instances]),
            attributes=given if any(given) else None,
        )

    @classmethod
    def joined(cls, several: Sequence[Self]) -> Self:
        """Return the rows of all of them, one after the other."""
        if len(several) == 1:
            return several[0]
        given = None
        if any(each.attributes for each in several):
            given = [row for each in several for row in each.attributes or [b""] * len(each)]
        return cls(
            ids=np.concatenate([np.empty(0, np.int64), *(each.ids for each in several)]),
            categories=np.concatenate([np.empty(0, np.int64), *(each.categories for each in several)]),
            crowds=np.concatenate([np.empty(0, np.bool_), *(each.crowds for each in several)]),
            rings=joined([each.rings for each in several]),
            attributes=given,
        )

    def __len__(self) -> int:
        return len(self.ids)

    def taken(self, chosen: Integers) -> Self:
        """Return the rows with these indices, (k,), in this order."""
        return self._of_rows(chosen, self.rings.taken(chosen))

    def attribute_maps(self) -> Iterator[dict[str, Attribute]]:
        """Yield the attributes of each object, an empty map for one without."""
        for said in self.attributes or repeat(b"", len(self)):
            yield _decode(said) if said else {}

    @property
    def without_crowds(self) -> Self:
        """The rows that are no crowds."""
        return self.taken(np.flatnonzero(~self.crowds)) if self.crowds.any() else self

    def with_shapes(self, changed: Mapping[int, Shape | None]) -> Self:
        """Return the rows with other shapes at some indices; without the rows whose shape is None."""
        kept = [index for index, shape in changed.items() if shape is not None]
        dropped = [index for index, shape in changed.items() if shape is None]
        shapes = lay_out([shape for shape in changed.values() if shape is not None])
        chosen = np.arange(len(self))
        chosen[kept] = len(self) + np.arange(len(kept))
        rows = np.delete(np.arange(len(self)), dropped)
        rings = joined([self.rings, shapes]).taken(np.delete(chosen, dropped))
        return self._of_rows(rows, rings)

    def _of_rows(self, chosen: Integers, rings: Rings) -> Self:
        given = self.attributes
        return type(self)(
            ids=self.ids[chosen],
            categories=self.categories[chosen],
            crowds=self.crowds[chosen],
            rings=rings,
            attributes=None if given is None else [given[index] for index in chosen.tolist()],
        )


class Instances(Sequence[Instance]):
    """The objects of one image, in order. What needs no single object takes `columns`; each object is made when it is looked at."""

    def __init__(self, image_id: int, columns: Columns) -> None:
        self.image_id = image_id
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns)

    def __iter__(self) -> Iterator[Instance]:
        return iter(self._made)

    @overload
    def __getitem__(self, index: int) -> Instance: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> "Instance | Self":
        if isinstance(index, int):
            return self._made[index]
        chosen = np.arange(len(self))[index]
        return self if len(chosen) == len(self) else type(self)(self.image_id, self.columns.taken(chosen))

    @cached_property
    def _made(self) -> list[Instance]:
        columns = self.columns
        return [
            Instance(number, self.image_id, category, shape, crowd, attributes)
            for number, category, shape, crowd, attributes in zip(
                columns.ids.tolist(),
                columns.categories.tolist(),
                columns.rings.shape_list(),
                columns.crowds.tolist(),
                columns.attribute_maps(),
                strict=True,
            )
        ]


def columns_of(instances: Sequence[Instance]) -> Columns:
    """Return instances as columns: at no cost where they are held so."""
    return instances.columns if isinstance(instances, Instances) else Columns.of(instances)


def shapes_of(instances: Sequence[Instance]) -> Shapes:
    """Return the shapes of instances, one by one or as rings: as they are held."""
    return instances.columns.rings if isinstance(instances, Instances) else [each.shape for each in instances]
