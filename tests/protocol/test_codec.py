"""Messages to frames and back, and what hostile frames get."""

import contextlib
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelferry_protocol import codec, depot, events, limits, requests, version, work
from labelferry_protocol.errors import Code, Malformed, Refusal
from labelferry_protocol.message import Message
from labelferry_protocol.options import ExportOptions, Source
from labelferry_protocol.words import Phase, Stage, State

JOB = "0123456789abcdef" * 2
SHA = "ab" * 32


def progress(**changes: Any) -> events.Progress:
    fields: dict[str, Any] = {
        "job_id": JOB,
        "epoch": 3,
        "attempt": 1,
        "seq": 17,
        "timestamp": 1_790_000_000.25,
        "progress": 12.5,
        "phase": Phase.PROCESSING,
        "stage": Stage.IMAGES,
        "message": "Copying images (5/50): image_001.jpg",
        "stage_progress": events.StageProgress(current=5, total=50, current_item="image_001.jpg"),
        "estimated_time_remaining": 3.5,
    }
    return events.Progress(**{**fields, **changes})


EXAMPLES: list[tuple[Message, Any]] = [
    (progress(), events.EventsLane),
    (events.Beat(epoch=1, timestamp=2.0), events.EventsLane),
    (
        events.Snapshot(
            job_id=JOB,
            epoch=1,
            attempt=1,
            seq=2,
            timestamp=0.0,
            project="p",
            owner="u",
            state=State.RUNNING,
            created_at=0.0,
            progress=progress(),
        ),
        events.EventsLane,
    ),
    (
        requests.Submit(
            idempotency_key="k", source=Source(location="/p"), options=ExportOptions(split={"train": 0.8, "val": 0.2})
        ),
        requests.ClientSays,
    ),
    (
        requests.DownloadOpened(
            transfer_id=JOB, job_id=JOB, bundle=events.BundleFacts(size=1, sha256=SHA), token=b"\x00\xff"
        ),
        requests.BrokerAnswers,
    ),
    (
        work.Renewed(epoch=1, cancels=(work.CancelOrder(job_id=JOB, attempt=2, keep_partial=True),)),
        work.BrokerTellsWorker,
    ),
    (depot.RequestChunk(job_id=JOB, offset=5, length=10), depot.PeerSaysToDepot),
]


@pytest.mark.parametrize(("message", "lane"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_a_message_comes_back_as_it_went(message: Message, lane: Any) -> None:
    assert codec.unpack(codec.pack(message), lane) == message
    assert codec.parse([bytes(part) for part in codec.frames(message, "r1")], lane) == ("r1", message)


def test_a_progress_event_with_the_longest_texts_is_about_500_bytes() -> None:
    longest = progress(
        message="m" * limits.MESSAGE_CHARACTERS,
        stage_progress=events.StageProgress(current=10**7, total=10**7, current_item="i" * limits.ITEM_CHARACTERS),
        estimated_time_remaining=1234567.123,
    )
    assert len(codec.pack(longest)) <= 520


def test_a_field_that_a_newer_writer_added_is_ignored() -> None:
    body = {
        **codec.plain(progress()),
        "heat": 11,
        "stage_progress": {"current": 5, "total": 50, "current_item": "image_001.jpg", "unit": "kg"},
    }
    assert codec.unpack(msgpack.packb(body), events.EventsLane) == progress()


def test_a_message_without_a_later_added_optional_field_is_read_with_its_default() -> None:
    body = codec.plain(progress())
    del body["estimated_time_remaining"]
    assert codec.unpack(msgpack.packb(body), events.EventsLane).estimated_time_remaining is None


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "cancel", "job_id": "ab" * 16, "keep_partial": None, "attempt": None, "reason": None},
        {"kind": "get-history", "limit": 20, "before": None, "everybody": None},
        {"kind": "open-download", "job_id": "ab" * 16, "transfer_id": None},
    ],
    ids=lambda body: body["kind"],
)
def test_what_may_be_left_out_may_be_null(body: dict[str, Any]) -> None:
    short = {name: value for name, value in body.items() if value is not None}
    left_out = codec.unpack(msgpack.packb(short), requests.ClientSays)
    said = codec.unpack(msgpack.packb(body), requests.ClientSays)
    assert codec.plain(said) == {**codec.plain(left_out), **body}


def test_an_unknown_kind_is_refused_by_name() -> None:
    with pytest.raises(Refusal, match="'explode' is not spoken on this lane") as refused:
        codec.unpack(msgpack.packb({"kind": "explode"}), requests.ClientSays)
    assert refused.value.code is Code.UNKNOWN_VERB


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x93\x01",
        msgpack.packb([1, 2]),
        msgpack.packb({}),
        msgpack.packb({"kind": 5}),
        msgpack.packb({1: 2}),
        msgpack.packb({"kind": "get-snapshot", "job_id": "../../etc"}),
        msgpack.packb({"kind": "get-snapshot", "job_id": JOB.upper()}),
        msgpack.packb({"kind": "get-snapshot", "job_id": JOB + "\n"}),
        msgpack.packb({"kind": "get-snapshot", "job_id": 7}),
        msgpack.packb({"kind": "get-snapshot", "job_id": JOB, "x": nested(20)}),
        msgpack.packb({"kind": "get-snapshot", "job_id": JOB, "x": msgpack.ExtType(4, b"a")}),
        msgpack.packb({"kind": "get-snapshot", "job_id": JOB, "x": list(range(limits.MAX_LIST + 1))}),
        msgpack.packb({"kind": "get-snapshot", "job_id": JOB, "x": b"a" * limits.MAX_BODY_BYTES}),
        b"\x91" * 60_000 + b"\x01",
        b"\x81\xa4kind\xdb\xff\xff\xff\xff",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_no_message_is_malformed_and_nothing_worse(body: bytes) -> None:
    with pytest.raises(Malformed):
        codec.unpack(body, requests.ClientSays)


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_random_frames_are_malformed_or_refused_and_nothing_worse(parts: list[bytes]) -> None:
    with pytest.raises((Malformed, Refusal)):
        codec.parse(parts, requests.ClientSays)


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=10)
    | st.binary(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=10,
)


@given(
    st.sampled_from(sorted(codec.kinds(requests.ClientSays))),
    st.dictionaries(st.sampled_from(["job_id", "options", "source", "limit", "name", "state"]), json_like),
)
def test_wrong_types_in_known_kinds_are_malformed_and_nothing_worse(kind: str, fields: dict[str, Any]) -> None:
    with contextlib.suppress(Malformed, Refusal):
        codec.unpack(msgpack.packb({**fields, "kind": kind}), requests.ClientSays)


def of_version(number: int, message: Message) -> list[bytes]:
    return [msgpack.packb({"version": number, "ref": "7"}), codec.pack(message)]


@pytest.mark.parametrize("body", [{"kind": "get-overview"}, {"kind": "of-the-future"}, {"kind": "cancel", "job_id": 7}])
def test_a_message_of_another_version_is_refused_for_that_and_for_nothing_else(body: dict[str, Any]) -> None:
    parts = [msgpack.packb({"version": 99, "ref": "7"}), msgpack.packb(body)]
    with pytest.raises(Refusal, match="protocol 99 came, and 1 to 1 is spoken here") as refused:
        codec.parse(parts, requests.ClientSays)
    assert refused.value.code is Code.PROTOCOL


def test_a_greeting_and_a_refusal_are_read_whatever_their_version() -> None:
    hello = requests.Hello(minimum_version=99, maximum_version=99)
    assert codec.parse(of_version(99, hello), requests.ClientSays) == ("7", hello)
    refused = requests.Refused(code=Code.PROTOCOL, message="too old")
    assert codec.parse(of_version(99, refused), requests.BrokerAnswers) == ("7", refused)


def test_a_message_says_the_oldest_version_that_understands_it() -> None:
    assert codec.parse_header(bytes(codec.frames(requests.GetOverview())[0])).version == version.MINIMUM


def test_a_message_over_the_limit_is_not_sent() -> None:
    with pytest.raises(Malformed, match="over the limit"):
        codec.pack(
            requests.Submit(
                idempotency_key="k", source=Source(location="/p"), options=ExportOptions(classes=("x" * 255,) * 1000)
            )
        )
