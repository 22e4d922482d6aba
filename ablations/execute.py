"""The executor's protocol, and the serial one."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Protocol

from ablations.trial import Context, run_trial
from ablations.types import Result, Trial


class Watch(Protocol):
    """Whoever follows a study; called in the process that asked for it, one call at a time."""

    def epoch(self, trial: Trial, row: Mapping[str, float]) -> None:
        """An epoch of `trial` has ended with these numbers."""

    def result(self, result: Result) -> None:
        """A trial has ended; its record is on disk."""


class Executor(Protocol):
    """Runs trials somewhere and tells a `Watch` what comes of them."""

    def __call__(self, trials: Sequence[Trial], context: Context, watch: Watch) -> None:
        """Returns when every trial has a result."""


def serial(trials: Sequence[Trial], context: Context, watch: Watch) -> None:
    """One trial after another, in this process: no ray needed."""
    for trial in trials:
        watch.result(run_trial(trial, context, report=functools.partial(watch.epoch, trial)))
