"""What an executor takes: jobs, tuples of trials that one worker runs together.  Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

from ablations.types import Trial

Job = tuple[Trial, ...]


def by_training(trials: Iterable[Trial]) -> tuple[Job, ...]:
    """The trials that share a training together, in the order of the first of each.

    They differ in nothing but what evaluation reads, so one training, evaluated for each of them, serves them all.
    """
    groups: dict[Trial, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.training, []).append(trial)
    return tuple(tuple(group) for group in groups.values())
