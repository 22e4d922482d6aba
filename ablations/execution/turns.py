"""Packs of trainings that take turns in one worker.  Imports no torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

from ablations.core.trial import Job

T = TypeVar("T")

# A pack holds this many times as many trainings as take turns.  When one ends, the next takes its place, which would
# otherwise stay empty until the longest has ended.  A larger pack would lose more if its worker dies.
ROUNDS = 4


def packed(jobs: Sequence[Job], *, at_once: int, workers: int) -> tuple[Job, ...]:
    """Returns `jobs`, of one training each, joined in their order into packs in which `at_once` trainings take turns.

    There are as many packs as keep all `workers` busy to the end.  Their sizes differ by one training at most.
    """
    if at_once == 1 or not jobs:
        return tuple(jobs)
    rounds = -(-len(jobs) // (ROUNDS * at_once * workers))
    count = min(len(jobs), rounds * workers)
    ends = [number * len(jobs) // count for number in range(count + 1)]
    return tuple(tuple(trial for job in jobs[first:end] for trial in job) for first, end in pairwise(ends))


def in_turns(tasks: Iterable[Iterator[T | None]], *, at_once: int) -> Iterator[T]:
    """Yields everything that `tasks` yield, except None, which only ends a turn.

    `at_once` tasks take turns, in their order; when one ends, the next one starts.
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
