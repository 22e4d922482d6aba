"""Steps to a target, compared between arms as ratios, if some trials never reached it.

A pair is one seed, and its log-ratio is the logarithm of the steps with the change less that without it.  If a trial
ended before it reached the target, the pair is censored: its true log-ratio is only known to lie above (or below) the
one that the steps give.  Such pairs are kept, because to drop them would be to drop the slowest trials.

nothing censored     the mean and its t interval
two exact or more    the mean of a normal distribution by maximum likelihood, in which a censored pair counts with the
                     probability of lying beyond its value (as in scipy.stats.CensoredData), and the interval of its
                     profile likelihood, whose cut is such that without censoring it is exactly the t interval
fewer                a bound: the median lies above the smallest of n values with confidence 1 - 2^-n (the sign test),
                     because each value lies above the median with probability 1/2; so it also lies above the smallest
                     of n lower bounds
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, nan

import numpy as np
from scipy import optimize, special, stats

from ablations.analysis.effects import contrasts, mean_interval
from ablations.analysis.statistics import LEVEL
from ablations.core.load import load
from ablations.core.result import DIVERGED, DONE, REACHED, STEPS, TRAINED, Result
from ablations.core.setting import natural
from ablations.core.study import Study

# The true log-ratio of a pair: equal to the one that the steps give, above it, below it, or not known at all.
EXACT, ABOVE, BELOW, UNKNOWN = "exact", "above", "below", "unknown"
# How an estimate was made.
T, LIKELIHOOD, BOUND, NOTHING = "paired t", "censored likelihood", "sign-test bound", "too few pairs"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The two trials of one seed, with and without the change."""

    seed: int
    log_ratio: float  # log(steps with the change / steps without)
    known: str = EXACT  # where the true log-ratio lies: EXACT, ABOVE, BELOW or UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A log-ratio with its interval."""

    value: float  # nan if there is only a bound
    low: float  # minus infinity if the pairs say nothing on this side
    high: float  # infinity if the pairs say nothing on this side
    level: float  # confidence level of the interval
    method: str  # T, LIKELIHOOD, BOUND or NOTHING


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How many times as many steps a variant needs with a change as without it."""

    component: str
    level: str
    departed: str  # label of the variant with the change
    kept: str  # label of the variant that it is compared with
    pairs: tuple[Pair, ...]  # in the order of their seeds
    estimate: Estimate

    @property
    def ratio(self) -> float:
        """The ratio of the steps, as a geometric mean over seeds; nan if there is only a bound."""
        return natural(self.estimate.value)

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of the ratio; 0 or infinity on a side of which the pairs say nothing."""
        return natural(self.estimate.low), natural(self.estimate.high)

    @property
    def censored(self) -> int:
        """The number of pairs of which a trial did not reach the target."""
        return sum(pair.known != EXACT for pair in self.pairs)


def speeds(study: Study, results: Sequence[Result]) -> list[Speed]:
    """Returns what each change of the study does to the steps, in the study's order with the controls last.

    A trial that diverged never reaches the target: its steps are censored at those of a whole trial.
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
    """Returns seed -> (steps, whether the target was reached in them) for trials of one variant with an outcome."""
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
    """Returns the pair of a seed from the (steps, reached) of its two arms."""
    known = {(True, True): EXACT, (False, True): ABOVE, (True, False): BELOW, (False, False): UNKNOWN}
    return Pair(seed=seed, log_ratio=float(np.log(departed[0] / kept[0])), known=known[departed[1], kept[1]])


def estimate(pairs: Sequence[Pair]) -> Estimate:
    """Returns the log-ratio and its interval, by the method that its pairs allow: see the top of this module."""
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
    """Returns the maximum-likelihood estimate, with its profile interval, from exact and censored log-ratios.

    Pairs of which both trials are censored say nothing and are left out.
    """
    n = len(exact) + len(above) + len(below)
    spread = max(float(np.ptp(np.concatenate([exact, above, below]))), 1e-3)

    def log_likelihood(mean: float, log_sd: float) -> float:  # up to a constant
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
