"""What an executor and a watch are, and the executor that runs jobs in this process, one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ablations.core.result import Result
from ablations.core.subject import Place
from ablations.core.trial import Job, Trial
from ablations.execution.allocator import keep_freed_memory
from ablations.execution.worker import run_job


class Watch(Protocol):
    """Follows a study.  It is called in the driver's process, one call at a time."""

    def begin(self) -> None:
        """Called once, when the first worker is ready to train; the worker waits until this returns."""

    def epoch(self, trial: Trial, row: Mapping[str, float]) -> None:
        """Called when an epoch of `trial`, and of all that share its training, has ended with the numbers `row`."""

    def result(self, result: Result) -> None:
        """Called when a trial has ended and its record is on disk."""


class Executor(Protocol):
    """Runs jobs and reports their trials to a `Watch`."""

    def __call__(self, jobs: Sequence[Job], place: Place, watch: Watch) -> None:
        """Returns when every trial has a result."""


def serial(jobs: Sequence[Job], place: Place, watch: Watch) -> None:
    """Runs the jobs one after another in this process, without Ray."""
    keep_freed_memory()
    watch.begin()
    for job in jobs:
        for result in run_job(job, place, report=watch.epoch):
            watch.result(result)
