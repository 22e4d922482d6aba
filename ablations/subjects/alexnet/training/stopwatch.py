"""Steps to a training error: when a training first gets there, which is how figure 1 measures speed.

The error is that of the same training images at every look, stratified by class, as evaluation sees
them: without augmentation and dropout.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ablations.core.result import LOG_STEPS, LOOKED, REACHED, STEPS, TRAINED
from ablations.subjects.alexnet.setting import Budget

Look = tuple[int, float]  # (step, error in percent)


class Stopwatch:
    """Counts the steps of one training, looks at its error every so many, and says when it is `over`."""

    def __init__(self, budget: Budget, look: Callable[[], float]) -> None:
        self.budget, self._look = budget, look
        self.steps, self.over = 0, False
        self.looks: list[Look] = []

    def step(self) -> None:
        """Takes note of an optimiser step."""
        self.steps += 1
        self.over = self.steps >= self.budget.steps
        if self.budget.threshold_percent is not None and (self.over or self.steps % self.budget.threshold_every == 0):
            self.looks.append((self.steps, self._look()))
            self.over |= self.budget.stop_at_threshold and self.looks[-1][1] <= self.budget.threshold_percent

    def state(self) -> tuple[int, bool, Sequence[Look]]:
        """What `restore` takes: the steps, whether they were all, and the looks so far."""
        return self.steps, self.over, self.looks

    def restore(self, state: tuple[int, bool, Sequence[Look]]) -> None:
        """Goes on from `state`."""
        self.steps, self.over, looks = state
        self.looks = [(step, error) for step, error in looks]  # JSON made lists of them

    def metrics(self) -> dict[str, float]:
        """What a result says of the threshold; empty where none was asked for."""
        if self.budget.threshold_percent is None or not self.looks:
            return {}
        crossed = crossing(self.looks, self.budget.threshold_percent)
        return {
            REACHED: float(crossed is not None),
            TRAINED: float(self.steps),
            LOOKED: self.looks[-1][1],
            **({STEPS: crossed, LOG_STEPS: math.log(crossed)} if crossed is not None else {}),
        }


def crossing(looks: Sequence[Look], threshold_percent: float) -> float | None:
    """The step at which the error first was at the threshold or below it; None when it never was.

    A straight line between that look and the one before it says where in between, so that the
    distance of the looks adds no step of its own to the time.
    """
    before: Look | None = None
    for step, error in looks:
        if error <= threshold_percent:
            if before is None or before[1] <= error:
                return float(step)
            return before[0] + (step - before[0]) * (before[1] - threshold_percent) / (before[1] - error)
        before = (step, error)
    return None
