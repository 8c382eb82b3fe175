"""One connection to a broker, pure: what the client knows, whom frames are for, and what the sockets must do next.

A shell (`client.py`, `async_client.py`) owns the sockets and the clock: it hands in what came (`received`), then gives the
turn the time (`turn`), performs the effects, and waits for at most `wait` seconds. No socket, no thread, no clock here.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from labelferry.conversation import Conversation, Question
from labelferry.effects import Close, Effect, Open, Send, Subscribe
from labelferry.errors import Unreachable
from labelferry.fetch import Fetch
from labelferry.stream import EventStream
from labelferry.watching import Watching
from labelferry_protocol import codec, topics, version
from labelferry_protocol.depot import DepotSays
from labelferry_protocol.endpoints import Endpoint, Lane, reached
from labelferry_protocol.errors import Code, LabelferryError, Malformed, Refusal
from labelferry_protocol.events import Beat, EventsLane, Snapshot
from labelferry_protocol.message import Message
from labelferry_protocol.requests import BrokerAnswers, DownloadOpened, GetSnapshot, Hello, Refused, Welcome
from labelferry_transport.descriptors import NO_DESCRIPTOR_SECONDS

A = TypeVar("A", bound=Message)
Stirred = Question[Any] | EventStream
"""What a flow may wait for alone."""

REQUESTS = "requests"
EVENTS = "events"
REOPEN_SECONDS = 3.0
"""A lane that should speak and has not for so long is connected anew: a half-open connection tells nobody, and a new one asks DNS again."""
FIRST_SECONDS = 8.0
"""What a lane is given on which nothing has come yet: as long as libzmq may take to connect (3 s) and to shake hands (5 s), which on a way with a
round trip of 0.6 s are 3 s together. Given up sooner, it would never come to be."""
MOST_STEP_SECONDS = 1.0
"""What one turn may count as: a client that was stopped, or whose user did something else, has not waited."""
MOST_WAIT_SECONDS = 0.5


class Session:
    """What one client knows. Its `now` is in lived seconds: time in which nobody turned the session does not count."""

    def __init__(
        self,
        endpoint: Endpoint,
        new_ref: Callable[[], str],
        *,
        timeout: float,
        patience: float,
        advice: str,
        software: str,
    ) -> None:
        self.timeout = timeout
        self.patience = patience
        self.now = 0.0
        self.welcome: Welcome | None = None
        self._endpoint = endpoint
        self._advice = advice
        self._software = software
        self._conversation = Conversation(new_ref)
        self._hello: Question[Welcome] | None = None
        self._failure: LabelferryError | None = None
        self._stirred: set[Stirred] = set()
        self._watching = Watching(self._emit, self._ask_snapshot, self._conversation.forget)
        self._fetches: dict[str, Fetch] = {}
        self._fetch_count = 0
        self._effects: list[Effect] = []
        self._turned_at: float | None = None
        self._heard = {REQUESTS: 0.0, EVENTS: 0.0}
        self._opened: dict[str, float] = {}
        self._unheard: set[str] = set()
        """The lanes on whose socket nothing has come yet."""
        self._unopened: dict[str, str] = {}
        """Why there is no socket of a name."""

    def connect(self) -> Question[Welcome] | None:
        """Say hello, unless that is done; return the question while it is open or failed, None once the broker has answered."""
        if self.welcome is not None:
            return None
        if REQUESTS not in self._opened:
            self._open(REQUESTS, Lane.REQUESTS)
        self._say_hello()
        return self._hello

    def ask(self, message: Message, expects: type[A], timeout: float | None = None) -> Question[A]:
        """Ask the broker; the answer appears in the question. `timeout` in seconds, the client's own by default."""
        return self._conversation.ask(message, expects, self.now, self.timeout if timeout is None else timeout)

    def forget(self, question: Question[Any]) -> None:
        """Wait no more for an answer."""
        self._conversation.forget(question)

    def watch(self, job_id: str) -> EventStream:
        """Return a stream of a job's events, its topic subscribed to."""
        if EVENTS not in self._opened:
            self._open(EVENTS, Lane.EVENTS)
        return self._watching.watch(job_id, self.now)

    def unwatch(self, stream: EventStream) -> None:
        """Let go of a stream; its topic is unsubscribed from with the last one: at once, or with others when the job has ended."""
        self._watching.unwatch(stream)

    def fetch(self, opened: DownloadOpened, received: int) -> Fetch:
        """Return a download on a socket of its own, from the byte `received` on."""
        self._fetch_count += 1
        name = f"depot-{self._fetch_count}"
        fetch = Fetch(opened, received, self.now)
        self._fetches[name] = fetch
        self._open(name, Lane.DEPOT)
        return fetch

    def drop(self, fetch: Fetch) -> None:
        """Let go of a download."""
        for name in [name for name, each in self._fetches.items() if each is fetch]:
            self._effects += [Send(name, tuple(codec.frames(each)), None) for each in fetch.goodbye()]
            self._effects.append(Close(name))
            del self._fetches[name], self._opened[name]
            self._unheard.discard(name)
            self._unopened.pop(name, None)

    def check(self, waiting: EventStream | Fetch | None = None) -> None:
        """Raise what ends whatever waits here: a refusal of its own, a broker of another version, or one that is away for too long."""
        if self._failure is not None:
            raise self._failure
        refusal = self._watching.refusal(waiting) if isinstance(waiting, EventStream) else None
        if refusal is not None:
            raise refusal
        if waiting is None:
            return
        silent = self.now - self._heard_for(waiting)
        if silent > self.patience and isinstance(waiting, Fetch) and self.now - self._heard[REQUESTS] < self.patience:
            raise Unreachable(
                f"nothing of the bundle has come from {self._endpoint.lane(Lane.DEPOT)} for {silent:.0f} s, though the broker answers: "
                "is the depot ready (`labelferry status`), and does the way there bear packets of full size (MTU)?"
            )
        if silent > self.patience:
            raise self.unreachable(f" any more (since {silent:.0f} s)")

    @property
    def silence(self) -> float:
        """For how long nothing was heard of the broker (s) while a job is watched, or of its depot while a bundle comes; 0 while neither is."""
        waiting: list[EventStream | Fetch] = [*self._watching.all(), *self._fetches.values()]
        return max(0.0, self.now - min(map(self._heard_for, waiting), default=self.now))

    def unreachable(self, what: str = "") -> Unreachable:
        """Return the error that says where no broker answers, and what to look at."""
        return Unreachable(
            f"no broker answers at {self._endpoint}{what}: {next(iter(self._unopened.values()), self._advice)}"
        )

    # What the shell says

    def received(self, name: str, parts: Sequence[bytes]) -> None:
        """Take the frames that came on a socket; what cannot be understood is passed over, as a newer broker may say it."""
        try:
            if name == REQUESTS:
                self._answered(parts)
            elif name == EVENTS:
                self._pushed(parts)
            elif name in self._fetches:
                ref, message = codec.parse(parts, DepotSays)
                self._fetches[name].heard(message, parts[2] if len(parts) > 2 else b"", self.now, ref)
        except Malformed:
            return
        except Refusal as refusal:
            if refusal.code is Code.PROTOCOL:
                self._failure = refusal
                self._stirred.update((*self._conversation.open, *self._watching.all()))

    def step(self, now: float) -> None:
        """Let time pass, to `now` (s, any steady clock); called before `received`, so that what came has the right time."""
        if self._turned_at is not None:
            passed = now - self._turned_at
            self.now += min(max(passed, 0.0), MOST_STEP_SECONDS)
            if passed > MOST_STEP_SECONDS:
                self._watching.paused(self.now)
        self._turned_at = now

    def turn(self) -> list[Effect]:
        """Return what to do with the sockets now; called after everything that came was `received`."""
        self._tick_lanes()
        self._watching.tick(self.now, self._heard[EVENTS])
        self._tick_fetches()
        self._stirred.update(self._conversation.expire(self.now))
        for question in self._conversation.due(self.now):
            if self.welcome is not None or question is self._hello:
                self._conversation.sent(question, self.now)
                frames = tuple(codec.frames(question.message, question.ref))
                self._effects.append(Send(REQUESTS, frames, question))
        effects, self._effects = self._effects, []
        return effects

    def not_sent(self, effect: Send) -> None:
        """Take it that an effect found no connection; it is tried again soon."""
        if isinstance(effect.ticket, Question):
            self._conversation.not_sent(effect.ticket, self.now)
        elif effect.ticket is not None:
            effect.ticket.not_sent(self.now)

    def not_opened(self, effect: Open, why: LabelferryError) -> None:
        """Take it that there is no socket of this name, and why; it is tried again soon."""
        self._unopened[effect.name] = str(why)

    def wait(self) -> float:
        """Return for how long nothing needs to be done unless something comes (s)."""
        if self._effects:
            return 0.0
        held_back = self.welcome is None
        questions = self._hello.send_at if held_back and self._hello is not None else self._conversation.deadline()
        times = [
            questions,
            self._watching.due,
            *(each.deadline() for each in self._fetches.values()),
        ]
        return max(0.0, min(MOST_WAIT_SECONDS, min(times) - self.now))

    def stirred(self) -> set[Stirred]:
        """Return what has changed since the last time: whoever waits for one of these alone must look again."""
        stirred, self._stirred = self._stirred, set()
        return stirred | self._watching.stirred()

    @property
    def idle(self) -> bool:
        """Whether nobody waits for anything."""
        return not (self._effects or self._watching.active or self._fetches or self._conversation.open)

    # Inside

    def _heard_for(self, waiting: EventStream | Fetch) -> float:
        """Return when something was heard last of where this has its news from: the broker, or its depot."""
        return waiting.heard_at if isinstance(waiting, Fetch) else max(waiting.since, *self._heard.values())

    def _hears(self, name: str) -> None:
        self._heard[name] = self.now
        self._unheard.discard(name)

    def _is_lost(self, name: str, since: float) -> bool:
        """Whether a lane that should have spoken since then is to be connected anew."""
        given = FIRST_SECONDS if name in self._unheard else REOPEN_SECONDS
        return self.now - max(since, self._heard[name], self._opened.get(name, self.now)) >= given

    def _emit(self, effect: Effect) -> None:
        self._effects.append(effect)

    def _ask_snapshot(self, job_id: str) -> Question[Snapshot]:
        return self.ask(GetSnapshot(job_id=job_id), Snapshot)

    def _open(self, name: str, lane: Lane) -> None:
        told = "" if self.welcome is None else self.welcome.endpoints.get(lane, "")
        endpoint = reached(told, self._endpoint) if told else self._endpoint.lane(lane)
        if lane is Lane.REQUESTS:
            endpoint = self._endpoint.lane(lane)
        self._effects.append(Open(name, lane, endpoint))
        if lane is Lane.EVENTS:
            self._effects.append(Subscribe(topics.BEAT))
        self._opened[name] = self.now
        self._unheard.add(name)
        self._unopened.pop(name, None)

    def _reopen(self, name: str) -> None:
        if name == REQUESTS:
            self._open(REQUESTS, Lane.REQUESTS)
            self._conversation.reconnected(self.now)
            if self.welcome is not None:
                self._say_hello()
        elif name == EVENTS:
            self._open(EVENTS, Lane.EVENTS)
            self._watching.resubscribe()
        else:
            self._open(name, Lane.DEPOT)
            self._fetches[name].reconnected(self.now)

    def _say_hello(self) -> None:
        if self._hello is not None and self._hello.open:
            self._hello.send_at = self.now
            return
        hello = Hello(
            minimum_version=version.MINIMUM,
            maximum_version=version.MAXIMUM,
            features=tuple(sorted(version.FEATURES)),
            software=self._software,
        )
        self._hello = self.ask(hello, Welcome)

    def _answered(self, parts: Sequence[bytes]) -> None:
        self._hears(REQUESTS)
        try:
            ref, message = codec.parse(parts, BrokerAnswers)
        except Malformed as error:
            ref = codec.parse_header(parts[0]).ref if parts else ""
            sentence = f"the broker's answer cannot be understood here ({error}): update labelferry"
            question = self._conversation.failed(ref, Malformed(sentence))
            if question is not None:
                self._stirred.add(question)
            return
        hello_ref = "" if self._hello is None else self._hello.ref
        if isinstance(message, Refused) and message.code is Code.REGISTER and ref != hello_ref:
            self._say_hello()
        question = self._conversation.answered(ref, message, self.now)
        if question is not None:
            self._stirred.add(question)
        if question is not None and isinstance(question.answer, Welcome):
            self.welcome = question.answer

    def _pushed(self, parts: Sequence[bytes]) -> None:
        self._hears(EVENTS)
        if len(parts) != 2:
            return
        message = codec.unpack(parts[1], EventsLane)
        if isinstance(message, Beat):
            self._beat(message)
        self._watching.pushed(message, self.now)

    def _beat(self, beat: Beat) -> None:
        if self.welcome is not None and beat.epoch > self.welcome.epoch:
            self._say_hello()

    def _tick_lanes(self) -> None:
        for name in [name for name in self._unopened if self.now - self._opened[name] >= NO_DESCRIPTOR_SECONDS]:
            self._reopen(name)
        # What finds no connection to be sent on counts as well: a socket that was refused once never makes one again.
        asked = [each.asked_at if each.sent_at is None else each.sent_at for each in self._conversation.open]
        if asked and self._is_lost(REQUESTS, min(asked)):
            self._reopen(REQUESTS)
        if self._watching.active and self._is_lost(EVENTS, self._opened[EVENTS]):
            self._reopen(EVENTS)

    def _tick_fetches(self) -> None:
        for name, fetch in self._fetches.items():
            if fetch.stalled(self.now):
                self._open(name, Lane.DEPOT)
                fetch.stumbled(self.now)
            self._effects += [Send(name, tuple(codec.frames(each, fetch.ref)), fetch) for each in fetch.turn(self.now)]
