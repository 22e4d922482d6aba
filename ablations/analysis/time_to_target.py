"""Steps to a training error, compared between arms: ratios over seeds, with arms that did not always arrive.

A pair is one seed: the logarithm of the steps with the change less that without it.  Where the budget ended
before one of the two arrived, its logarithm is known to be larger (or smaller) than the one written down:
censored.  Such a pair is not dropped, as that would drop the slowest.

nothing censored     the mean and its t interval
two exact or more    the mean of a normal distribution by maximum likelihood, in which a censored pair counts with the
                     chance of lying beyond (as scipy.stats.CensoredData has it), and the interval of its profile
                     likelihood; the cut is such that without censoring it is the t interval exactly
fewer                a bound: the median lies above the smallest of n values with confidence 1 - 2^-n, as each lies
                     above the median with chance 1/2 (the sign test), and so above the least of n lower bounds
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, nan

import numpy as np
from scipy import optimize, special, stats

from ablations.analysis.effects import LEVEL, contrasts, mean_interval
from ablations.core.load import load
from ablations.core.result import DIVERGED, DONE, REACHED, STEPS, TRAINED, Result
from ablations.core.study import Study

EXACT, ABOVE, BELOW, UNKNOWN = "exact", "above", "below", "unknown"  # what is known of a pair's log-ratio
T, LIKELIHOOD, BOUND, NOTHING = "paired t", "censored likelihood", "sign-test bound", "too few pairs"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One seed: log(steps with the change / steps without), and whether it is exact or the true one lies beyond."""

    seed: int
    log_ratio: float
    known: str = EXACT


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A log-ratio with its interval: infinite bounds where the pairs say nothing on that side."""

    value: float
    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How many times the reference's steps a change needs."""

    component: str
    level: str
    departed: str  # label of the variant with the change
    kept: str
    pairs: tuple[Pair, ...]
    estimate: Estimate

    @property
    def ratio(self) -> float:
        """The geometric mean over seeds; nan where there is only a bound."""
        return exp(self.estimate.value)

    @property
    def interval(self) -> tuple[float, float]:
        """Of the ratio; 0 and inf where it is open."""
        return exp(self.estimate.low), exp(self.estimate.high) if self.estimate.high < inf else inf

    @property
    def censored(self) -> int:
        """Pairs of which an arm, or both, did not arrive."""
        return sum(pair.known != EXACT for pair in self.pairs)


def speeds(study: Study, results: Sequence[Result]) -> list[Speed]:
    """What each change of the study does to the steps, in its order with the controls last.

    A trial that diverged never arrives: its steps are censored at those of the whole budget.
    """
    found = []
    for one in contrasts(study):
        departed, kept = (times(results, label) for label in (one.departed, one.kept))
        pairs = tuple(pair(seed, departed[seed], kept[seed]) for seed in sorted(departed.keys() & kept.keys()))
        found.append(
            Speed(
                component=one.component,
                level=one.level,
                departed=one.departed,
                kept=one.kept,
                pairs=pairs,
                estimate=estimate(pairs),
            )
        )
    return found


def times(results: Sequence[Result], variant: str) -> dict[int, tuple[float, bool]]:
    """Seed -> (steps, whether the threshold was reached in them) of the trials of one variant that have an outcome."""
    found = {}
    for result in results:
        if result.trial.variant.label != variant:
            continue
        if result.status == DONE and REACHED in result.metrics:
            reached = bool(result.metrics[REACHED])
            found[result.trial.seed] = (result.metrics[STEPS if reached else TRAINED], reached)
        elif result.status == DIVERGED:
            found[result.trial.seed] = (float(load(result.trial.subject).steps(result.trial.config)), False)
    return found


def pair(seed: int, departed: tuple[float, bool], kept: tuple[float, bool]) -> Pair:
    """The pair of a seed from the (steps, reached) of its two arms."""
    known = {(True, True): EXACT, (False, True): ABOVE, (True, False): BELOW, (False, False): UNKNOWN}
    return Pair(seed=seed, log_ratio=float(np.log(departed[0] / kept[0])), known=known[departed[1], kept[1]])


def estimate(pairs: Sequence[Pair]) -> Estimate:
    """The log-ratio and its interval, by the method that its pairs allow."""
    values = {kind: [one.log_ratio for one in pairs if one.known == kind] for kind in (EXACT, ABOVE, BELOW, UNKNOWN)}
    if len(values[EXACT]) == len(pairs):
        value, low, high = mean_interval(values[EXACT])
        if isfinite(low):
            return Estimate(value=value, low=low, high=high, level=LEVEL, method=T)
        return Estimate(value=value, low=-inf, high=inf, level=LEVEL, method=NOTHING)
    if len(values[EXACT]) >= 2:
        return _likelihood(np.array(values[EXACT]), np.array(values[ABOVE]), np.array(values[BELOW]))
    low, high = -inf, inf
    if len(pairs) > 1 and not values[BELOW] and not values[UNKNOWN]:
        low = min(values[EXACT] + values[ABOVE])
    elif len(pairs) > 1 and not values[ABOVE] and not values[UNKNOWN]:
        high = max(values[EXACT] + values[BELOW])
    method = BOUND if isfinite(low) or isfinite(high) else NOTHING
    return Estimate(value=nan, low=low, high=high, level=1 - 0.5 ** len(pairs), method=method)


def _likelihood(exact: np.ndarray, above: np.ndarray, below: np.ndarray) -> Estimate:
    n = len(exact) + len(above) + len(below)
    spread = max(float(np.ptp(np.concatenate([exact, above, below]))), 1e-3)

    def log_likelihood(mean: float, log_sd: float) -> float:  # but for a constant
        sd = exp(log_sd)
        beyond = special.log_ndtr(np.concatenate([mean - above, below - mean]) / sd).sum()
        return float(beyond - (((exact - mean) / sd) ** 2).sum() / 2 - len(exact) * log_sd)

    def profile(mean: float) -> float:
        bounds = (np.log(spread) - 7, np.log(spread) + np.log1p(abs(mean - exact.mean()) / spread) + 3)
        return -float(optimize.minimize_scalar(lambda log_sd: -log_likelihood(mean, log_sd), bounds=bounds).fun)

    middle = exact.mean()
    best = optimize.minimize_scalar(lambda mean: -profile(mean), bounds=(middle - 5 * spread, middle + 5 * spread))
    cut = n * np.log1p(stats.t.ppf((1 + LEVEL) / 2, n - 1) ** 2 / (n - 1)) / 2

    def limit(sign: int) -> float:
        beyond, step = best.x, spread / 4
        while -best.fun - profile(beyond) < cut:
            beyond, step = beyond + sign * step, 2 * step
            if step > 1e4 * spread:
                return sign * inf
        return float(optimize.brentq(lambda mean: -best.fun - profile(mean) - cut, best.x, beyond, xtol=1e-6))

    return Estimate(value=float(best.x), low=limit(-1), high=limit(1), level=LEVEL, method=LIKELIHOOD)
