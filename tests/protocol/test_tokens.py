"""Tokens: only ours, only for their purpose, only in their time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelferry_protocol.errors import Malformed, Refusal
from labelferry_protocol.tokens import Claims, sign, verify

CLAIMS = Claims(job_id="a" * 32, attempt=2, size=10, sha256="b" * 64, user="alice", expires_at=100.0)
SECRET = b"s" * 32


def test_a_token_says_what_was_signed() -> None:
    assert verify(sign(CLAIMS, "upload", SECRET), "upload", SECRET, now=99.0) == CLAIMS


def test_a_token_for_something_else_is_refused() -> None:
    with pytest.raises(Refusal, match="not a download token"):
        verify(sign(CLAIMS, "upload", SECRET), "download", SECRET, now=0.0)


def test_a_token_of_another_broker_is_refused() -> None:
    with pytest.raises(Refusal):
        verify(sign(CLAIMS, "upload", SECRET), "upload", b"other", now=0.0)


def test_a_token_that_is_too_old_is_refused() -> None:
    with pytest.raises(Refusal, match="expired"):
        verify(sign(CLAIMS, "upload", SECRET), "upload", SECRET, now=101.0)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_token_with_one_changed_byte_is_never_taken(place: int, change: int) -> None:
    token = bytearray(sign(CLAIMS, "upload", SECRET))
    token[place % len(token)] ^= change
    with pytest.raises((Refusal, Malformed)):
        verify(bytes(token), "upload", SECRET, now=0.0)


@given(st.binary(max_size=200))
def test_random_bytes_are_no_token(token: bytes) -> None:
    with pytest.raises((Refusal, Malformed)):
        verify(token, "upload", SECRET, now=0.0)
