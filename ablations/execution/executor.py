"""The executor's protocol, and the serial one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ablations.core.result import Result
from ablations.core.subject import Place
from ablations.core.trial import Job, Trial
from ablations.execution.allocator import keep_freed_memory
from ablations.execution.worker import run_job


class Watch(Protocol):
    """Whoever follows a study; called in the process that asked for it, one call at a time."""

    def begin(self) -> None:
        """A first worker is ready to train, and waits until this returns."""

    def epoch(self, trial: Trial, row: Mapping[str, float]) -> None:
        """An epoch of `trial`, and of what shares its training, has ended with these numbers."""

    def result(self, result: Result) -> None:
        """A trial has ended; its record is on disk."""


class Executor(Protocol):
    """Runs jobs somewhere and tells a `Watch` what comes of their trials."""

    def __call__(self, jobs: Sequence[Job], place: Place, watch: Watch) -> None:
        """Returns when every trial has a result."""


def serial(jobs: Sequence[Job], place: Place, watch: Watch) -> None:
    """One job after another, in this process: no ray needed."""
    keep_freed_memory()
    watch.begin()
    for job in jobs:
        for result in run_job(job, place, report=watch.epoch):
            watch.result(result)
