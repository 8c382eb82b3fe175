"""What tables tell of many measurements beside their median."""


def p99(seconds: list[float]) -> float:
    """Return what 99 of 100 take at most; `seconds` in any order, at least one."""
    return sorted(seconds)[int(0.99 * len(seconds))]
