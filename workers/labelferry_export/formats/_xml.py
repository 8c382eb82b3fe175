"""Text in XML 1.0."""

import re

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_TO_ESCAPE = re.compile(r"[&<>\r]")


def element_text(text: str) -> str:
    """Return `text` as the content of an element; a character that XML has no way to say becomes U+FFFD."""
    return _TO_ESCAPE.sub(lambda match: _MARKUP[match.group()], _NO_XML.sub("\ufffd", text))


def is_xml(text: str) -> bool:
    """Return whether XML can say every character of `text`."""
    return not _NO_XML.search(text)
