"""The asyncio client against a pretended broker: the flows are those of the blocking one, so its shell is what is tested here."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from labelferry import (
    AsyncClient,
    AsyncEvents,
    Cancelled,
    Code,
    Completed,
    ExportOptions,
    Interrupted,
    JobEvent,
    Progress,
    Refusal,
    Started,
    Unreachable,
)
from labelferry_protocol.words import Phase

if TYPE_CHECKING:
    from tests.clients.library.conftest import Job, PretendedBroker

BUNDLE = Random(7).randbytes(300_000)


def strict(events: list[JobEvent]) -> bool:
    order = [event.seq for event in events]
    return order == sorted(set(order))


def running(broker: PretendedBroker) -> Job:
    def make() -> Job:
        job = broker.make_job()
        broker.begin(job)
        broker.progress(job, 5)
        return job

    return broker.do(make)


def finished(broker: PretendedBroker) -> str:
    job = running(broker)
    broker.do(lambda: broker.complete(job, BUNDLE))
    return job.job_id


def test_many_tasks_share_one_client_and_each_sees_its_job_to_the_end(broker: PretendedBroker) -> None:
    broker.on_submit = lambda job: broker.later(20, lambda: broker.run_through(job, steps=50))

    async def follow(client: AsyncClient) -> list[JobEvent]:
        job_id = (await client.submit("/data/nuclei")).job_id
        return [event async for event in client.events(job_id)]

    async def main() -> list[list[JobEvent]]:
        async with AsyncClient(str(broker)) as client:
            return await asyncio.gather(*(follow(client) for _ in range(8)))

    for events in asyncio.run(main()):
        assert strict(events)
        assert isinstance(events[0], Started)
        assert isinstance(events[-1], Completed)


def test_twenty_readers_of_one_job_see_the_same_events_from_where_they_joined(broker: PretendedBroker) -> None:
    job = running(broker)

    async def main() -> list[list[int]]:
        async with AsyncClient(str(broker)) as client:
            streams = [client.events(job.job_id) for _ in range(15)]
            firsts = await asyncio.gather(*(anext(stream) for stream in streams))
            assert all(isinstance(event, Started) for event in firsts)
            for percent in (20, 30, 40):
                broker.do(partial(broker.progress, job, percent))
            late = [client.events(job.job_id) for _ in range(5)]
            await asyncio.gather(*(anext(stream) for stream in late))
            broker.do(lambda: broker.complete(job))

            async def rest(stream: AsyncEvents) -> list[int]:
                return [event.seq async for event in stream]

            return await asyncio.gather(*(rest(stream) for stream in [*streams, *late]))

    taken = asyncio.run(main())
    ends = [seqs[-1] for seqs in taken]
    assert len(set(ends)) == 1
    assert all(seqs == list(range(seqs[0], ends[0] + 1)) for seqs in taken)


def test_a_download_brings_the_bundle(broker: PretendedBroker, tmp_path: Path) -> None:
    job_id = finished(broker)

    async def main() -> list[JobEvent]:
        async with AsyncClient(str(broker)) as client:
            return [event async for event in client.download(job_id, tmp_path / "out.zip")]

    events = asyncio.run(main())
    assert (tmp_path / "out.zip").read_bytes() == BUNDLE
    assert isinstance(events[-1], Completed)
    assert strict(events)


def test_an_export_is_one_stream_from_start_to_the_file(broker: PretendedBroker, tmp_path: Path) -> None:
    broker.on_submit = lambda job: broker.later(20, lambda: broker.run_through(job, bundle=BUNDLE))

    async def main() -> list[JobEvent]:
        async with AsyncClient(str(broker)) as client:
            return [event async for event in client.export("/data/nuclei", tmp_path / "out.zip")]

    events = asyncio.run(main())
    assert (tmp_path / "out.zip").read_bytes() == BUNDLE
    assert strict(events)
    assert {event.phase for event in events if isinstance(event, Progress)} == set(Phase)


def test_an_export_may_be_cancelled_from_another_thread(broker: PretendedBroker, tmp_path: Path) -> None:
    broker.on_submit = lambda job: broker.run_through(job, steps=10_000)

    async def main() -> list[JobEvent]:
        async with AsyncClient(str(broker)) as client:
            run = client.export("/data/nuclei", tmp_path / "out.zip")
            events = [await anext(run)]
            await asyncio.to_thread(run.cancel)
            return events + [event async for event in run]

    events = asyncio.run(main())
    assert isinstance(events[-1], Cancelled)
    assert list(tmp_path.iterdir()) == []


def test_an_export_cancelled_before_it_begins_makes_no_job(broker: PretendedBroker, tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncClient(str(broker)) as client:
            run = client.export("/data/nuclei", tmp_path / "out.zip")
            run.cancel()
            with pytest.raises(Interrupted):
                await anext(run)

    asyncio.run(main())
    assert broker.do(lambda: len(broker.jobs)) == 0


def test_a_cancelled_task_does_not_end_the_stream_it_waited_on(broker: PretendedBroker) -> None:
    job = running(broker)

    async def main() -> list[JobEvent]:
        async with AsyncClient(str(broker)) as client:
            stream = client.events(job.job_id)
            first = [await anext(stream), await anext(stream)]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(stream)
            broker.do(lambda: broker.complete(job))
            return first + [event async for event in stream]

    events = asyncio.run(main())
    assert strict(events)
    assert isinstance(events[-1], Completed)


def test_a_restarted_broker_is_found_again(broker: PretendedBroker) -> None:
    job = running(broker)

    async def main() -> list[JobEvent]:
        async with AsyncClient(str(broker)) as client:
            stream = client.events(job.job_id)
            events = [await anext(stream), await anext(stream)]
            broker.do(broker.restart)
            broker.do(lambda: broker.complete(job))
            return events + [event async for event in stream]

    events = asyncio.run(main())
    assert strict(events)
    assert isinstance(events[-1], Completed)


def test_questions_are_answered_and_refused(broker: PretendedBroker) -> None:
    options = ExportOptions(scale=0.5)
    job = running(broker)

    async def main() -> None:
        async with AsyncClient(str(broker)) as client:
            assert (await client.overview()).software == "pretended"
            assert (await client.save_template("mine", options)).options == options
            assert (await client.template("mine")).options == options
            assert await client.templates() == ("mine",)
            await client.delete_template("mine")
            assert (await client.history()).jobs == ()
            assert (await client.transfers(job.job_id)).transfers == ()
            assert (await client.status(job.job_id)).project == "nuclei"
            assert isinstance(await client.cancel(job.job_id), Cancelled)
            with pytest.raises(Refusal) as caught:
                await client.status("f" * 32)
            assert caught.value.code is Code.NO_SUCH_JOB

    asyncio.run(main())


def test_where_no_broker_is_the_sentence_says_so() -> None:
    async def main() -> None:
        async with AsyncClient("ipc:///tmp/lf-nobody", timeout=0.2) as client:
            await client.overview()

    with pytest.raises(Unreachable, match="no broker answers"):
        asyncio.run(main())


def test_a_closed_client_lets_nobody_wait(broker: PretendedBroker) -> None:
    job = running(broker)

    async def main() -> None:
        client = AsyncClient(str(broker))
        stream = client.events(job.job_id)
        await anext(stream)
        await anext(stream)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        await client.close()
        await client.close()
        with pytest.raises(Refusal, match="closed"):
            await waiting
        with pytest.raises(Refusal, match="is closed"):
            await client.overview()

    asyncio.run(main())
