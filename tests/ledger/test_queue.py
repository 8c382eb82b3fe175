"""Whose job is next, and alarms that ring in order."""

from random import Random

import pytest
from tests.ledger.bench import ADA, BO, Bench

from labelferry_broker.ledger.alarms import Alarm, Alarms, Purpose
from labelferry_broker.ledger.queue import Queue
from labelferry_broker.ledger.settings import Asker


def filled(*jobs: str) -> Queue:
    queue = Queue()
    for number, job in enumerate(jobs):
        queue.add(job[0], number, job)
    return queue


def taken(queue: Queue) -> list[str]:
    return list(iter(queue.take, None))


def test_owners_take_turns_and_the_oldest_job_of_an_owner_goes_first() -> None:
    assert taken(filled("a1", "a2", "a3", "b1", "c1", "b2")) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_job_queued_again_has_its_old_place_among_its_owners() -> None:
    queue = filled("a1", "a2")
    assert queue.take() == "a1"
    queue.add("a", 0, "a1")
    assert taken(queue) == ["a1", "a2"]


def test_a_removed_job_does_not_wait() -> None:
    queue = filled("a1", "b1", "a2")
    queue.remove("a", 0, "a1")
    queue.remove("b", 1, "b1")
    queue.remove("b", 1, "b1")
    assert taken(queue) == ["a2"]
    assert not queue


@pytest.mark.parametrize("seed", range(50))
def test_a_position_is_how_many_jobs_are_taken_before(seed: int) -> None:
    rng = Random(seed)
    jobs = [f"{rng.choice('abcd')}{number}" for number in range(rng.randint(1, 20))]
    queue = filled(*jobs)
    for _ in range(rng.randint(0, 5)):
        queue.take()
    waiting = {job: queue.position(job[0], number, job) for number, job in enumerate(jobs)}
    order = {job: place for place, job in enumerate(taken(queue))}
    assert waiting == {job: order.get(job) for job in jobs}


def test_somebody_with_very_many_jobs_delays_nobodys_first_one(bench: Bench) -> None:
    many = [bench.submit(str(number), ADA) for number in range(1000)]
    one = bench.submit("1", BO)
    assert bench.snapshot(one).position == 1
    bench.register(slots=2)
    assert len(bench.leases(one)) == len(bench.leases(many[0])) == 1


def test_positions_of_a_crowd_are_all_different(bench: Bench) -> None:
    jobs = [bench.submit(str(number), Asker(f"user{number % 7}")) for number in range(30)]
    assert sorted(bench.snapshot(job).position or 0 for job in jobs) == list(range(30))


def test_alarms_ring_in_order_once_and_can_be_moved_and_dropped() -> None:
    alarms = Alarms()
    alarms.set(3.0, Purpose.LEASE, "a")
    alarms.set(1.0, Purpose.LEASE, "b")
    alarms.set(2.0, Purpose.RETRY, "c")
    alarms.set(5.0, Purpose.LEASE, "b")
    alarms.drop(Purpose.RETRY, "c")
    assert alarms.next == 3.0
    assert list(alarms.due(10.0)) == [Alarm(Purpose.LEASE, "a"), Alarm(Purpose.LEASE, "b")]
    assert alarms.next is None


def test_an_alarm_may_be_set_again_while_alarms_ring() -> None:
    alarms = Alarms()
    alarms.set(1.0, Purpose.ORDER, "a")
    rung = 0
    for alarm in alarms.due(2.0):
        rung += 1
        alarms.set(1.0 + rung, alarm.purpose, alarm.identity)
    assert rung == 2
    assert alarms.next == 3.0


def test_an_alarm_set_back_to_where_it_was_rings_once() -> None:
    alarms = Alarms()
    for at in (1.0, 2.0, 1.0):
        alarms.set(at, Purpose.LEASE, "a")
    assert len(list(alarms.due(5.0))) == 1


def test_the_earliest_setting_can_be_kept() -> None:
    alarms = Alarms()
    alarms.set_earliest(1.0, Purpose.PROGRESS)
    alarms.set_earliest(9.0, Purpose.PROGRESS)
    assert alarms.at(Purpose.PROGRESS) == 1.0
