"""Of a dict that grows, what was put in last is kept."""

from labelferry_protocol.newest import keep_newest


def test_what_was_put_in_first_is_forgotten_and_no_more_than_that() -> None:
    entries = dict.fromkeys("abcde", True)
    keep_newest(entries, 5)
    assert list(entries) == ["a", "b", "c", "d", "e"]
    keep_newest(entries, 2)
    assert list(entries) == ["d", "e"]
    keep_newest(entries, 0)
    assert entries == {}
