"""The depot lane: bundles in chunks, asked for by whoever receives, several in flight, resumable at any offset.

A token from the broker opens it, in either direction. `chunk` is the one message with a third frame: the bytes.
"""

from typing import Annotated

from msgspec import Meta

from labelferry_protocol import limits
from labelferry_protocol.message import Attempt, Count, JobId, Message, Sha256
from labelferry_protocol.requests import Refused, Token
from labelferry_protocol.work import Holdings

ChunkLength = Annotated[int, Meta(ge=1, le=limits.MAX_CHUNK_BYTES)]


class OpenBundle(Message, frozen=True, kw_only=True):
    """client -> depot: I have this token of the broker's; let me ask for chunks on this connection."""

    token: Token


class BundleOpened(Message, frozen=True, kw_only=True):
    """depot -> client: ask. Chunks of `chunk_bytes` suit; `size` and `sha256` are those of the whole bundle."""

    size: Count
    sha256: Sha256
    chunk_bytes: ChunkLength


class RequestChunk(Message, frozen=True, kw_only=True):
    """receiver -> sender (client -> depot, depot -> worker): send me these bytes."""

    job_id: JobId
    offset: Count
    length: ChunkLength


class Chunk(Message, frozen=True, kw_only=True):
    """sender -> receiver: the bytes follow as the third frame; shorter than asked for only at the end of the bundle."""

    job_id: JobId
    offset: Count


class CloseBundle(Message, frozen=True, kw_only=True):
    """client -> depot: I ask for no more. Not answered."""

    job_id: JobId


class OfferBundle(Message, frozen=True, kw_only=True):
    """worker -> depot: I have what this token of the broker's names; ask me for it, unless `content` is all of it."""

    token: Token
    content: Annotated[bytes, Meta(max_length=limits.MAX_SMALL_BUNDLE_BYTES)] | None = None
    """The whole of a small bundle. A depot that does not know this field asks for chunks."""


class BundleStored(Message, frozen=True, kw_only=True):
    """depot -> worker: all of it is here, on disk, and its digest is right; show the receipt to the broker."""

    job_id: JobId
    attempt: Attempt
    receipt: Token


class AbandonBundle(Message, frozen=True, kw_only=True):
    """worker -> depot: what this token names will not come; throw away what you have of it."""

    token: Token


class BundleAbandoned(Message, frozen=True, kw_only=True):
    """depot -> worker: nothing of it is here any more."""

    job_id: JobId
    attempt: Attempt


class DepotReady(Message, frozen=True, kw_only=True):
    """depot -> broker, on their inner lane, when it starts and on each reconnect: I serve, at this endpoint."""

    endpoint: str


class AskKeep(Message, frozen=True, kw_only=True):
    """depot -> broker, on their inner lane, for what lies in its store: is any of this still wanted? At most 256 at a time."""

    holding: Holdings


class Keep(Message, frozen=True, kw_only=True):
    """broker -> depot, on their inner lane: of what you asked about, keep these; the rest belongs to nobody."""

    holding: Holdings


class Discard(Message, frozen=True, kw_only=True):
    """broker -> depot, on their inner lane: throw this attempt's bundle away, whether stored or half here."""

    job_id: JobId
    attempt: Attempt


class Discarded(Message, frozen=True, kw_only=True):
    """depot -> broker, on their inner lane: nothing of it is here any more."""

    job_id: JobId
    attempt: Attempt


PeerSaysToDepot = OpenBundle | RequestChunk | Chunk | CloseBundle | OfferBundle | AbandonBundle
DepotSays = BundleOpened | RequestChunk | Chunk | BundleStored | BundleAbandoned | Refused
DepotToBroker = DepotReady | AskKeep | Discarded
BrokerToDepot = Keep | Discard
