"""What a peer that is broken, or wicked, may send: frames between noise and nearly right."""

import json
import random

import msgpack

from labelferry_protocol import codec
from labelferry_protocol.options import Source
from labelferry_protocol.requests import BrokerAnswers, Submit
from labelferry_protocol.topics import topic_of
from labelferry_protocol.work import BrokerTellsWorker


def garbage(chance: random.Random) -> list[bytes]:
    """Return frames between noise and nearly right."""
    match chance.randrange(6):
        case 0:
            return [
                chance.randbytes(chance.choice([0, 1, 33, 60, 400])) for _ in range(chance.choice([1, 2, 3, 9, 100]))
            ]
        case 1:
            return [b"\x01" + chance.randbytes(33)]
        case 2:
            return [
                msgpack.packb({"version": chance.choice([1, -1, 2**40, "1", None]), "ref": "x" * chance.randrange(90)})
            ] * 2
        case 3:
            body = codec.pack(Submit(idempotency_key="k", source=Source(location="/x")))
            spot = chance.randrange(len(body))
            return [msgpack.packb({"version": 1}), body[:spot] + chance.randbytes(1) + body[spot + 1 :]]
        case 4:
            kinds = sorted(codec.kinds(BrokerTellsWorker) | codec.kinds(BrokerAnswers) | {"hello", "renew", "register"})
            nested: object = 0
            for _ in range(chance.randrange(200)):
                nested = [nested]
            return [msgpack.packb({"version": 1}), msgpack.packb({"kind": chance.choice(kinds), "x": nested})]
        case _:
            return [topic_of("ab" * 16), json.dumps({"kind": "progress-frame"}).encode()]
