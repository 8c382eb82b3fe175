"""Follow several jobs of a broker at once: `python subscribe_async.py JOB...`. The broker is the one that LABELFERRY_BROKER names."""

import asyncio
import sys

from labelferry import AsyncClient, LabelferryError, Progress


async def follow(client: AsyncClient, job_id: str) -> None:
    """Print what happens to one job, to its end."""
    async for event in client.events(job_id):
        if isinstance(event, Progress):
            print(f"{job_id[:8]}  {event.progress:5.1f} % of {event.phase}  {event.message}")
        else:
            print(f"{job_id[:8]}  {type(event).__name__}")


async def main(job_ids: list[str]) -> None:
    """Follow all of them with one client."""
    async with AsyncClient() as client, asyncio.TaskGroup() as tasks:
        for job_id in job_ids:
            tasks.create_task(follow(client, job_id))


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1:]))
    except* LabelferryError as errors:
        sys.exit("\n".join(map(str, errors.exceptions)))
