"""The meter: monotone, a point at a time, straight where the plan is wrong, exact at the end."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelferry_export.plan import Meter, Planned, Step, Update, shortened
from labelferry_protocol import limits
from labelferry_protocol.words import Stage


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def drive(plan: dict[str, Planned], units: dict[str, list[tuple[float, float]]]) -> Iterator[tuple[float, Update]]:
    """Yield (time, update) for units of (planned ms, real s) by part."""
    clock = Clock()
    meter = Meter(plan, clock)
    for name, each in units.items():
        for cost, seconds in each:
            clock.now += seconds
            for update in meter.advance(name, Step(cost, "Copying", "x")):
                yield clock.now, update
        meter.close(name)
    for update in meter.arrive(list(units)[-1], Step(0.0, "Copying", "")):
        yield clock.now, update


PARTS = {"a": Stage.IMAGES, "b": Stage.VISUALIZATIONS, "c": Stage.COMPRESSION}
UNITS = st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 10)), max_size=30)


@given(units=st.fixed_dictionaries(dict.fromkeys(PARTS, UNITS)), wrong=st.floats(0.01, 100))
def test_progress_is_monotone_never_skips_a_point_and_ends_at_the_workers_share(
    units: dict[str, list[tuple[float, float]]], wrong: float
) -> None:
    plan = {
        name: Planned(stage, wrong * sum(cost for cost, _ in units[name]), len(units[name]))
        for name, stage in PARTS.items()
    }
    told = [0.0, *(update.progress for _, update in drive(plan, units))]
    assert all(0 <= after - before <= 1 for before, after in pairwise(told))
    assert told[-1] == limits.WORKER_SHARE


@given(units=st.fixed_dictionaries(dict.fromkeys(PARTS, UNITS)))
def test_time_left_is_never_negative_and_nothing_is_counted_beyond_the_total(
    units: dict[str, list[tuple[float, float]]],
) -> None:
    plan = {name: Planned(stage, 1.0, 3) for name, stage in PARTS.items()}
    for _, update in drive(plan, units):
        assert update.estimated_time_remaining is None or update.estimated_time_remaining >= 0
        assert 0 <= update.stage_progress.current <= update.stage_progress.total


def test_a_right_plan_gives_a_straight_line() -> None:
    units = {"a": [(10.0, 0.01)] * 100, "b": [(40.0, 0.04)] * 100}
    plan = {"a": Planned(Stage.IMAGES, 1000, 100), "b": Planned(Stage.VISUALIZATIONS, 4000, 100)}
    assert max(abs(update.progress - 99 * now / 5) for now, update in drive(plan, units)) < 0.02


def test_a_plan_that_is_wrong_about_one_part_is_put_right_on_the_way() -> None:
    units = {"a": [(10.0, 0.01)] * 100, "b": [(10.0, 0.04)] * 100, "c": [(10.0, 0.01)] * 100}
    plan = {name: Planned(stage, 1000, 100) for name, stage in PARTS.items()}
    off = [(now, update.progress - 99 * now / 6) for now, update in drive(plan, units)]
    uncorrected = 33.0 - 99 / 6
    assert max(abs(each) for _, each in off) < uncorrected * 1.1
    assert abs(next(each for now, each in off if now > 4.9)) < uncorrected * 0.6


def test_time_left_comes_near_the_truth() -> None:
    units = {"a": [(10.0, 0.03)] * 100, "b": [(40.0, 0.12)] * 100}
    plan = {"a": Planned(Stage.IMAGES, 1000, 100), "b": Planned(Stage.VISUALIZATIONS, 4000, 100)}
    left = {round(now, 2): update.estimated_time_remaining for now, update in drive(plan, units)}
    assert left[3.0] == pytest.approx(12, rel=0.1)
    assert left[9.0] == pytest.approx(6, rel=0.1)


def test_no_time_left_is_told_before_any_work_was_seen() -> None:
    clock = Clock()
    meter = Meter({"a": Planned(Stage.IMAGES, 1000, 0)}, clock)
    clock.now = 0.001
    assert [each.estimated_time_remaining for each in meter.advance("a", Step(0.0, "Reading", "x"))] == [None]
    clock.now = 0.5
    (update,) = meter.advance("a", Step(10.0, "Reading", "x"))
    assert update.estimated_time_remaining is not None


def test_what_people_read_is_a_sentence_of_bounded_length() -> None:
    meter = Meter({"a": Planned(Stage.IMAGES, 100, 50)}, Clock())
    updates = list(meter.advance("a", Step(1.0, "Copying images", "image_001.jpg", 5)))
    assert updates[-1].message == "Copying images (5/50): image_001.jpg"
    (*_, last) = meter.advance("a", Step(1.0, "Copying images", "x" * 300, 1))
    assert len(last.message) <= limits.MESSAGE_CHARACTERS
    assert len(last.stage_progress.current_item or "") <= limits.ITEM_CHARACTERS


def test_bytes_are_told_in_megabytes() -> None:
    meter = Meter({"a": Planned(Stage.COMPRESSION, 100, 50_000_000)}, Clock())
    (*_, last) = meter.advance("a", Step(1.0, "Compressing bundle", "manifest.json", 12_000_000))
    assert last.message == "Compressing bundle (12.0 of 50.0 MB): manifest.json"


@given(st.text(max_size=300), st.integers(3, 100))
def test_a_shortened_text_keeps_both_ends(text: str, characters: int) -> None:
    short = shortened(text, characters)
    assert len(short) <= characters
    assert short == text or (short[0] == text[0] and short[-1] == text[-1])


FOUND = st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 10), st.booleans()), max_size=30)


@given(units=FOUND, spared=st.floats(0, 2e5), reached=st.floats(0, 120))
def test_progress_goes_on_from_where_it_was_whatever_is_there_already(
    units: list[tuple[float, float, bool]], spared: float, reached: float
) -> None:
    clock = Clock()
    cost = sum(each for each, _, _ in units)
    meter = Meter({"a": Planned(Stage.IMAGES, cost, len(units), min(spared, cost))}, clock, reached)
    told = [min(reached, limits.WORKER_SHARE)]
    for each, seconds, found in units:
        clock.now += seconds
        for update in meter.advance("a", Step(each, "Copying", "x", found=found)):
            told.append(update.progress)
            assert update.estimated_time_remaining is None or update.estimated_time_remaining >= 0
    told += [update.progress for update in meter.arrive("a", Step(0.0, "Copying", ""))]
    assert all(-0.006 <= after - before <= 1.006 for before, after in pairwise(told)), "told to two digits"
    assert told[-1] == limits.WORKER_SHARE


def test_work_that_is_known_to_be_there_moves_progress_as_little_as_it_costs() -> None:
    """Nine of ten images are there, and take a twentieth of the time each."""
    clock = Clock()
    meter = Meter({"a": Planned(Stage.VISUALIZATIONS, 1000.0, 10, 9 * 95.0)}, clock)
    last = 0.0
    for number in range(10):
        found = number < 9
        clock.now += 0.005 if found else 0.1
        for update in meter.advance("a", Step(100.0, "Drawing", "x", found=found)):
            last = update.progress if found else last
    assert last == pytest.approx(100 * 9 * 5 / 145, abs=3)


def test_what_is_there_though_nobody_knew_it_leaves_the_plan_as_it_is_met() -> None:
    clock = Clock()
    meter = Meter({"a": Planned(Stage.VISUALIZATIONS, 1000.0, 10), "b": Planned(Stage.METRICS, 1000.0, 10)}, clock)
    for _ in range(10):
        clock.now += 0.005
        for update in meter.advance("a", Step(100.0, "Drawing", "x", found=True)):
            last = update
    assert last.estimated_time_remaining == pytest.approx(1.0, abs=0.6)
    assert last.progress < 20
