"""Where a job leaves its updates: what is kept, what gives way, and how big a step a reader can see."""

import itertools
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from labelferry_workers.mailbox import Mailbox


@dataclass(frozen=True)
class Said:
    progress: float
    stage: str = "images"
    notable: bool = False


def test_a_full_point_and_a_new_stage_are_kept_and_of_the_rest_the_latest() -> None:
    mailbox: Mailbox[Said] = Mailbox(lambda: None)
    for update in (Said(0.0), Said(0.2), Said(0.4), Said(0.4, "metrics"), Said(0.5, "metrics"), Said(0.6, "metrics")):
        mailbox.put(update)
    assert mailbox.take(latest=False) == [Said(0.0), Said(0.4, "metrics")]
    assert mailbox.take(latest=True) == [Said(0.6, "metrics")]
    assert mailbox.take(latest=True) == []


def test_what_is_notable_is_kept_though_more_follows_at_once() -> None:
    mailbox: Mailbox[Said] = Mailbox(lambda: None)
    changed = Said(0.0, notable=True)
    for update in (Said(0.0), changed, Said(0.0), Said(0.3)):
        mailbox.put(update)
    assert mailbox.take(latest=False) == [Said(0.0), changed]
    assert mailbox.take(latest=True) == [Said(0.3)]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300), st.data())
def test_no_step_is_above_a_point_when_the_job_makes_none(steps: list[float], data: st.DataObject) -> None:
    mailbox: Mailbox[Said] = Mailbox(lambda: None)
    seen, progress = [Said(0.0)], 0.0
    for step in steps:
        progress += step
        mailbox.put(Said(progress))
        if data.draw(st.booleans()):
            seen += mailbox.take(latest=data.draw(st.booleans()))
    seen += mailbox.take(latest=True)
    assert seen[-1].progress == progress, "the last is exact"
    for before, after in itertools.pairwise(seen):
        assert 0 <= after.progress - before.progress <= 1 + 1e-9
