"""From pixels to regions: masks traced along the EDGES of their pixels, so that the region covers exactly the mask's pixels.

Pixels hang together by their sides (4-connected); two that touch only at a corner are two parts. Every ring is simple: an outline that
meets itself at a corner is cut there, so holes may touch their outer ring, or each other, in single points.
"""

import numpy as np

from labelferry_export.geometry.ring import Flags, Integers
from labelferry_export.geometry.runs import Runs
from labelferry_export.geometry.shape import Part, Ring, Shape

Corner = int
Loop = list[Corner]


def shape_of_runs(runs: Runs) -> Shape | None:
    """Return the region of a mask given as runs, None when no pixel is set; only the box around the set pixels is unfolded."""
    box = runs.bbox
    if box is None:
        return None
    return shape_of_mask(runs.mask(box), offset=(box[0], box[1]))


def shape_of_mask(mask: Flags, offset: tuple[int, int] = (0, 0)) -> Shape | None:
    """Return the region of the set pixels of a bool mask, shape (height, width), None when there are none.

    Vertices are whole numbers, without any on a straight stretch; `offset` is added to their (x, y). Each ring begins at
    its topmost, then leftmost vertex, and so are parts and holes ordered. Rasterised again, the shape is the mask exactly.
    """
    padded = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), dtype=np.bool_)
    padded[1:-1, 1:-1] = mask
    x, y, twin = _corners(padded)
    if not len(x):
        return None
    across, down = _mates(padded, x, y)
    loops = _loops(across.tolist(), down.tolist(), twin.tolist())
    starts = np.array([loop[0] for loop in loops])
    solid = padded[y[starts] + 1, x[starts] + 1]
    points = np.stack([x, y], axis=1)
    rings: list[Ring] = [ring.astype(np.float64) for ring in _split(points[_flat(loops)] + offset, loops)]
    holes: dict[int, list[Ring]] = {index: [] for index in np.flatnonzero(solid).tolist()}
    if not solid.all():
        for hole, parent in _parents(loops, solid, points).items():
            holes[parent].append(rings[hole])
    return Shape(tuple(Part(rings[index], tuple(inner)) for index, inner in holes.items()))


def _corners(padded: Flags) -> tuple[Integers, Integers, Integers]:
    """Return x and y of every corner of the outline, by rows, and its twin.

    Where two pixels touch only diagonally there are two corners, twins of each other; any other corner is its own twin.
    """
    side_left = padded[1:, :-1] != padded[:-1, :-1]
    side_right = padded[1:, 1:] != padded[:-1, 1:]
    side_up = padded[:-1, 1:] != padded[:-1, :-1]
    contact = side_left & side_right & side_up
    y, x = np.nonzero((side_left != side_right) | contact)
    times = np.where(contact[y, x], 2, 1)
    first = np.cumsum(times) - times
    twin = np.arange(times.sum())
    pair = first[times == 2]
    twin[pair], twin[pair + 1] = pair + 1, pair
    return np.repeat(x, times), np.repeat(y, times), twin


def _mates(padded: Flags, x: Integers, y: Integers) -> tuple[Integers, Integers]:
    """Return for each corner the one at the other end of its horizontal and of its vertical side.

    Along a row sides and gaps alternate between the corners, along a column too. Of twins the first has the side to the left and the
    second the one to the right; which of them has the side upwards depends on which two pixels touch, so that
    each twin belongs to one of those pixels.
    """
    number = np.arange(len(x))
    second_has_up = ~padded[y, x]
    order = np.lexsort((np.where(second_has_up, -number, number), y, x))
    down = np.empty_like(number)
    down[order[::2]], down[order[1::2]] = order[1::2], order[::2]
    return number ^ 1, down


def _loops(across: list[Corner], down: list[Corner], twin: list[Corner]) -> list[Loop]:
    """Follow the sides from corner to corner until each one is in a loop; a loop begins with its first corner, by rows, and so do all loops."""
    loops: list[Loop] = []
    seen = bytearray(len(across))
    for start in range(len(across)):
        if seen[start]:
            continue
        loop: Loop = []
        corner = start
        while not seen[corner]:
            mate = across[corner]
            loop += (corner, mate)
            seen[corner] = seen[mate] = 1
            corner = down[mate]
        loops += _cut(loop, twin)
    return sorted(loops)


def _cut(loop: Loop, twin: list[Corner]) -> list[Loop]:
    """Cut a loop wherever it passes both twins of a contact; the pieces are simple, each begins with its first corner by rows."""
    place = {corner: index for index, corner in enumerate(loop) if twin[corner] != corner}
    if all(twin[corner] not in place for corner in place):
        return [loop]
    place.clear()
    pieces: list[Loop] = []
    path: Loop = []
    for corner in loop:
        begin = place.get(twin[corner])
        if begin is not None:
            pieces.append(path[begin:])
            for gone in path[begin:]:
                place.pop(gone, None)
            del path[begin:]
        if twin[corner] != corner:
            place[corner] = len(path)
        path.append(corner)
    pieces.append(path)
    firsts = [piece.index(min(piece)) for piece in pieces]
    return [piece[first:] + piece[:first] for piece, first in zip(pieces, firsts, strict=True)]


def _parents(loops: list[Loop], solid: Flags, points: Integers) -> dict[int, int]:
    """Return for each loop that is a hole the outer loop around it.

    Straight up from the first side of a hole there are set pixels only, until a side of the outer loop or of another hole of it.
    """
    corners = points[_flat(loops)]
    ahead = np.concatenate([np.roll(ring, -1, axis=0) for ring in _split(corners, loops)])
    level = corners[:, 1] == ahead[:, 1]
    x = np.minimum(corners[level, 0], ahead[level, 0])
    length = np.abs(corners[level, 0] - ahead[level, 0])
    owner = np.repeat(np.repeat(np.arange(len(loops)), [len(loop) for loop in loops])[level], length)
    along = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    rows = int(points[:, 1].max()) + 1
    key = (np.repeat(x, length) + along) * rows + np.repeat(corners[level, 1], length)
    order = np.argsort(key)
    holes = np.flatnonzero(~solid)
    first = points[[loops[hole][0] for hole in holes]]
    above = owner[order[np.searchsorted(key[order], first[:, 0] * rows + first[:, 1]) - 1]]
    parents: dict[int, int] = {}
    for hole, ring in zip(holes.tolist(), above.tolist(), strict=True):
        parents[hole] = ring if solid[ring] else parents[ring]
    return parents


def _flat(loops: list[Loop]) -> Loop:
    return [corner for loop in loops for corner in loop]


def _split(points: Integers, loops: list[Loop]) -> list[Integers]:
    return np.split(points, np.cumsum([len(loop) for loop in loops])[:-1])
