"""From the rings a file holds to a region one can rely on: finite, inside its image, valid, with an area; or the reason why not.

A part that is all that already passes unchanged, vertex for vertex. Nothing is changed or left out without a finding,
except vertices that repeat the one before them, the closing one included: without them the region is the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Geometry

from labelferry_export.findings import Finding
from labelferry_export.geometry.raster import FARTHEST
from labelferry_export.geometry.repair import FEW, endless, even_odd, have_area, parts_of, pixels_of, tangled
from labelferry_export.geometry.ring import Flags, Floats, Integers, Rings, lay_out, next_of, signed_area
from labelferry_export.geometry.shape import Part, Shape
from labelferry_export.geometry.steps import simple_steps

RawRing = Sequence[object] | NDArray[np.generic]
"""Vertices as a file holds them: x, y, x, y, ... or [x, y], [x, y], ...; anything may be wrong with them."""


@dataclass(frozen=True, eq=False)
class RawPart:
    """A ring with its holes, as a file holds them."""

    outer: RawRing
    holes: Sequence[RawRing] = ()


RawObject = Shape | Sequence[RawRing | RawPart | Part]
"""What one object is made of; rings beside each other are a union, as in COCO."""


@dataclass(frozen=True)
class CleanFinding:
    """What was wrong with an object and what was done: its kind, a sentence for a person, and areas in px^2 where they changed."""

    kind: Finding
    message: str
    area_before: float | None = None
    area_after: float | None = None


@dataclass(frozen=True, eq=False)
class Cleaned:
    """An object after cleaning. `shape` is None when nothing is left; the findings then hold one OBJECT_DROPPED that says why."""

    shape: Shape | None
    findings: tuple[CleanFinding, ...] = ()


class _Flaw(ValueError):
    """A ring encloses nothing; the text says why."""


def clean(raw: RawObject, width: int, height: int) -> Cleaned:
    """Return `raw` as a region inside [0, width] x [0, height]."""
    shape = _as_read(raw)
    if shape is not None and flawless(lay_out([shape]), width, height)[0]:
        return Cleaned(shape)
    return _Cleaning(width, height).run(raw)


def mend(shape: Shape, width: int, height: int) -> Cleaned:
    """Return a shape that is not `flawless` as `clean` does, in less time."""
    return _Cleaning(width, height, known=len(shape.parts) == 1).run(shape)


def _as_read(raw: RawObject) -> Shape | None:
    """Return the rings as they are, None when one of them cannot even be a ring."""
    try:
        parts = tuple(Part(_vertices(outer), tuple(map(_vertices, holes))) for outer, holes in _rings(raw))
    except _Flaw:
        return None
    return Shape(parts) if parts else None


def _rings(raw: RawObject) -> Iterator[tuple[RawRing, Sequence[RawRing]]]:
    for piece in raw.parts if isinstance(raw, Shape) else raw:
        yield (piece.outer, piece.holes) if isinstance(piece, RawPart | Part) else (piece, ())


def _vertices(ring: RawRing) -> Floats:
    """Return a ring's vertices as they stand, (n, 2); raises _Flaw when they are no numbers, no pairs, or fewer than three."""
    try:
        points = np.asarray(ring, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise _Flaw("is not made of pairs of numbers") from None
    if points.ndim == 1 and len(points) % 2 == 0:
        points = points.reshape(-1, 2)
    if points.ndim != 2 or points.shape[1] != 2:
        raise _Flaw("is not made of pairs of numbers")
    if len(points) < 3:
        raise _Flaw("has fewer than three distinct points")
    return points


def flawless(rings: Rings, width: int | Integers, height: int | Integers) -> Flags:
    """Return which shapes `clean` would leave as they are, (n,): finite, inside the image, without repeated vertices, valid, with an area.

    All at once, in images of one size, or each of its own, (n,); what is not among them has to go to `mend`, one by one.
    """
    ring_flawed = _flawed_rings(rings, width, height)
    part_flawed = np.zeros(len(rings.part_shape), np.bool_)
    part_flawed[rings.part[ring_flawed]] = True
    known = (rings.rings_of_part == 1) & ~part_flawed
    known[known] = simple_steps(rings, known[rings.part])[known[rings.part]]
    for each in np.flatnonzero((rings.sizes > FEW) & ~(part_flawed | known)[rings.part]).tolist():
        part_flawed[rings.part[each]] |= endless(rings.points[rings.starts[each] :][: rings.sizes[each]])
    asked = ~(part_flawed | known)
    usable = asked[rings.part]
    if usable.any():
        of_usable = np.repeat(usable, rings.sizes)
        lines = shapely.linearrings(rings.points[of_usable], indices=_renumbered(rings.ring[of_usable]))
        polygons = shapely.polygons(lines, indices=_renumbered(rings.part[usable]))
        part_flawed[asked] = ~(shapely.is_valid(polygons) & have_area(polygons))
    fine: Flags = rings.parts_of_shape > 0
    fine[rings.part_shape[part_flawed]] = False
    return fine


def _flawed_rings(rings: Rings, width: int | Integers, height: int | Integers) -> Flags:
    """Return which rings have too few vertices, one that is not in the image, or one that repeats the one before it."""
    flawed: Flags = rings.sizes < 3
    if not len(rings.points):
        return flawed
    points = np.ascontiguousarray(rings.points)
    pairs = points.view(np.complex128).reshape(-1)
    same = np.flatnonzero(pairs == rings.ahead(pairs))
    flawed[np.searchsorted(rings.starts, same, side="right") - 1] = True
    owner = rings.part_shape[rings.part]
    for values, most in zip(points.T, (width, height), strict=True):
        low, high = _least_and_most(np.ascontiguousarray(values), rings)
        # What is no number is neither within nor outside.
        flawed |= ~((low >= 0) & (high <= (most if isinstance(most, int) else most[owner])))
    return flawed


def _least_and_most(values: Floats, rings: Rings) -> tuple[Floats, Floats]:
    """Return the least and the greatest value of the vertices of each ring, (r,), anything for a ring without; values: (n,)."""
    # Each ring's stretch, then what lies between it and the next: nothing, or one value more at the very end.
    cuts = np.column_stack([rings.starts, rings.starts + rings.sizes]).reshape(-1)
    longer = np.append(values, 0.0)
    return np.minimum.reduceat(longer, cuts)[::2], np.maximum.reduceat(longer, cuts)[::2]


def _renumbered(sorted_numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return sorted numbers with the gaps between them closed: 0, 1, 2, ..."""
    return np.cumsum(np.diff(sorted_numbers, prepend=sorted_numbers[:1]) > 0)


@dataclass
class _Cleaning:
    """The cleaning of one object that has a flaw, part by part."""

    width: int
    height: int
    known: bool = False
    """Whether the object is one part, known not to be flawless."""
    findings: list[CleanFinding] = field(default_factory=list)

    def run(self, raw: RawObject) -> Cleaned:
        parts: list[Part] = []
        flaws: list[str] = []
        for outer, holes in _rings(raw):
            try:
                parts += self._part(outer, holes)
            except _Flaw as flaw:
                flaws.append(str(flaw))
        if not parts:
            reason = f"its outline {' or '.join(dict.fromkeys(flaws))}" if flaws else "it has no outline"
            return Cleaned(None, (CleanFinding(Finding.OBJECT_DROPPED, f"The object was left out: {reason}."),))
        for reason in flaws:
            self._note(f"A part of the object was left out: its outline {reason}.")
        return Cleaned(Shape(tuple(parts)), tuple(self.findings))

    def _part(self, outer: RawRing, holes: Sequence[RawRing]) -> tuple[Part, ...]:
        """Return what is left of one part; raises _Flaw when it is nothing."""
        ring = _distinct(outer)
        inner = list(self._holes(holes))
        as_it_was = self.known and len(ring) == len(outer) and list(map(len, inner)) == list(map(len, holes))
        part = Part(ring, tuple(inner))
        if not as_it_was and flawless(lay_out([Shape((part,))]), self.width, self.height)[0]:
            return (part,)
        region = self._without(self._region(ring, "outline"), inner)
        kept = parts_of(self._clipped(region))
        if not kept:
            raise _Flaw("lies outside of the image")
        return tuple(self._snapped(piece) for piece in kept)

    def _holes(self, holes: Sequence[RawRing]) -> Iterator[Floats]:
        for hole in holes:
            try:
                yield _distinct(hole)
            except _Flaw as flaw:
                self._note(f"A hole of the object was left out: it {flaw}.")

    def _region(self, ring: Floats, name: str) -> Geometry:
        """Return what a ring encloses, repaired when it meets itself; raises _Flaw when that is nothing."""
        polygon = shapely.polygons(ring)
        simple = not endless(ring) and bool(shapely.is_valid(polygon))
        knotted = not simple and tangled(ring)
        region = polygon if simple else pixels_of(ring, self.width, self.height) if knotted else even_odd(ring)
        if not have_area(region):
            raise _Flaw("has all its points on one line" if _collinear(ring) else "encloses no area")
        if not simple:
            how = "so often that its pixels take its place" if knotted else "and was repaired by the even-odd rule"
            self._note(f"The object's {name} meets itself {how}.", abs(signed_area(ring)), float(region.area))
        return region

    def _without(self, region: Geometry, holes: Sequence[Floats]) -> Geometry:
        """Return a region without its holes; a hole that reaches out of it, or into another one, is noted."""
        cuts = []
        for hole in holes:
            try:
                cuts.append(self._region(hole, "hole"))
            except _Flaw as flaw:
                self._note(f"A hole of the object was left out: it {flaw}.")
        if not cuts:
            return region
        rest = shapely.difference(region, shapely.union_all(cuts))
        told, after = region.area - sum(cut.area for cut in cuts), float(rest.area)
        if not np.isclose(told, after):
            self._note("The object's holes reach out of its outline or into each other: cut to fit.", told, after)
        if not have_area(rest):
            raise _Flaw("is all hole")
        return rest

    def _clipped(self, region: Geometry) -> Geometry:
        left, top, right, bottom = shapely.bounds(region)
        if left >= 0 and top >= 0 and right <= self.width and bottom <= self.height:
            return region
        inside = shapely.intersection(region, shapely.box(0, 0, self.width, self.height))
        message = f"The object reaches out of the image of {self.width} x {self.height} px: cut off at its border."
        self.findings.append(CleanFinding(Finding.OBJECT_CLIPPED, message, float(region.area), float(inside.area)))
        return inside

    def _snapped(self, part: Part) -> Part:
        """Return a part with the last rounding error of a cut taken off: no vertex lies outside."""
        border = (self.width, self.height)
        return Part(np.clip(part.outer, 0, border), tuple(np.clip(hole, 0, border) for hole in part.holes))

    def _note(self, message: str, before: float | None = None, after: float | None = None) -> None:
        self.findings.append(CleanFinding(Finding.OBJECT_REPAIRED, message, before, after))


def _distinct(ring: RawRing) -> Floats:
    """Return a ring's vertices without those that repeat the one before; raises _Flaw for a ring that cannot enclose anything."""
    points = _vertices(ring)
    if not (np.abs(points) < FARTHEST).all():
        raise _Flaw("has a coordinate that is not finite, or absurdly large")
    points = np.compress((points != next_of(points)).any(axis=1), points, axis=0)
    if not _are_three(points):
        raise _Flaw("has fewer than three distinct points")
    return points


def _are_three(points: Floats) -> bool:
    """Whether there are at least three distinct ones among the points."""
    if len(points) < 3:
        return False
    others = points[(points != points[0]).any(axis=1)]
    return bool(len(others) and (others != others[0]).any())


def _collinear(ring: Floats) -> bool:
    offsets = ring - ring[0]
    far = offsets[np.argmax((offsets**2).sum(axis=1))]
    across = np.abs(offsets[:, 0] * far[1] - offsets[:, 1] * far[0])
    return bool(across.max() <= 1e-9 * (far**2).sum())
