"""Strings in YAML: always in double quotes, so that no name becomes a number, a truth value, a comment or a key."""

import re

_ESCAPED = re.compile(r"[^\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[\"\\\t]")


def quoted(text: str) -> str:
    """Return `text` as a double-quoted YAML scalar on one line."""
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return f"\\{character}" if character in '"\\' else f"\\u{ord(character):04x}"
