"""How long a study will take, from how fast each variant goes here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablations.core.load import load
from ablations.core.subject import Seconds
from ablations.core.trial import Job, Trial
from ablations.core.variant import Variant

Paces = Mapping[Variant, Any]  # what the subject's `paces` returned; only its `seconds` knows what the values mean

# Seconds, measured on two idle cores of an AMD EPYC.  From the command to the first step it took 18 to 21 s of wall
# time through Ray (n = 3), and 5.3 s of processor time with one trial after another (n = 1).  A report of 90 trials
# took 5.9 s of processor time (n = 1), most of it for figures.
START_UP, START_IN_TURN, REPORT, A_RECORD = 20.0, 5.0, 5.0, 0.01


def around(trials: int, *, in_turn: bool) -> float:
    """Returns the seconds that a study of so many trials takes beside its trials: to start up, and for the report."""
    return (START_IN_TURN if in_turn else START_UP) + REPORT + A_RECORD * trials


def seconds_of(job: Job, expected: Mapping[Variant, Seconds]) -> float:
    """Returns the expected seconds of a job, whose trials share one training."""
    return expected[job[0].variant].training + sum(expected[trial.variant].evaluation for trial in job)


def expected_seconds(trials: Sequence[Trial], paces: Paces) -> dict[Variant, Seconds]:
    """Returns the expected seconds of one trial of each variant, with the work that its config asks for."""
    one_each = {trial.variant: trial for trial in trials}
    return {variant: load(trial.subject).seconds(trial.config, paces[variant]) for variant, trial in one_each.items()}
