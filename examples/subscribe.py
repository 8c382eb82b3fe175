"""Follow one job of a broker to its end: `python subscribe.py JOB`. The broker is the one that LABELFERRY_BROKER names."""

import sys

from labelferry import Cancelled, Client, Completed, Failed, LabelferryError, Progress, overall


def main(job_id: str) -> int:
    """Print what happens to the job; return 0 when it is completed."""
    with Client() as client:
        for event in client.events(job_id):
            match event:
                case Progress():
                    print(f"{overall(event.progress, event.phase):5.1f} %  {event.message}")
                case Completed():
                    print(f"completed: {event.counts.images} images, {event.bundle.size} bytes")
                    return 0
                case Failed() | Cancelled():
                    print(f"{type(event).__name__.lower()}: {event.message}")
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except LabelferryError as error:
        sys.exit(str(error))
