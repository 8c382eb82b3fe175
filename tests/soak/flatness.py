"""Whether a soak's processes stayed as small as they were: memory and descriptors, over the storm and in the calm after it."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.soak.gauges import Reading, by_moment, growth
from tests.soak.storm import Record

ROLES = ("broker", "depot", "worker", "child")
SETTLE_SECONDS = 20.0
"""A process that was just started still grows to its size."""
MOST_MEGABYTES = 8.0
"""So much may a role have grown by the end of the storm, or of the calm."""
MOST_DESCRIPTORS = 10.0


@dataclass(frozen=True)
class Trend:
    """One role over one part of a soak: its median size, and by how much the trend changed it from the part's beginning to its end."""

    role: str
    part: str
    what: str
    median: float
    grew: float

    @property
    def flat(self) -> bool:
        """Whether it stayed within what is allowed."""
        return self.grew <= (MOST_MEGABYTES if self.what == "megabytes" else MOST_DESCRIPTORS)


def trends(record: Record) -> Iterator[Trend]:
    """Yield memory and descriptors of each role, over the storm (all lives) and over the calm (one life, but the children's)."""
    for role in ROLES:
        readings = _settled(record.gauges.of(role))
        for part in ("storm", "calm"):
            some = [each for each in readings if (each.at >= record.calm_from + SETTLE_SECONDS) == (part == "calm")]
            for what in ("megabytes", "descriptors"):
                points = by_moment(some, what)
                if len(points) > 10:
                    sizes = sorted(size for _, size in points)
                    grew = growth(points, points[-1][0] - points[0][0])
                    yield Trend(role, part, what, sizes[len(sizes) // 2], grew)


def judge_flatness(record: Record) -> list[str]:
    """Return what grew, as sentences."""
    return [
        f"the {trend.what} of the {trend.role} grew by {trend.grew:.1f} in the {trend.part}"
        for trend in trends(record)
        if not trend.flat
    ]


def _settled(readings: list[Reading]) -> list[Reading]:
    born: dict[int, float] = {}
    for each in readings:
        born.setdefault(each.pid, each.at)
    return [each for each in readings if each.at - born[each.pid] >= SETTLE_SECONDS or each.role == "child"]
