"""What a departure does to a metric."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ablations.core.variant import Variant


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a departure does to a metric, departure minus reference level, with its interval."""

    component: str
    level: str
    metric: str
    kind: str  # "one out", "one in", or "main": averaged over the settings of the others
    estimate: float
    low: float  # of the 95% interval; nan when n is 1
    high: float
    p: float  # two-sided, unadjusted
    n: int  # seeds: of each a paired difference, or a contrast over the whole design
    correlation: float  # between the two arms over seeds; nan when it cannot be had
    method: str
    error: float = math.nan  # standard, of the estimate
    df: float = math.nan  # degrees of freedom of its t
    spread: float = math.nan  # standard deviation of what one seed says
    departed: tuple[str, ...] = ()  # labels of the variants with the departure; with both or neither, of an interaction
    kept: tuple[str, ...] = ()  # and of those that they are compared with
    trained: tuple[int, int] = (0, 0)  # trainings that did not fail: with the departure, and without it
    ended: tuple[int, int] = (0, 0)  # out of so many that have an outcome
    p_trained: float = math.nan  # exact, that both arms train equally often; nan where none has failed
    failing: int = 1  # the sign of what a training that fails does to the metric
    overlap: float = (
        0.0  # n_test / n_train of the splits that seeds stand for, which `error` is corrected by; nan: unknown
    )
    p_flip: float = math.nan  # exact, of a mean of zero over seeds where both train; nan where none has failed

    @property
    def failed(self) -> tuple[int, int]:
        """How many trainings failed with the departure, and how many without it."""
        return self.ended[0] - self.trained[0], self.ended[1] - self.trained[1]

    @property
    def unstable(self) -> bool:
        """Whether any training of either arm failed, so that a mean over trainings says little of what to expect."""
        return any(self.failed)

    @property
    def label(self) -> str:
        """`-lrn` or `activation=tanh`, as variants are named."""
        return Variant(departures=((self.component, self.level),)).label
