"""Turns messages into frames and frames into messages, on every lane. Nothing else packs or unpacks.

Two shapes: `[header, body]` (requests, work, depot and its inner lane; the depot's `chunk` has a third frame, its bytes) and
`[topic, body]` (events, progress, control). Header and body are msgpack maps. Unpacking is bounded before it is typed: frame
sizes, lengths, nesting, no extension types. What fails is `Malformed`; a kind that a lane does not have is a
`Refusal(UNKNOWN_VERB)`.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar, get_args

import msgpack
import msgspec

from labelferry_protocol import limits, version
from labelferry_protocol.errors import Code, Malformed, Refusal
from labelferry_protocol.message import Message

M = TypeVar("M")
TIMELESS = frozenset({"hello", "refused"})
"""Kinds that every version understands, for they never change."""
Lane = type[M] | Any
"""A message class or a union of message classes: what may come in on one lane from one side."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The frame before a body: the correlation id, which the answer repeats, and the oldest protocol version whose readers understand the message."""

    version: int
    ref: str = ""


_encode = msgspec.msgpack.Encoder().encode


def pack(message: Message) -> bytes:
    """Return the body frame of a message."""
    data = _encode(message)
    if len(data) > limits.MAX_BODY_BYTES:
        raise Malformed(f"a {kind(message)} message of {len(data)} bytes is over the limit of {limits.MAX_BODY_BYTES}")
    return data


def unpack(body: bytes, lane: Any) -> Any:
    """Return the message in a body frame, one of `lane` (a message class or a union of them)."""
    raw = _unpack_map(body)
    kind_said = raw.get("kind")
    if not isinstance(kind_said, str) or not kind_said:
        raise Malformed("a message without a kind")
    spoken = _classes(lane).get(kind_said)
    if spoken is None:
        raise Refusal(Code.UNKNOWN_VERB, f"{kind_said[:64]!r} is not spoken on this lane")
    try:
        # Into the one class: a union is looked through anew each time, which takes five times as long.
        return msgspec.convert(raw, spoken, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise Malformed(f"{kind_said}: {error}") from None


def frames(message: Message, ref: str = "", payload: bytes | memoryview | None = None) -> list[bytes | memoryview]:
    """Return `[header, body]`, and the payload behind them where there is one."""
    parts: list[bytes | memoryview] = [_encode(Header(version=version.MINIMUM, ref=ref)), pack(message)]
    if payload is not None:
        parts.append(payload)
    return parts


def parse(parts: Sequence[bytes], lane: Any) -> tuple[str, Any]:
    """Return the correlation id and the message of `[header, body]` (a third frame is the caller's)."""
    if not 2 <= len(parts) <= 3:
        raise Malformed(f"a message has a header and a body, not {len(parts)} frames")
    header = parse_header(parts[0])
    return header.ref, read(header, parts[1], lane)


def read(header: Header, body: bytes, lane: Any) -> Any:
    """Return the message in a body behind its header; `Refusal(PROTOCOL)` when it is of a version that is not spoken here.

    A greeting and a refusal are read whatever their version: by these two ends of different times tell each other so.
    """
    try:
        message = unpack(body, lane)
    except (Malformed, Refusal):
        version.check(header.version)
        raise
    if kind(message) not in TIMELESS:
        version.check(header.version)
    return message


def parse_header(frame: bytes) -> Header:
    """Return the header in a frame, of any version."""
    try:
        header = msgspec.convert(_unpack_map(frame), Header)
    except msgspec.ValidationError as error:
        raise Malformed(f"header: {error}") from None
    if len(header.ref) > 64:
        raise Malformed("header: a correlation id has at most 64 characters")
    return header


def kind(message: Message) -> str:
    """Return a message's kind, as it stands on the wire."""
    tag = type(message).__struct_config__.tag
    assert isinstance(tag, str)  # noqa: S101 - Message makes every tag a string
    return tag


def kinds(lane: Any) -> frozenset[str]:
    """Return the kinds that a lane has."""
    return frozenset(_classes(lane))


def plain(message: Message) -> dict[str, Any]:
    """Return a message as plain maps, lists, strings and numbers: what `--json` prints."""
    value: dict[str, Any] = msgspec.to_builtins(message)
    return value


@cache
def _classes(lane: Any) -> dict[str, type[Message]]:
    """Return the classes of a lane by their kind."""
    return {str(each.__struct_config__.tag): each for each in get_args(lane) or (lane,)}


def _unpack_map(frame: bytes) -> dict[str, Any]:
    if len(frame) > limits.MAX_BODY_BYTES:
        raise Malformed(f"a frame of {len(frame)} bytes is over the limit of {limits.MAX_BODY_BYTES}")
    try:
        value = msgpack.unpackb(
            frame,
            raw=False,
            strict_map_key=True,
            max_str_len=limits.MAX_BODY_BYTES,
            max_bin_len=limits.MAX_BODY_BYTES,
            max_array_len=limits.MAX_LIST,
            max_map_len=limits.MAX_LIST,
            max_ext_len=0,
        )
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise Malformed(f"not msgpack within the limits: {type(error).__name__}") from None
    if not isinstance(value, dict):
        raise Malformed("a header or body is a map")
    _check_depth(value, limits.MAX_DEPTH)
    return value


def _check_depth(value: object, left: int) -> None:
    if left == 0:
        raise Malformed(f"more than {limits.MAX_DEPTH} maps and lists inside one another")
    if isinstance(value, dict):
        for inner in value.values():
            if isinstance(inner, dict | list):
                _check_depth(inner, left - 1)
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, dict | list):
                _check_depth(inner, left - 1)
    elif isinstance(value, msgpack.ExtType | msgpack.Timestamp):
        raise Malformed("extension types are not spoken here")
