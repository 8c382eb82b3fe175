"""Regions: parts, each an outer ring with holes. What they are, not what they measure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ring = NDArray[np.float64]
"""Vertices of a closed line, shape (n, 2), n >= 3, columns x and y in px; the first vertex is not repeated at the end."""


@dataclass(frozen=True, eq=False)
class Part:
    """One connected piece: inside `outer`, outside every one of `holes`. Winding has no meaning."""

    outer: Ring
    holes: tuple[Ring, ...] = ()


@dataclass(frozen=True, eq=False)
class Shape:
    """A region: the union of its parts."""

    parts: tuple[Part, ...]

    @property
    def has_holes(self) -> bool:
        """Whether any part has a hole."""
        return any(part.holes for part in self.parts)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """The box around the vertices: left, top, right, bottom in px. The box around the pixels is that of the runs."""
        low = np.min([part.outer.min(axis=0) for part in self.parts], axis=0)
        high = np.max([part.outer.max(axis=0) for part in self.parts], axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])
