"""What a search of learning rates has found.  Frozen, plain inside, standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from ablations.core.setting import Setting
from ablations.core.text import counted
from ablations.core.variant import Variant


@dataclass(frozen=True, kw_only=True)
class TuningTrial:
    """One training at a learning rate that was tried, and what came of it."""

    key: str  # of the trial, whose record lies under the study's folder in tuning/
    status: str  # of the trial
    steps_to_threshold: float | None = None  # None: not asked, or never reached
    steps: int = 0  # that were trained
    error_percent: float | None = None  # training error at the last look, or validation error; None where it diverged


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One learning rate that was tried for an arm."""

    factor: float  # times the arm's own rate
    trials: tuple[TuningTrial, ...]  # in the order of their seeds, which are the same at every rate


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """How the learning rate of one arm was chosen."""

    variant: Variant
    attempts: tuple[Attempt, ...]
    factor: float  # that was chosen, times the arm's own rate; need not be one of those that were tried


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """A search over each arm's learning rate before the study's own trials, with as many trials for each."""

    rates: int  # that are tried for each arm
    seed: int  # the first of those of the tuning, of which no trial of the study has any
    setting: Setting  # of its trials, which are evaluated on what the study does not report
    arms: tuple[Tuned, ...] = ()  # empty until all are tuned
    seeds: int = 1  # trials at each rate
    # Standard errors by which a rate is clearly worse than the best, and ends what the parabola goes through that
    # chooses; 0: the best of the rates that were tried was chosen.
    clearly: float = 0.0
    slower: float = 1.0  # times the steps of an arm's best rate, at which a trial ends, where trials stop at a target

    @property
    def how(self) -> str:
        """`7 rates an arm, 3 trials at each`."""
        return f"{counted(self.rates, 'rate')} an arm, {counted(self.seeds, 'trial')} at each"


def tuning_from_dict(record: Mapping[str, Any]) -> Tuning:
    """The Tuning of a record.  Raises KeyError or TypeError on a wrong field."""
    arms = tuple(
        Tuned(
            variant=Variant.from_dict(arm["variant"]),
            attempts=tuple(map(_attempt_from_dict, arm["attempts"])),
            factor=arm["factor"],
        )
        for arm in record["arms"]
    )
    return Tuning(**{**record, "setting": Setting.from_dict(record["setting"]), "arms": arms})


def _attempt_from_dict(record: Mapping[str, Any]) -> Attempt:
    return Attempt(factor=record["factor"], trials=tuple(TuningTrial(**one) for one in record["trials"]))


def best(attempts: Sequence[Attempt]) -> Attempt:
    """The best of the rates that were tried, by `rank`; of equals the lowest."""
    return min(attempts, key=lambda one: (*rank(one), one.factor))


def rank(attempt: Attempt) -> tuple[float, float]:
    """The lower the better: how many trials did not arrive, then the mean logarithm of the steps of those that did.

    Where none arrives, or there is no threshold, how many diverged, then the mean error of those that did not.
    """
    arrived = [math.log(one.steps_to_threshold) for one in attempt.trials if one.steps_to_threshold is not None]
    if arrived:
        return len(attempt.trials) - len(arrived), fmean(arrived)
    errors = [one.error_percent for one in attempt.trials if one.error_percent is not None]
    return 2 * len(attempt.trials) - len(errors), fmean(errors) if errors else math.inf


def outcome(tuning: Tuning, attempt: Attempt) -> float | None:
    """The mean of a rate's trials: of the steps to the threshold, geometric, where there is one, else of the
    error.  None where one of them has none.
    """
    timed = tuning.setting.target is not None
    found = [value for value in outcomes(attempt, timed) if value is not None]
    return natural(fmean(found), timed) if len(found) == len(attempt.trials) else None


def outcome_of(tuning: Tuning, trial: TuningTrial) -> float | None:
    """What one trial of a rate came to, in the unit of `outcome`; None where it came to nothing."""
    return trial.steps_to_threshold if tuning.setting.target is not None else trial.error_percent


def at_edge(arm: Tuned) -> bool:
    """Whether the chosen rate is the lowest or the highest that was tried, so that a better one may lie beyond."""
    factors = [one.factor for one in arm.attempts]
    return not min(factors) < arm.factor < max(factors)


def outcomes(attempt: Attempt, timed: bool) -> list[float | None]:
    """Of each trial of a rate the logarithm of its steps, or its error; None where it has none."""
    if not timed:
        return [one.error_percent for one in attempt.trials]
    return [None if one.steps_to_threshold is None else math.log(one.steps_to_threshold) for one in attempt.trials]


def natural(value: float, timed: bool) -> float:
    """The outcome that a value stands for: steps for their logarithm, or the error itself."""
    return math.exp(value) if timed else value
