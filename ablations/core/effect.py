"""The effect of a departure on a metric."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ablations.core.variant import Variant


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a departure does to a metric: the difference, departure minus reference level, with its interval."""

    component: str
    level: str
    metric: str
    kind: str  # the estimand: "one out", "one in" or "main"
    estimate: float
    low: float  # lower end of the 95% interval; nan when n is 1
    high: float  # its upper end
    p: float  # two-sided, unadjusted
    n: int  # seeds.  Each contributes one paired difference, or one contrast over the whole design
    correlation: float  # between the two arms over seeds; nan if it cannot be computed
    method: str  # how the interval was computed, in words
    error: float = math.nan  # standard error of the estimate
    df: float = math.nan  # degrees of freedom of its t
    spread: float = math.nan  # standard deviation, over seeds, of the difference or contrast of one seed
    # Labels of the variants with the departure.  For an interaction, of those with both departures or neither.
    departed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()  # labels of the variants that they are compared with
    trained: tuple[int, int] = (0, 0)  # trainings that did not fail: with the departure, and without it
    ended: tuple[int, int] = (0, 0)  # trainings that have an outcome: with the departure, and without it
    p_trained: float = math.nan  # exact p-value that both arms train equally often; nan if no training failed
    failing: int = 1  # +1 if a training that fails raises the metric, -1 if it lowers it
    # n_test / n_train if seeds stand for splits of the data; `error` is corrected by it.  nan: not known.
    overlap: float = 0.0
    p_flip: float = math.nan  # exact p-value that the mean is zero over seeds where both train; nan if none failed

    @property
    def constant(self) -> bool:
        """Whether every pair differs by the same, so that no interval tells how much another one would differ."""
        return self.n > 1 and self.error == 0

    @property
    def failed(self) -> tuple[int, int]:
        """The number of trainings that failed with the departure, and without it."""
        return self.ended[0] - self.trained[0], self.ended[1] - self.trained[1]

    @property
    def unstable(self) -> bool:
        """Whether any training of either arm failed, so that a mean over trainings says little about a new one."""
        return any(self.failed)

    @property
    def label(self) -> str:
        """The departure as variants are named: `-lrn` or `activation=tanh`."""
        return Variant(departures=((self.component, self.level),)).label
