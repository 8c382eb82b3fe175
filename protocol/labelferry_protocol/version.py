"""Protocol versions: what this code speaks, and how two ends agree on one.

Within a version, fields are added and never changed; a reader ignores the fields it does not know. A new version is made
only when an old reader would misunderstand.
"""

from labelferry_protocol.errors import Code, Refusal

MINIMUM = 1
MAXIMUM = 1
FEATURES: frozenset[str] = frozenset({"snapshot-first", "cancel-confirmed", "partial", "resume", "templates"})


def check(said: int) -> None:
    """Raise `Refusal(PROTOCOL)` for a message of a version that is not spoken here."""
    if not MINIMUM <= said <= MAXIMUM:
        raise Refusal(
            Code.PROTOCOL,
            f"a message of protocol {said} came, and {MINIMUM} to {MAXIMUM} is spoken here: update labelferry at the older end",
        )


def agree(minimum: int, maximum: int) -> int:
    """Return the highest version both ends speak; raise `Refusal(PROTOCOL)` with what to do when there is none."""
    best = min(maximum, MAXIMUM)
    if best >= max(minimum, MINIMUM):
        return best
    if maximum < MINIMUM:
        raise Refusal(
            Code.PROTOCOL,
            f"this program speaks protocol {minimum} to {maximum}, too old for a broker that speaks {MINIMUM} to {MAXIMUM}: update labelferry here",
        )
    raise Refusal(
        Code.PROTOCOL,
        f"this program speaks protocol {minimum} to {maximum}, too new for a broker that speaks {MINIMUM} to {MAXIMUM}: update the broker",
    )
