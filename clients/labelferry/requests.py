"""The requests that both clients make, as messages: where an argument becomes a field, once."""

import os
from collections.abc import Callable
from pathlib import Path

from labelferry.errors import not_utf8
from labelferry_protocol import codec, limits
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.options import ExportOptions, Source
from labelferry_protocol.requests import Cancel, GetHistory, Submit

MOST_KEY_CHARACTERS = 64
MOST_TEMPLATE_CHARACTERS = 64


def submit_message(
    source: str | Path, options: ExportOptions, idempotency_key: str | None, new_id: Callable[[], str]
) -> Submit:
    """Return the submit of a source; a path is made absolute here, for the workers see it from elsewhere."""
    text = os.fspath(source)
    if not text or "\0" in text:
        raise Refusal(Code.USAGE, "the source is the path of a project: it is empty, or no path")
    location = text if "://" in text else os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111 - links stay as they are
    if len(location) > limits.MAX_STRING:
        raise Refusal(Code.USAGE, f"the path of the project has more than {limits.MAX_STRING:,} characters")
    if idempotency_key is not None and not 0 < len(idempotency_key) <= MOST_KEY_CHARACTERS:
        raise Refusal(Code.USAGE, f"an idempotency key has 1 to {MOST_KEY_CHARACTERS} characters")
    submit = Submit(idempotency_key=idempotency_key or new_id(), source=Source(location=location), options=options)
    try:
        # Once sent, a message that is none would be tried again and again.
        codec.pack(submit)
    except UnicodeEncodeError as error:
        raise Refusal(Code.USAGE, not_utf8(error)) from None
    return submit


def cancel_message(job_id: str, keep_partial: bool | None, attempt: int | None) -> Cancel:
    """Return the cancel of a job."""
    return Cancel(job_id=job_id, keep_partial=keep_partial, attempt=attempt)


def template_name(name: str) -> str:
    """Return the name of a template; raise `Refusal(USAGE)` for one that none can have."""
    if not 0 < len(name) <= MOST_TEMPLATE_CHARACTERS:
        raise Refusal(Code.USAGE, f"the name of a template has 1 to {MOST_TEMPLATE_CHARACTERS} characters")
    return name


def history_message(limit: int, before: str | None, *, everybody: bool) -> GetHistory:
    """Return the question for the newest jobs."""
    if not 1 <= limit <= 50:
        raise Refusal(Code.USAGE, f"a page of the history has 1 to 50 jobs, not {limit}")
    return GetHistory(limit=limit, before=before, everybody=everybody)
