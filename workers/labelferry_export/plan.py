"""The work plan of an export: what it costs, part by part, and the meter that turns finished work into progress and time left.

Pure: the clock is passed in. Costs are milliseconds on the machine that the constants were taken on; only their ratios
matter, and the meter corrects them by what it observes.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from labelferry_protocol import limits
from labelferry_protocol.events import StageProgress
from labelferry_protocol.words import Stage

POINT = 1.0
"""The greatest difference between the progress of two consecutive updates."""
LEAST_COST = 1e-6
FOUND_SHARE = 0.05
"""What it costs to take in a result that is there already, of what it cost to make."""
PRIOR_COST = 20.0
"""How much work (ms) must be seen before what was seen counts more than what was planned."""
PRIOR_SHARE = 0.1
"""The same as a share of a part, on top: one slow unit at a part's beginning is no trend."""


@dataclass(frozen=True, slots=True)
class Step:
    """One unit of work that was done: its planned cost (ms), what was done to which item, and how many items are finished by it."""

    cost: float
    verb: str
    item: str
    count: int = 1
    found: bool = False
    """Whether its result was there already, so that it cost `FOUND_SHARE` of what was planned."""
    notable: bool = False
    """Whether it is to be told whatever follows it at once."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One part of the plan: the stage it is told as, its cost (ms), and how many items (bytes while compressing) it has."""

    stage: Stage
    cost: float
    total: int
    spared: float = 0.0
    """What of the cost will be spared, for so much is known to be there already."""

    @property
    def left(self) -> float:
        """What it will cost."""
        return self.cost - self.spared


@dataclass(frozen=True, slots=True)
class Update:
    """What a caller is told after each unit: `progress` runs from 0 to `limits.WORKER_SHARE`; `estimated_time_remaining` in s."""

    progress: float
    stage: Stage
    message: str
    stage_progress: StageProgress
    estimated_time_remaining: float | None
    notable: bool = False
    """Whether it is to be told whatever follows it at once."""


def shortened(text: str, characters: int) -> str:
    """Return `text`, its middle replaced by an ellipsis where it is longer than `characters`."""
    if len(text) <= characters:
        return text
    tail = (characters - 1) // 2
    return f"{text[: characters - 1 - tail]}…{text[len(text) - tail :]}"


def sentence_for(stage: Stage, step: Step, current: int, total: int) -> str:
    """Return a step in words: `Copying images (5/50): image_001.jpg`; bytes as megabytes; no figures where none are known."""
    item = f": {shortened(step.item, limits.ITEM_CHARACTERS)}" if step.item else ""
    figures = f" ({current}/{total})" if total else ""
    if stage is Stage.COMPRESSION:
        figures = f" ({current / 1e6:.1f} of {total / 1e6:.1f} MB)"
    return shortened(f"{step.verb}{figures}{item}", limits.MESSAGE_CHARACTERS)


@dataclass(slots=True)
class _Lap:
    """How one part stands: planned and done cost (ms), the time (s) that the done part took, and the items finished."""

    stage: Stage
    planned: float
    total: int
    current: int = 0
    done: float = 0.0
    seconds: float = 0.0
    spared: float = 0.0
    """What was taken off `planned` for work that is there already, and has not been met yet."""

    def spare(self, cost: float) -> None:
        """Take off the plan what a piece of work did not cost, unless that was done beforehand."""
        known = min(cost, self.spared)
        self.spared -= known
        self.planned = max(self.planned - (cost - known), self.done, LEAST_COST)

    @property
    def left(self) -> float:
        return max(self.planned - self.done, 0.0)


def _lap_of(part: Planned) -> _Lap:
    return _Lap(part.stage, max(part.left, LEAST_COST), part.total, spared=part.spared)


class Meter:
    """Turns steps into updates: monotone, never more than a point at a time, and as straight over time as the plan allows.

    The time that is left is the cost that is left, each part's at the speed that was seen in it (or, before it begins, in the
    parts so far). A unit moves progress by its share of the way that is left. Where the plan is right this is exactly done
    cost / planned cost; where it is wrong, the rest of the way becomes straight again. `reached` is where it begins.
    """

    def __init__(self, plan: Mapping[str, Planned], clock: Callable[[], float], reached: float = 0.0) -> None:
        self._laps = {name: _lap_of(part) for name, part in plan.items()}
        self._clock = clock
        self._last = clock()
        self._goal = self._told = min(max(reached, 0.0), limits.WORKER_SHARE)

    def replan(self, plan: Mapping[str, Planned]) -> None:
        """Put better figures in the place of the planned ones; the share of a part that is done stays done."""
        for name, part in plan.items():
            lap = self._laps.setdefault(name, _Lap(part.stage, LEAST_COST, part.total))
            share = min(lap.done / lap.planned, 1.0)
            lap.planned, lap.total = max(part.left, LEAST_COST), part.total
            lap.spared = part.spared
            lap.done = lap.planned * share

    def advance(self, name: str, step: Step) -> Iterator[Update]:
        """Count a unit that was done, and yield what to tell: one update, or several where it spans more than a point."""
        lap = self._laps[name]
        if step.found:
            lap.spare(step.cost * (1 - FOUND_SHARE))
        cost = min(step.cost * FOUND_SHARE if step.found else step.cost, lap.left)
        self._goal += (limits.WORKER_SHARE - self._goal) * self._share_of_the_way(lap, cost)
        now = self._clock()
        lap.done += cost
        lap.seconds += max(now - self._last, 0.0)
        lap.current = min(lap.current + step.count, lap.total)
        self._last = now
        return self._tell(lap, step)

    def say(self, name: str, message: str, current: int) -> Update:
        """Return what to tell when nothing was done but something is to be said: of so many items of a part, say."""
        lap = self._laps[name]
        return Update(round(self._told, 2), lap.stage, message, StageProgress(current=current, total=lap.total), None)

    def close(self, name: str) -> None:
        """Say that a part has ended, whatever of its planned cost was not needed."""
        lap = self._laps[name]
        lap.planned = lap.done = max(lap.done, LEAST_COST)

    def arrive(self, name: str, step: Step) -> Iterator[Update]:
        """Say that all work is done, `name` the last of it, and yield what is left to tell."""
        for each in self._laps:
            self.close(each)
        lap = self._laps[name]
        lap.current, self._goal = lap.total, limits.WORKER_SHARE
        return self._tell(lap, step)

    def _share_of_the_way(self, lap: _Lap, cost: float) -> float:
        overall = self._overall_pace()
        left = self._seconds_left(overall)
        return min(cost * _pace(lap, overall) / left, 1.0) if left > 0 else 0.0

    def _seconds_left(self, overall: float) -> float:
        return sum(lap.left * _pace(lap, overall) for lap in self._laps.values() if lap.left)

    def _overall_pace(self) -> float:
        done = seconds = 0.0
        for lap in self._laps.values():
            done, seconds = done + lap.done, seconds + lap.seconds
        return (seconds + PRIOR_COST / 1000) / (done + PRIOR_COST)

    def _tell(self, lap: _Lap, step: Step) -> Iterator[Update]:
        goal = round(min(self._goal, limits.WORKER_SHARE), 2)
        seen = any(each.done > 0 and each.seconds > 0 for each in self._laps.values())
        left = round(self._seconds_left(self._overall_pace()), 1) if seen else None
        message = sentence_for(lap.stage, step, lap.current, lap.total)
        item = shortened(step.item, limits.ITEM_CHARACTERS) or None
        stage_progress = StageProgress(current=lap.current, total=lap.total, current_item=item)
        while goal - self._told > POINT:
            self._told = math.floor(self._told) + POINT
            yield Update(self._told, lap.stage, message, stage_progress, left, step.notable)
        self._told = max(self._told, goal)
        yield Update(self._told, lap.stage, message, stage_progress, left, step.notable)


def _pace(lap: _Lap, overall: float) -> float:
    """Seconds a planned millisecond takes in this part: as seen in it, and as far as little was seen, as in all parts."""
    weight = PRIOR_COST + lap.planned * PRIOR_SHARE
    return (lap.seconds + overall * weight) / (lap.done + weight)
