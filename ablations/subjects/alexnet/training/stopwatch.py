"""Measures how many steps a training needs to reach a training error, which is how figure 1 measures speed.

The error is measured on the same training images at every look, stratified by class and seen as in
evaluation: without augmentation and dropout.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ablations.core.result import LOG_STEPS, LOOKED, REACHED, STEPS, TRAINED
from ablations.subjects.alexnet.setting import Budget

Look = tuple[int, float]  # (step, error in percent)


class Stopwatch:
    """Counts the steps of one training, measures its error at intervals, and tells when the training is `over`.

    `look` returns the error in percent; it is called every `budget.threshold_every` steps and after the last one, if
    the budget has a threshold.
    """

    def __init__(self, budget: Budget, look: Callable[[], float]) -> None:
        self.budget, self._look = budget, look
        self.steps, self.over = 0, False
        self.looks: list[Look] = []

    def step(self) -> None:
        """Counts one optimiser step."""
        self.steps += 1
        self.over = self.steps >= self.budget.steps
        if self.budget.threshold_percent is not None and (self.over or self.steps % self.budget.threshold_every == 0):
            self.looks.append((self.steps, self._look()))
            self.over |= self.budget.stop_at_threshold and self.looks[-1][1] <= self.budget.threshold_percent

    def state(self) -> tuple[int, bool, Sequence[Look]]:
        """Returns what `restore` takes: the steps so far, whether the training is over, and the looks so far."""
        return self.steps, self.over, self.looks

    def restore(self, state: tuple[int, bool, Sequence[Look]]) -> None:
        """Continues from `state`."""
        self.steps, self.over, looks = state
        self.looks = [(step, error) for step, error in looks]  # JSON made lists of them

    def metrics(self) -> dict[str, float]:
        """Returns the metrics on the threshold, or nothing if the budget has none.

        `STEPS` and `LOG_STEPS` are left out when the threshold was not reached: that trial is censored.
        """
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
    """Returns the step at which the error was first at or below the threshold, or None if it never was.

    The step is interpolated linearly between that look and the one before it, so that the time does not depend on how
    far apart the looks are.
    """
    before: Look | None = None
    for step, error in looks:
        if error <= threshold_percent:
            if before is None or before[1] <= error:
                return float(step)
            return before[0] + (step - before[0]) * (before[1] - threshold_percent) / (before[1] - error)
        before = (step, error)
    return None
