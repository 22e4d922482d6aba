"""The executor's protocol, and the serial one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ablations.trial import Context, run_trial
from ablations.types import Result, Trial


class Executor(Protocol):
    """Runs trials somewhere and hands each result over as it comes."""

    def __call__(self, trials: Sequence[Trial], context: Context, on_result: Callable[[Result], None]) -> None:
        """Returns when every trial has a result; `on_result` is called in this process, one at a time."""


def serial(trials: Sequence[Trial], context: Context, on_result: Callable[[Result], None]) -> None:
    """One trial after another, in this process: no ray needed."""
    for trial in trials:
        on_result(run_trial(trial, context))
