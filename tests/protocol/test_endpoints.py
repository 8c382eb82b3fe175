"""Endpoints, topics and versions."""

import pytest

from labelferry_protocol import version
from labelferry_protocol.endpoints import Lane, parse_endpoint, reached
from labelferry_protocol.errors import Code, Refusal
from labelferry_protocol.topics import BEAT, TOPIC_LENGTH, identity_of, topic_of


@pytest.mark.parametrize(
    ("text", "requests", "depot", "local"),
    [
        ("tcp://127.0.0.1:5570", "tcp://127.0.0.1:5570", "tcp://127.0.0.1:5575", True),
        ("tcp://localhost", "tcp://localhost:5570", "tcp://localhost:5575", True),
        ("tcp://[::1]:7000", "tcp://[::1]:7000", "tcp://[::1]:7005", True),
        ("tcp://[::1]", "tcp://[::1]:5570", "tcp://[::1]:5575", True),
        ("tcp://10.0.0.5:6000", "tcp://10.0.0.5:6000", "tcp://10.0.0.5:6005", False),
        ("tcp://broker.example", "tcp://broker.example:5570", "tcp://broker.example:5575", False),
        ("ipc:///run/lf", "ipc:///run/lf/requests", "ipc:///run/lf/depot", True),
    ],
)
def test_an_endpoint_gives_its_lanes_and_whether_it_is_local(text: str, requests: str, depot: str, local: bool) -> None:
    endpoint = parse_endpoint(text)
    assert endpoint.lane(Lane.REQUESTS) == requests
    assert endpoint.lane(Lane.DEPOT) == depot
    assert endpoint.local is local
    assert parse_endpoint(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    "text",
    ["", "127.0.0.1:5570", "http://x:1", "tcp://", "tcp://h:0", "tcp://h:99999", "tcp://h:x", "ipc://" + "d" * 200],
)
def test_what_is_no_endpoint_gets_a_sentence(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse_endpoint(text)
    assert refused.value.code is Code.USAGE


def test_a_star_stands_for_the_host_the_broker_was_reached_at() -> None:
    base = parse_endpoint("tcp://10.0.0.5:5570")
    assert reached("tcp://*:5571", base) == "tcp://10.0.0.5:5571"
    assert reached("ipc:///run/lf/events", base) == "ipc:///run/lf/events"


def test_no_topic_is_a_prefix_of_another() -> None:
    assert len(topic_of("a" * 32)) == len(BEAT) == TOPIC_LENGTH
    assert identity_of(topic_of("0af" * 10 + "12")) == "0af" * 10 + "12"


@pytest.mark.parametrize("topic", [b"", b"a", b"a" * 32, b"a" * 33, b"A" * 32 + b"/", b"a" * 32 + b"/\n", BEAT])
def test_what_is_not_exactly_a_job_topic_names_nobody(topic: bytes) -> None:
    assert identity_of(topic) is None


@pytest.mark.parametrize(("low", "high"), [(1, 1), (1, 5), (0, 1)])
def test_versions_that_overlap_agree_on_the_highest_common_one(low: int, high: int) -> None:
    assert version.agree(low, high) == 1


@pytest.mark.parametrize(("low", "high", "words"), [(0, 0, "too old"), (2, 3, "too new")])
def test_versions_that_do_not_overlap_are_told_which_side_to_update(low: int, high: int, words: str) -> None:
    with pytest.raises(Refusal, match=words) as refused:
        version.agree(low, high)
    assert refused.value.code is Code.PROTOCOL
    assert refused.value.exit_code == 5
