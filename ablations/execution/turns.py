"""What an executor takes: jobs, tuples of trials that one worker runs together.  Imports no torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

from ablations.core.trial import Job

T = TypeVar("T")

# A pack holds so many times the trainings that take turns: the next one takes the place of one that ended, which
# otherwise stays empty until the longest has ended too.  More would be lost with a worker that dies.
ROUNDS = 4


def packed(jobs: Sequence[Job], *, at_once: int, workers: int) -> tuple[Job, ...]:
    """`jobs`, one training each, joined in their order to packs of which `at_once` trainings take turns.

    As many packs as keep each of `workers` busy to the end, of the same size but for one training.
    """
    if at_once == 1 or not jobs:
        return tuple(jobs)
    rounds = -(-len(jobs) // (ROUNDS * at_once * workers))
    count = min(len(jobs), rounds * workers)
    ends = [number * len(jobs) // count for number in range(count + 1)]
    return tuple(tuple(trial for job in jobs[first:end] for trial in job) for first, end in pairwise(ends))


def in_turns(tasks: Iterable[Iterator[T | None]], *, at_once: int) -> Iterator[T]:
    """All that `tasks` yield, but for None, which only ends a turn.

    `at_once` of them take turns, in their order; as one ends, the next one starts.
    """
    waiting, under_way = iter(tasks), deque[Iterator[T | None]]()
    while True:
        while len(under_way) < at_once and (task := next(waiting, None)) is not None:
            under_way.append(task)
        if not under_way:
            return
        task = under_way.popleft()
        try:
            found = next(task)
        except StopIteration:
            continue
        under_way.append(task)
        if found is not None:
            yield found
