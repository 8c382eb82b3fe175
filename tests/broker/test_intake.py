"""What is taken from a lane in one turn is bounded by number and by time."""

from itertools import count

from labelferry_broker.intake import within


def test_messages_are_taken_until_the_time_is_over_and_none_beyond_is_touched() -> None:
    moments = iter([0.0, 0.005, 0.012, 0.021])
    waiting = iter(count())
    assert list(within(0.02, lambda: next(moments), waiting)) == [0, 1, 2]
    assert next(waiting) == 3


def test_one_message_is_taken_however_long_it_takes() -> None:
    moments = iter([0.0, 99.0])
    assert list(within(0.02, lambda: next(moments), iter("ab"))) == ["a"]


def test_all_are_taken_where_there_is_time() -> None:
    assert list(within(0.02, lambda: 0.0, iter("abc"))) == ["a", "b", "c"]
