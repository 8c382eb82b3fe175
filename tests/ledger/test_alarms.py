"""The ledger's alarms: each rings once, when it was set for last, and what rings no more takes no room."""

from labelferry_broker.ledger.alarms import SLACK, Alarm, Alarms, Purpose


def test_an_alarm_that_was_moved_rings_once_at_its_last_time() -> None:
    alarms = Alarms()
    for at in (5.0, 1.0, 9.0):
        alarms.set(at, Purpose.LEASE, "a")
    alarms.set(7.0, Purpose.TIMEOUT, "b")
    assert list(alarms.due(8.0)) == [Alarm(Purpose.TIMEOUT, "b")]
    assert alarms.next == 9.0
    assert list(alarms.due(9.0)) == [Alarm(Purpose.LEASE, "a")]
    assert alarms.next is None


def test_alarms_that_were_dropped_long_before_their_time_take_no_room() -> None:
    alarms = Alarms()
    alarms.set(3.0, Purpose.LEASE, "stays")
    for number in range(20 * SLACK):
        alarms.set(1e6 + number, Purpose.TIMEOUT, str(number))
        alarms.drop(Purpose.TIMEOUT, str(number))
    assert len(alarms._heap) <= 2 * SLACK
    assert list(alarms.due(2e6)) == [Alarm(Purpose.LEASE, "stays")]
