"""The order in which waiting jobs are leased: owners take turns, and within an owner the oldest job goes first.

So somebody who queues a hundred thousand jobs delays nobody's first one by more than one job an owner.
"""

from bisect import bisect_left, insort
from collections import deque


class Queue:
    """Waiting jobs, by owner. A job is named by its id and its number, which is its place in the order of all submits."""

    def __init__(self) -> None:
        self._lines: dict[str, list[tuple[int, str]]] = {}
        self._turns: deque[str] = deque()

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def __bool__(self) -> bool:
        return bool(self._turns)

    def add(self, owner: str, number: int, job_id: str) -> None:
        """Let a job wait; an owner who had none waiting takes the last turn."""
        line = self._lines.get(owner)
        if line is None:
            line = self._lines[owner] = []
            self._turns.append(owner)
        insort(line, (number, job_id))

    def remove(self, owner: str, number: int, job_id: str) -> None:
        """Let a job wait no more; one that does not wait is none."""
        line = self._lines.get(owner, [])
        place = bisect_left(line, (number, job_id))
        if place < len(line) and line[place][1] == job_id:
            del line[place]
            if not line:
                del self._lines[owner]
                self._turns.remove(owner)

    def oldest(self) -> str | None:
        """Return the job that was submitted first of all that wait."""
        return min((line[0] for line in self._lines.values()), default=(0, None))[1]

    def next(self) -> str | None:
        """Return the job whose turn it is; None when nobody waits."""
        return self._lines[self._turns[0]][0][1] if self._turns else None

    def take(self) -> str | None:
        """Return the job whose turn it is, and let the next owner have the next turn."""
        if not self._turns:
            return None
        owner = self._turns.popleft()
        line = self._lines[owner]
        _, job_id = line.pop(0)
        if line:
            self._turns.append(owner)
        else:
            del self._lines[owner]
        return job_id

    def position(self, owner: str, number: int, job_id: str) -> int | None:
        """Return how many waiting jobs are leased before this one; None when it does not wait (before a retry)."""
        line = self._lines.get(owner, [])
        ahead = bisect_left(line, (number, job_id))
        if ahead == len(line) or line[ahead][1] != job_id:
            return None
        before = ahead
        rounds = ahead + 1
        for other in self._turns:
            if other == owner:
                rounds = ahead
            else:
                before += min(len(self._lines[other]), rounds)
        return before
