"""The record of a search over learning rates.  The types are frozen and hold plain values.  Standard library only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from ablations.core.setting import Setting
from ablations.core.text import counted
from ablations.core.variant import Variant


@dataclass(frozen=True, kw_only=True)
class TuningTrial:
    """One training at a learning rate that was tried, and its result."""

    key: str  # of the trial, whose record is in the folder tuning/ of the study
    status: str  # of the trial
    steps_to_threshold: float | None = None  # None: there is no threshold, or it was not reached
    steps: int = 0  # steps that were trained
    error_percent: float | None = None  # training error at the last reading, or validation error; None if it diverged


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One learning rate that was tried for an arm."""

    factor: float  # the rate as a multiple of the arm's own
    trials: tuple[TuningTrial, ...]  # in the order of their seeds, which are the same at every rate


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """How the learning rate of one arm was chosen."""

    variant: Variant
    attempts: tuple[Attempt, ...]
    factor: float  # the chosen rate as a multiple of the arm's own; it need not be one of those that were tried


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """A search over each arm's learning rate before the study's own trials, with equally many trials for each arm."""

    rates: int  # number of rates that are tried for each arm
    seed: int  # first seed of the tuning; no trial of the study has one of the tuning's seeds
    setting: Setting  # of its trials, which are evaluated on images that the study does not report
    arms: tuple[Tuned, ...] = ()  # empty until all are tuned
    seeds: int = 1  # trials at each rate
    # The rate is chosen by a parabola through the results around the best rate.  It includes rates on either side up to
    # the first that is worse than the best by this many standard errors.  0: the best rate that was tried is chosen.
    clearly: float = 0.0
    # If trials end at a target, a trial also ends after this many times the steps that the arm's best rate needs.
    slower: float = 1.0

    @property
    def how(self) -> str:
        """The size of the search in words: `7 rates an arm, 3 trials at each`."""
        return f"{counted(self.rates, 'rate')} an arm, {counted(self.seeds, 'trial')} at each"


def best(attempts: Sequence[Attempt]) -> Attempt:
    """Returns the best of the rates that were tried, by `rank`; of equal ones the lowest."""
    return min(attempts, key=lambda one: (*rank(one), one.factor))


def rank(attempt: Attempt) -> tuple[float, float]:
    """Returns the rank of a rate, lower being better, as a pair that is compared in order.

    If any trial reached the threshold, it is the number of trials that did not, and the mean logarithm of the steps of
    those that did.  Otherwise it is the number of trials, plus that of diverged ones, and the mean error of the others:
    so a rate at which no trial reached the threshold ranks behind every rate at which one did.
    """
    arrived = [math.log(one.steps_to_threshold) for one in attempt.trials if one.steps_to_threshold is not None]
    if arrived:
        return len(attempt.trials) - len(arrived), fmean(arrived)
    errors = [one.error_percent for one in attempt.trials if one.error_percent is not None]
    return 2 * len(attempt.trials) - len(errors), fmean(errors) if errors else math.inf


def outcome(tuning: Tuning, attempt: Attempt) -> float | None:
    """Returns the mean result of a rate's trials, or None if one of them has none.

    It is the geometric mean of the steps to the threshold if there is one, otherwise the mean error in percent.
    """
    timed = tuning.setting.target is not None
    found = [value for value in outcomes(attempt, timed) if value is not None]
    return natural(fmean(found), timed) if len(found) == len(attempt.trials) else None


def outcome_of(tuning: Tuning, trial: TuningTrial) -> float | None:
    """Returns the result of one trial of a rate, in the unit of `outcome`, or None if it has none."""
    return trial.steps_to_threshold if tuning.setting.target is not None else trial.error_percent


def at_edge(arm: Tuned) -> bool:
    """Tells whether the chosen rate is the lowest or the highest that was tried: a better one may lie beyond it."""
    factors = [one.factor for one in arm.attempts]
    return not min(factors) < arm.factor < max(factors)


def outcomes(attempt: Attempt, timed: bool) -> list[float | None]:
    """Returns, for each trial of a rate, the logarithm of its steps if `timed`, else its error; None if it has none."""
    if not timed:
        return [one.error_percent for one in attempt.trials]
    return [None if one.steps_to_threshold is None else math.log(one.steps_to_threshold) for one in attempt.trials]


def natural(value: float, timed: bool) -> float:
    """Converts a value of `outcomes` back: a logarithm to steps if `timed`; an error stays as it is."""
    return math.exp(value) if timed else value
