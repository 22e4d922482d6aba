"""How long a study will take, from how fast each variant goes here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablations.core.load import load
from ablations.core.subject import Seconds
from ablations.core.trial import Job, Trial
from ablations.core.variant import Variant

Paces = Mapping[Variant, Any]  # what `Subject.paces` gave, which only its `seconds` reads

# Seconds on two quiet cores of an AMD EPYC: from the command to the first step, through Ray 18 to 21 (n 3), in turn 5.3
# of a processor (n 1); a report of 90 trials takes 5.9 of one (n 1), most of them for its figures.
START_UP, START_IN_TURN, REPORT, A_RECORD = 20.0, 5.0, 5.0, 0.01


def around(trials: int, *, in_turn: bool) -> float:
    """Seconds of a study of so many trials that are not training: until it begins, and the report."""
    return (START_IN_TURN if in_turn else START_UP) + REPORT + A_RECORD * trials


def seconds_of(job: Job, expected: Mapping[Variant, Seconds]) -> float:
    """Expected seconds of a job whose trials share a training."""
    return expected[job[0].variant].training + sum(expected[trial.variant].evaluation for trial in job)


def expected_seconds(trials: Sequence[Trial], paces: Paces) -> dict[Variant, Seconds]:
    """Expected seconds of one trial of each variant at these paces, for the work that it has."""
    one_each = {trial.variant: trial for trial in trials}
    return {variant: load(trial.subject).seconds(trial.config, paces[variant]) for variant, trial in one_each.items()}
