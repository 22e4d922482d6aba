"""How long a study will take, from how long a step and an evaluation of each variant take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ablations.core.trial import Job, Trial
from ablations.core.variant import Variant
from ablations.subjects.alexnet.data.augment import VIEWS
from ablations.subjects.alexnet.setting import Budget


class Pace(NamedTuple):
    """Seconds of one training step and of one evaluated image in one view, and how many images are evaluated."""

    step: float
    image: float
    images: int


class Seconds(NamedTuple):
    """Expected seconds of the two parts of a trial; trials that share a training share the first."""

    training: float
    evaluation: float

    @property
    def whole(self) -> float:
        """Of a trial that shares nothing."""
        return self.training + self.evaluation


def seconds_of(job: Job, expected: Mapping[Variant, Seconds]) -> float:
    """Expected seconds of a job whose trials share a training."""
    return expected[job[0].variant].training + sum(expected[trial.variant].evaluation for trial in job)


def expected_seconds(trials: Sequence[Trial], paces: Mapping[Variant, Pace]) -> dict[Variant, Seconds]:
    """Expected seconds of one trial of each variant at these paces, for the budget that it has."""
    one_each = {trial.variant: trial for trial in trials}
    return {
        variant: seconds(trial.budget, paces[variant], views=VIEWS[trial.spec.views])
        for variant, trial in one_each.items()
    }


def seconds(budget: Budget, pace: Pace, *, views: int) -> Seconds:
    """Seconds of a whole trial that nothing stops early and that is evaluated on so many views.

    Epochs end with an evaluation on one view, as the budget says, and the last serves a trial of one view at
    the end too; after it, as many training images are evaluated as well.
    """
    looks = 0 if budget.threshold_percent is None else budget.steps // budget.threshold_every
    along = budget.evaluations * pace.images + looks * min(budget.threshold_examples, budget.train_examples)
    last = (views > 1) * pace.images + min(pace.images, budget.train_examples)
    return Seconds(training=budget.steps * pace.step + along * pace.image, evaluation=views * last * pace.image)
