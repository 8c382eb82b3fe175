"""Takes a process's file descriptors away, and gives them back."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path


@contextmanager
def few_descriptors(pid: int, free: int) -> Iterator[None]:
    """Let a process open only so many more files than it has open now; a limit is of numbers, and there may be gaps below."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    # Looked at again, for to list one's own takes one itself.
    taken = {int(each.name) for each in list(Path(f"/proc/{pid}/fd").iterdir()) if each.is_symlink()}
    first_beyond = next(islice((number for number in count() if number not in taken), free, None))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (first_beyond, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
