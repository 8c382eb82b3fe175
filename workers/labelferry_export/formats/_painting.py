"""Puts an image's objects on one canvas, for the formats that are index masks, and writes such a mask. One z-order for all of them:

objects in ascending order of their ids, later ones on top; crowds below all others. What lies under something else is counted.
"""

from collections.abc import Generator, Iterator, Sequence
from pathlib import PurePosixPath
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from labelferry_export.bundle.packed import PackedFile, pack
from labelferry_export.findings import Loss, Warn
from labelferry_export.format import FormatJob, loss, no_pixel
from labelferry_export.geometry.raster import runs_of_all
from labelferry_export.geometry.ring import Flags, Integers
from labelferry_export.geometry.runs import Runs, areas_of
from labelferry_export.instances import Instances, shapes_of
from labelferry_export.lanes.task import Piece
from labelferry_export.model import Image, Instance
from labelferry_export.overlays.png import Bytes, Extras, Pixels, encode_png
from labelferry_export.plan import Step

ORDER = "objects in ascending order of their ids, later ones on top; crowds below all others"
"""The z-order in words, for the people who read a bundle."""
BLOCK = 1 << 20
"""Pixels counted at once."""
OBJECTS_PER_STEP = 200
"""Objects painted between two yields: large ones have hundreds of runs each."""


def in_painting_order(instances: Sequence[Instance]) -> Sequence[Instance]:
    """Return objects from the lowest to the uppermost."""
    if isinstance(instances, Instances):
        columns = instances.columns
        return Instances(instances.image_id, columns.taken(np.lexsort((columns.ids, ~columns.crowds))))
    return sorted(instances, key=lambda each: (not each.crowd, each.id))


Value = TypeVar("Value", bound=np.generic)
Numbers = TypeVar("Numbers", bound=NDArray[np.unsignedinteger])


class Painting:
    """A canvas for at most so many objects: each pixel holds the place of the object on top, from 1 in the order they were added."""

    def __init__(self, width: int, height: int, objects: int) -> None:
        self.width, self.height = width, height
        self._places: NDArray[np.unsignedinteger] = np.zeros(width * height, np.min_scalar_type(objects))
        """Column by column, as runs number the pixels."""
        self._runs: list[Runs] = []
        self.areas: list[int] = []
        """How many pixels each object covers, seen or not."""

    def add(self, instances: Sequence[Instance]) -> None:
        """Paint more objects over what is there."""
        masks = runs_of_all(shapes_of(instances), self.width, self.height)
        self.areas += areas_of(masks)
        for runs in masks:
            self._runs.append(runs)
            place = len(self._runs)
            edges = runs.edges.tolist()
            for start, end in zip(edges[::2], edges[1::2], strict=True):
                self._places[start:end] = place

    def mask(self, values: NDArray[Value]) -> NDArray[Value]:
        """Return the image's mask, shape (height, width): `values`, (objects + 1,), by place; the first is the background's."""
        mask = np.empty_like(values, shape=len(self._places))
        for _ in self.fill(mask, values):
            pass
        return mask.reshape(self.width, self.height).T

    def fill(self, mask: NDArray[Value], values: NDArray[Value]) -> Iterator[None]:
        """Fill `mask`, (width * height,) column by column, as `mask()` does, a yield after every million pixels."""
        for start in range(0, len(self._places), BLOCK):
            block = self._places[start : start + BLOCK]
            # Every place has a value: `clip` changes none, and spares numpy a copy.
            values.take(block, out=mask[start : start + BLOCK], mode="clip")
            yield

    def hidden(self, values: Sequence[int]) -> dict[int, int]:
        """Return how many pixels of each value lie under another value, as far as any do; `values` as of `mask`, 0 is not counted."""
        if sum(self.areas) == np.count_nonzero(self._places):
            return {}
        seen = self.seen()
        places: dict[int, list[int]] = {}
        for place, value in enumerate(values[1:], start=1):
            if value:
                places.setdefault(value, []).append(place)
        covered = {value: self._covered(members) - int(seen[members].sum()) for value, members in places.items()}
        return {value: pixels for value, pixels in covered.items() if pixels}

    def borders(self, border: Flags, reach: int) -> Iterator[None]:
        """Set in `border`, (width * height,) column by column, what lies within `reach` of an object's outermost pixels; yields now and then.

        Within `reach` is a square; outermost are pixels beside which, in the image, another object lies, or none.
        """
        places, border = self._places.reshape(self.width, self.height), border.reshape(self.width, self.height)
        columns, halo = max(BLOCK // self.height, 1), reach + 1
        for left in range(0, self.width, columns):
            first, last = max(left - halo, 0), left + columns + halo
            border[left : left + columns] = _grown(_outermost(places[first:last]), reach)[left - first :][:columns]
            yield

    def seen(self, where: Flags | None = None) -> Integers:
        """Return how many pixels of each place are on top, (objects + 1,); of those only that are set in `where`, if it is given."""
        seen = np.zeros(len(self._runs) + 1, np.int64)
        for start in range(0, len(self._places), BLOCK):
            block = self._places[start : start + BLOCK]
            seen += np.bincount(block if where is None else block[where[start : start + BLOCK]], minlength=len(seen))
        return seen

    def _covered(self, places: Sequence[int]) -> int:
        first, *others = (self._runs[place - 1] for place in places)
        return first.union(*others).area if others else first.area


def _outermost(places: NDArray[np.unsignedinteger]) -> Flags:
    """Return which pixels are an object's and have another place beside them. places: (width, height)."""
    found = np.zeros(places.shape, np.bool_)
    across, down = places[1:] != places[:-1], places[:, 1:] != places[:, :-1]
    found[1:] |= across
    found[:-1] |= across
    found[:, 1:] |= down
    found[:, :-1] |= down
    return found & (places > 0)


def _grown(flags: Flags, reach: int) -> Flags:
    """Return the pixels within `reach` of a set one, along both axes."""
    for turned in (False, True):
        flags = flags.T if turned else flags
        wide = flags.copy()
        for shift in range(1, reach + 1):
            wide[shift:] |= flags[:-shift]
            wide[:-shift] |= flags[shift:]
        flags = wide.T if turned else wide
    return flags


def painted(image: Image, instances: Sequence[Instance]) -> Generator[Piece, None, tuple[Painting, int]]:
    """Return a painting of `instances`, in the order they have, and how many of them no piece has told of; yields one after every few."""
    painting = Painting(image.width, image.height, len(instances))
    for start in range(0, len(instances), OBJECTS_PER_STEP):
        few = instances[start : start + OBJECTS_PER_STEP]
        painting.add(few)
        if start + len(few) == len(instances):
            return painting, len(few)
        yield Piece(objects=len(few))
    return painting, 0


def paint(job: FormatJob, image: Image, instances: Sequence[Instance]) -> Generator[Step, None, Painting]:
    """Return a painting as `painted` does, for a format that is no task; yields steps."""
    painting = Painting(image.width, image.height, len(instances))
    for start in range(0, len(instances), OBJECTS_PER_STEP):
        few = instances[start : start + OBJECTS_PER_STEP]
        painting.add(few)
        yield job.step(image, len(few), last=False)
    return painting


def filled(painting: Painting, values: Numbers, void: Flags | None = None) -> Generator[Piece, None, Numbers]:
    """Return the mask of a painting, shape (height, width), as `Painting.mask` does; yields empty pieces in between.

    The pixels that are set in `void`, (width * height,) column by column, get the greatest value there is.
    """
    mask: Numbers = np.empty_like(values, shape=(painting.width, painting.height))
    pixels = mask.reshape(-1)
    for _ in painting.fill(pixels, values):
        yield Piece()
    if void is not None:
        pixels[void] = np.iinfo(mask.dtype).max
    return mask.T


def packed_mask(
    name: str, painting: Painting, values: Pixels, palette: Bytes | None = None, void: Flags | None = None
) -> Generator[Piece, None, PackedFile]:
    """Return the mask of a painting, `filled` with its `values` by place, as a PNG of the bundle; yields empty pieces in between."""
    mask = yield from filled(painting, values, void)
    blocks = []
    for block in encode_png(mask, Extras(palette)):
        blocks.append(block)
        yield Piece()
    return pack(name, b"".join(blocks))


def mask_file(folder: str, image: Image, ending: str = ".png") -> str:
    """Return the name of an image's mask below `folder`: in its split's folder where there is one."""
    return f"{folder}/{PurePosixPath(image.bundle_file).with_suffix('')}{ending}"


def empty_losses(
    image: Image, instances: Sequence[Instance], painting: Painting, format_name: str, kind: Loss = Loss.DROPPED
) -> list[Warn]:
    """Return a finding for each of the painted `instances` that covers no pixel centre; `kind` is what that loses."""
    return [
        no_pixel(
            kind,
            format_name,
            f"object {each.id} covers no pixel centre: it is not in the mask",
            image,
            each.id,
        )
        for each, area in zip(instances, painting.areas, strict=True)
        if not area
    ]


def object_losses(
    image: Image, instances: Sequence[Instance], painting: Painting, format_name: str, kind: Loss = Loss.DROPPED
) -> list[Warn]:
    """Return what a mask of objects cannot say: one finding for all that is hidden, and one, of `kind`, for each object of which nothing is seen."""
    hidden = painting.hidden([0, *(0 if each.crowd else place for place, each in enumerate(instances, start=1))])
    if not hidden:
        return []
    message = f"{sum(hidden.values())} px of objects lie under other objects: the object with the greatest id shows"
    losses = [loss(Loss.HIDDEN, format_name, message, image)]
    for place, pixels in hidden.items():
        if pixels == painting.areas[place - 1]:
            number = instances[place - 1].id
            sentence = f"object {number} lies wholly under other objects: it is not in the mask"
            losses.append(loss(kind, format_name, sentence, image, number))
    return losses
