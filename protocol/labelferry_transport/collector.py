"""How often a service searches for garbage: seldom, for nearly all that a turn makes goes by itself when the turn is over."""

import gc

YOUNG_OBJECTS = 20_000
"""So many new objects make a search, where the interpreter's own number is 700: a turn with a hundred messages made several."""


def search_seldom() -> None:
    """Let what is there by now stay without another look, and search what comes seldom; called once, when a service has all it needs."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 50)
