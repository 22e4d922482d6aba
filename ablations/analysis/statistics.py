"""What effects and verdicts are made of: intervals, tests, their adjustment and power, from scipy and statsmodels.

An estimate is a value with a standard error and degrees of freedom, so that paired, unpaired and factorial effects
share one set of functions.  S seeds, E evaluation images.  Nothing here reads a global random generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite, isnan, nan, sqrt
from typing import Any

import numpy as np
from scipy import optimize, stats

POWER = 0.8  # chance of seeing what is there that "seeds needed" stands for
MOST_SEEDS = 10_000
_EXACT = 2**14  # sign patterns up to which all are tried
_PRECISION = 1e-9  # below which a spread is rounding

Array = np.ndarray[Any, np.dtype[Any]]


def over_seeds(values: Array, overlap: float = 0.0) -> tuple[float, float, float]:
    """Mean of one number a seed, its standard error and degrees of freedom; nan where there are too few.

    `overlap` is n_test / n_train where seeds are splits of the same examples.  Their training sets overlap, so that the
    variance of the mean is not s^2 / n but about s^2 (1 / n + n_test / n_train), by Nadeau and Bengio (Machine Learning
    52, 2003, section 3.2: the corrected resampled t test).  nan: sizes are not known, and there is no error.
    """
    if not values.size:
        return nan, nan, nan
    error = nan if values.size < 2 else 0.0 if is_constant(values) else float(stats.sem(values))
    return float(values.mean()), error * inflation(values.size, overlap), float(values.size - 1)


def inflation(n: int, overlap: float) -> float:
    """What overlapping splits multiply the standard error of a mean over n of them by."""
    return sqrt(1 + n * overlap)


def t_interval(value: float, error: float, df: float, level: float) -> tuple[float, float]:
    """The two-sided t interval of that level, in the value's unit; nan where no standard error is known, or zero.

    Pairs that are all equal, two of them say, tell nothing of how much the next would differ.
    """
    if not (isfinite(error) and error > 0 and df > 0):
        return nan, nan
    half = error * float(stats.t.ppf((1 + level) / 2, df))
    return value - half, value + half


def spread_interval(spread: float, df: float, level: float) -> tuple[float, float]:
    """The two-sided interval of a standard deviation of normal values, by the chi-square of its variance."""
    if not (isfinite(spread) and df > 0):
        return nan, nan
    low, high = (spread * sqrt(df / float(stats.chi2.ppf((1 + sign * level) / 2, df))) for sign in (1, -1))
    return low, high


def t_test(value: float, error: float, df: float) -> float:
    """Two-sided p of a zero effect; nan where there is no spread to judge by."""
    return 2 * float(stats.t.sf(abs(value) / error, df)) if error > 0 and df > 0 else nan


def welch(one: Array, two: Array, overlap: float = 0.0) -> tuple[float, float]:
    """Standard error and degrees of freedom of the difference of two means, the samples unpaired.

    With an `overlap` as in `over_seeds` each mean has the variance that it gives, and the degrees are Satterthwaite's.
    """
    if overlap != 0:  # which nan is not, either
        parts = [float(some.var(ddof=1)) * (1 / some.size + overlap) for some in (one, two)]
        spent = sum(part**2 / (some.size - 1) for part, some in zip(parts, (one, two), strict=True))
        return sqrt(sum(parts)), sum(parts) ** 2 / spent if spent > 0 else nan
    found = stats.ttest_ind(one, two, equal_var=False)
    return float(sqrt(one.var(ddof=1) / one.size + two.var(ddof=1) / two.size)), float(found.df)


def is_constant(values: Array) -> bool:
    """Whether they differ by no more than rounding."""
    return values.size > 0 and float(np.ptp(values)) <= _PRECISION


def correlation(one: Array, two: Array) -> float:
    """Pearson's, over seeds: what pairing has achieved; nan for fewer than three, or where one does not vary."""
    if one.size < 3 or is_constant(one) or is_constant(two):
        return nan
    return float(stats.pearsonr(one, two).statistic)


def sign_flip_p(differences: Array) -> float:
    """Two-sided p of a mean of zero when each difference could as well have had the other sign.

    Exact up to 14 differences, beyond that from 16,384 random patterns that are always the same.
    """
    if differences.size < 2 or not np.abs(differences).max() > _PRECISION:
        return nan
    found = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=_EXACT,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, which hold under any dependence; a nan counts as 1.

    statsmodels' `multipletests` gives the same numbers, but collects garbage at each call, which takes up to half a
    second beside torch and Ray: more than the rest of a report's statistics.
    """
    known = np.array([value if isfinite(value) else 1.0 for value in values])
    order = np.argsort(known)
    adjusted = np.empty(known.size)
    # The smallest of n is multiplied by n, the next by n - 1, ...; none may fall below one that is smaller.
    adjusted[order] = np.minimum(np.maximum.accumulate(known[order] * np.arange(known.size, 0, -1)), 1.0)
    return [float(p) for p in adjusted]


def benjamini_hochberg(values: Sequence[float]) -> list[float]:
    """The q-values of those that are numbers; nan stays nan and counts for nothing."""
    finite = [index for index, value in enumerate(values) if isfinite(value)]
    found = [nan] * len(values)
    if finite:
        adjusted = stats.false_discovery_control([values[index] for index in finite], method="bh")
        for index, q in zip(finite, adjusted, strict=True):
            found[index] = float(q)
    return found


def prediction_interval(value: float, error: float, df: float, spread: float, level: float) -> tuple[float, float]:
    """Where one more paired difference would lie; `spread` is the standard deviation of a single one."""
    return t_interval(value, sqrt(error**2 + spread**2), df, level)


def both_samplings(differences: Array) -> tuple[float, float]:
    """Standard error and degrees of freedom of the mean of `differences` (S, E) over new seeds and new images.

    A two-way random layout without replication: the variance of the mean is (seeds + images - residual) mean squares
    over S E (Searle, Casella and McCulloch, Variance Components, 1992).  The degrees of freedom are those of the seeds:
    Satterthwaite's are more, and would make an interval over both narrower than one over seeds alone.
    """
    seeds, images = differences.shape
    if seeds < 2 or images < 2:
        return nan, nan
    rows, columns, mean = differences.mean(axis=1), differences.mean(axis=0), differences.mean()
    by_seed = images * float(rows.var(ddof=1))
    by_image = seeds * float(columns.var(ddof=1))
    left = float(((differences - rows[:, None] - columns + mean) ** 2).sum()) / ((seeds - 1) * (images - 1))
    total = max(by_seed + by_image - left, by_seed, by_image)  # a negative component counts as none
    if total <= 0:
        return nan, nan
    return sqrt(total / (seeds * images)), float(seeds - 1)


def discordant(one: Array, two: Array) -> tuple[int, int, float]:
    """Images that only `one` (E,) got right, that only `two` did, and McNemar's exact p that it is a coin's toss."""
    from statsmodels.stats.contingency_tables import mcnemar

    first, second = int((one & ~two).sum()), int((~one & two).sum())
    both, neither = int((one & two).sum()), int((~one & ~two).sum())
    return first, second, float(mcnemar([[both, first], [second, neither]], exact=True).pvalue)


def seeds_to_detect(effect: float, spread: float, alpha: float, overlap: float = 0.0) -> int | None:
    """Seeds after which an effect that large is found at two-sided `alpha`, four times in five; None beyond 10,000.

    With an `overlap` as in `over_seeds` there may be no such number, as the error has a floor.
    """
    if not _told(effect, spread) or isnan(overlap):
        return None
    return _first(lambda n: _power(effect / spread / inflation(n, overlap), n, alpha / 2) >= POWER)


def seeds_to_exclude(margin: float, spread: float, alpha: float, overlap: float = 0.0) -> int | None:
    """Seeds after which an effect of zero is shown to lie within the margin, four times in five; None beyond 10,000.

    Both of the two one-sided tests have to succeed, so each fails at most half as often.
    """
    enough = 1 - (1 - POWER) / 2
    if not _told(margin, spread) or isnan(overlap):
        return None
    return _first(lambda n: _power(margin / spread / inflation(n, overlap), n, alpha) >= enough)


def detectable(spread: float, n: int, alpha: float, overlap: float = 0.0) -> float:
    """The smallest effect that n pairs find at two-sided `alpha`, four times in five; nan for fewer than two.

    `overlap` is as in `over_seeds`.
    """
    if n < 2 or not spread > 0 or isnan(overlap):
        return nan
    # statsmodels' own solve_power(effect_size=None) returns its starting value where n is 2 or 3 and alpha small.
    high = 1.0
    while _power(high, n, alpha / 2) < POWER:
        high *= 2
    return (
        spread
        * inflation(n, overlap)
        * float(optimize.brentq(lambda size: _power(size, n, alpha / 2) - POWER, 0.0, high))
    )


def _told(effect: float, spread: float) -> bool:
    return isfinite(effect) and effect > 0 and isfinite(spread) and spread > 0


def _power(size: float, n: int, alpha: float) -> float:
    from statsmodels.stats.power import TTestPower

    return float(TTestPower().power(size, n, alpha, alternative="larger"))


def _first(enough: Callable[[int], bool]) -> int | None:
    """The smallest number from 2 on that is enough, by doubling and halving."""
    high = 2
    while not enough(high):
        high *= 2
        if high > MOST_SEEDS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
