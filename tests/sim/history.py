"""One history from one seed: a service, bad weather for a while, then calm until everything has ended."""

from dataclasses import dataclass

from tests.sim.broker import Broker
from tests.sim.client import Client
from tests.sim.promises import Promises
from tests.sim.worker import Worker
from tests.sim.world import CALM, World

from labelferry_broker.ledger.machine import Ledger
from labelferry_broker.ledger.settings import Asker
from labelferry_protocol.events import Terminal
from labelferry_protocol.options import ExportOptions

STORM = 40.0
PATIENCE = 400.0
STEP = 1.0


@dataclass(frozen=True)
class Ending:
    """What a history came to."""

    ended: dict[str, Terminal]
    epochs: int
    evictions: int
    seconds: float


class History:
    """The people of a history and what happens to them."""

    def __init__(self, seed: int, kind: type[Ledger] = Ledger) -> None:
        self._world = world = World(seed)
        self._promises = Promises(world)
        self._promises.holders = self._holders
        self._promises.keepers = self._keepers
        self._broker = Broker(world, self._promises, kind)
        rng = world.rng
        self._workers = [Worker(world, self._broker, "crew") for _ in range(rng.randint(1, 3))]
        owners = [Asker(name) for name in ("ada", "bo", "cy")[: rng.randint(1, 3)]]
        self._clients = [Client(world, self._broker, asker, rng.uniform(0.5, 3)) for asker in owners]
        self._clients.append(Client(world, self._broker, Asker("root", admin=True), 1.0))
        self._stranger = Client(world, self._broker, Asker("eve"), 1.0)
        for number in range(rng.randint(1, 6)):
            self._plan_job(str(number))
        for _ in range(rng.randint(0, 6)):
            world.after(rng.uniform(0, STORM), self._cancel_something)
        for _ in range(3):
            world.after(rng.uniform(0, STORM), self._look_at_something)
        world.after(0.0, self._rage)

    def play(self) -> Ending:
        """Let it happen; raise `BrokenPromise` when something does that never may."""
        self._world.run(STORM)
        self._calm_down()
        self._world.run(STORM + PATIENCE, done=self._at_rest)
        for _ in range(2):
            self._world.run(self._world.now + 30.0)
            self._broker.depot.sweep()
        self._world.run(self._world.now + 1.0)
        self._promises.at_rest(set(self._broker.depot.stored), self._broker.store)
        return Ending(self._promises.ended, self._broker.store.epoch, self._promises.evictions, self._world.now)

    def _plan_job(self, key: str) -> None:
        rng = self._world.rng
        client = rng.choice(self._clients)
        options = ExportOptions(
            timeout=rng.choice((None, None, None, rng.uniform(1, 60))), keep_partial=self._world.chance(0.3)
        )
        at = rng.uniform(0, STORM * 0.7)
        self._world.after(at, lambda: client.submit(key, options))
        if self._world.chance(0.3):
            self._world.after(at + rng.uniform(0, 20), lambda: client.submit(key, options))

    def _cancel_something(self) -> None:
        rng = self._world.rng
        if not self._promises.accepted:
            return
        job_id = rng.choice(sorted(self._promises.accepted))
        attempt = rng.choice((None, None, None, 1, 2))
        keep = rng.choice((None, True, False))
        for client in self._clients:
            owns = job_id in client.job_of_key.values()
            if owns or client is self._clients[-1]:
                for _ in range(rng.choice((1, 1, 2))):
                    client.cancel(job_id, attempt, keep_partial=keep, mine=True)
        self._stranger.cancel(job_id, None, keep_partial=None, mine=False)

    def _look_at_something(self) -> None:
        if self._promises.accepted:
            job_id = self._world.rng.choice(sorted(self._promises.accepted))
            self._clients[-1].look(job_id)

    def _rage(self) -> None:
        """Let disasters come for as long as the storm lasts."""
        world, weather, rng = self._world, self._world.weather, self._world.rng
        if weather is CALM:
            return
        if world.chance(weather.broker_dies * STEP) and self._broker.ledger is not None:
            self._broker.die()
        for worker in list(self._workers):
            if world.chance(weather.worker_dies * STEP):
                worker.die()
                self._workers.remove(worker)
                world.after(rng.uniform(0.1, 20), self._hire)
            elif world.chance(weather.worker_stalls * STEP) and not worker.stalled:
                worker.stall(rng.expovariate(0.1))
            elif world.chance(weather.worker_cut_off * STEP) and not worker.cut_off:
                worker.cut(rng.expovariate(0.15))
        if world.chance(0.01) and len(self._clients) > 1:
            self._clients.pop(0).die()
        if world.chance(0.02):
            world.turn_wall_clock()
        if world.chance(0.05):
            self._broker.depot.sweep()
        world.after(STEP, self._rage)

    def _hire(self) -> None:
        self._workers.append(Worker(self._world, self._broker, "crew"))

    def _calm_down(self) -> None:
        self._world.weather = CALM
        self._hire()

    def _keepers(self, job_id: str) -> list[str]:
        """Return the workers that keep something of a job, as far as the broker can know: those it hears of, that have said so."""
        ledger = self._broker.ledger
        known = {worker.worker_id for worker in ledger._book.crew.keepers(job_id)} if ledger is not None else set()
        return [worker.worker_id for worker in self._workers if worker.worker_id in known and job_id in worker.keeping]

    def _holders(self, job_id: str) -> list[str]:
        """Return the workers that run a child for a job, but for those that cannot notice anything just now."""
        return [worker.worker_id for worker in self._workers if job_id in worker.running and not worker.stalled]

    def _at_rest(self) -> bool:
        ledger = self._broker.ledger
        return ledger is not None and not ledger._book.live
