"""What a worker knows to keep, and how much of it."""

from labelferry_workers.kept import MOST_TOLD, Kept


def test_the_latest_are_told_and_no_more_are_known() -> None:
    kept = Kept()
    kept.add(f"{number:032x}" for number in range(MOST_TOLD + 2))
    kept.add([f"{5:032x}"])
    assert len(kept.told) == MOST_TOLD
    assert f"{1:032x}" not in kept
    assert kept.told[-1] == f"{5:032x}"
    assert kept.drop(f"{5:032x}")
    assert not kept.drop(f"{5:032x}")
