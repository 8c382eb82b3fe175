"""The page of metrics as Prometheus reads it: every line, every state, and classes of histograms that add up."""

import re

from labelferry_broker.exposition import TURN_BOUNDS, Readings, page_of
from labelferry_broker.ledger.figures import CANCEL_BOUNDS, Figures, Histogram
from labelferry_protocol.words import State

LINE = re.compile(r'labelferry_[a-z_]+(\{[a-z]+="[^"]+"\})? [0-9.e+-]+')


def page() -> str:
    cancels = Histogram(CANCEL_BOUNDS)
    for seconds in (0.01, 0.03, 0.03, 100.0):
        cancels.add(seconds)
    figures = Figures(
        states={State.QUEUED: 3, State.FAILED: 2},
        queue_age=1.5,
        lease_age=0.0,
        workers=1,
        slots=2,
        busy=1,
        frames=9,
        cancels=cancels.read(),
        bundles=1,
        bundle_bytes=10**12,
        depot_ready=True,
        stalled=4,
    )
    return page_of(Readings(figures, 5, 0, Histogram(TURN_BOUNDS).read(), 7, 60.0))


def test_every_line_of_the_page_is_a_comment_or_a_number() -> None:
    for line in page().splitlines():
        assert line.startswith(("# HELP labelferry_", "# TYPE labelferry_")) or LINE.fullmatch(line), line


def test_every_state_is_told_also_where_there_is_no_job() -> None:
    for state in State:
        assert f'state="{state}"' in page()


def test_jobs_in_which_nothing_moves_are_counted() -> None:
    assert "labelferry_jobs_stalled 4" in page().splitlines()


def test_the_classes_of_a_histogram_add_up() -> None:
    lines = [line for line in page().splitlines() if line.startswith("labelferry_cancel_latency_seconds")]
    counts = [int(line.rpartition(" ")[2]) for line in lines if "_bucket" in line]
    assert counts == sorted(counts)
    assert counts[0] == 1
    assert counts[-2:] == [3, 4]
    assert lines[-1] == "labelferry_cancel_latency_seconds_count 4"


def test_what_is_measured_at_a_bound_is_counted_below_it() -> None:
    assert 'labelferry_cancel_latency_seconds_bucket{le="0.01"} 1' in page()
