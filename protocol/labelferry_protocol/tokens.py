"""Tokens: what the broker lets somebody do at the depot, and what the depot says it has stored, signed with a secret the two share.

A token is `msgpack([claims, hmac_sha256(secret, purpose || claims)])`. The depot needs no list of who may do what, and a token
outlives a restart of either side.
"""

import hmac
from typing import Literal

import msgpack
import msgspec

from labelferry_protocol.errors import Code, Malformed, Refusal
from labelferry_protocol.message import Attempt, Count, JobId, Name, Sha256, Timestamp

Purpose = Literal["upload", "download", "receipt"]


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says: which attempt's bundle, its size (bytes) and digest, for which user's connection, until when (s, UTC)."""

    job_id: JobId
    attempt: Attempt
    size: Count
    sha256: Sha256
    user: Name
    expires_at: Timestamp


def sign(claims: Claims, purpose: Purpose, secret: bytes) -> bytes:
    """Return the token of these claims."""
    said: bytes = msgpack.packb(msgspec.to_builtins(claims))
    token: bytes = msgpack.packb([said, _seal(said, purpose, secret)])
    return token


def verify(token: bytes, purpose: Purpose, secret: bytes, now: float) -> Claims:
    """Return the claims of a token; raise `Refusal(ACCESS)` when it is not ours, is for something else, or is too old."""
    try:
        said, seal = msgpack.unpackb(token, max_array_len=2, max_bin_len=1024, max_ext_len=0)
        if not hmac.compare_digest(seal, _seal(said, purpose, secret)):
            raise Refusal(Code.ACCESS, f"that is not a {purpose} token of this broker")
        claims = msgspec.convert(msgpack.unpackb(said, raw=False), Claims)
    except (ValueError, TypeError, msgpack.UnpackException, msgspec.ValidationError):
        raise Malformed("not a token") from None
    if now > claims.expires_at:
        raise Refusal(Code.ACCESS, f"that {purpose} token has expired: ask the broker for a new one")
    return claims


def _seal(said: bytes, purpose: Purpose, secret: bytes) -> bytes:
    return hmac.digest(secret, purpose.encode() + b"\0" + said, "sha256")
