"""The statistics behind effects and verdicts: intervals, tests, adjusted p-values and power, by scipy and statsmodels.

An estimate is a value with a standard error and degrees of freedom, so that paired, unpaired and factorial effects
share one set of functions.  S seeds, E evaluated examples.  No function uses a global random generator.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from math import isfinite, isnan, nan, sqrt
from typing import Any

import numpy as np
from scipy import optimize, stats

LEVEL = 0.95  # confidence level of every interval
POWER = 0.8  # the power for which numbers of seeds are computed
_FAR = 30.0  # standard errors that an effect is from zero, above which its own scatter hardly counts
MOST_SEEDS = 10_000  # larger numbers of seeds are not searched for
_EXACT = 2**14  # most sign patterns that are tried; of more, a random sample
_PRECISION = 1e-13  # share of the largest outcome: differences that scatter by no more are rounding errors

Array = np.ndarray[Any, np.dtype[Any]]


def over_seeds(values: Array, overlap: float = 0.0, size: float = 0.0) -> tuple[float, float, float]:
    """Returns the mean of `values` (S,), its standard error and its degrees of freedom; nan if there are too few.

    `size` is the largest absolute outcome of which `values` are differences, as in `is_constant`.

    `overlap` is n_test / n_train if seeds are splits of the same examples.  The training sets of splits overlap, so the
    variance of the mean is not s^2 / n but about s^2 (1 / n + n_test / n_train): the corrected resampled t test of
    Nadeau and Bengio (Machine Learning 52, 2003, section 3.2).  If `overlap` is nan, because the sizes are not known,
    so is the standard error.
    """
    if not values.size:
        return nan, nan, nan
    constant, mean = is_constant(values, size), float(values.mean())
    error = nan if values.size < 2 else 0.0 if constant else float(values.std(ddof=1)) / sqrt(values.size)
    mean = 0.0 if constant and abs(mean) <= _PRECISION * size else mean
    return mean, error * inflation(values.size, overlap), float(values.size - 1)


def inflation(n: int, overlap: float) -> float:
    """Returns the factor by which overlapping splits enlarge the standard error of a mean over n of them."""
    return sqrt(1 + n * overlap)


def t_interval(value: float, error: float, df: float, level: float) -> tuple[float, float]:
    """Returns the two-sided t interval of that level; nan if the standard error is zero or not known.

    A standard error of zero gives no interval, because a few equal pairs do not tell how much the next would differ.
    """
    if not (isfinite(error) and error > 0 and df > 0):
        return nan, nan
    half = error * float(stats.t.ppf((1 + level) / 2, df))
    return value - half, value + half


def spread_interval(spread: float, df: float) -> tuple[float, float]:
    """Returns the 95% interval of a standard deviation of normal values, by the chi-square distribution."""
    if not (isfinite(spread) and df > 0):
        return nan, nan
    low, high = (spread * sqrt(df / float(stats.chi2.ppf((1 + sign * LEVEL) / 2, df))) for sign in (1, -1))
    return low, high


def p_of_mean(value: float, error: float, df: float, overlap: float = 0.0) -> float:
    """Returns the two-sided p that the true mean of df + 1 differences, `value`, is zero: that of the t test.

    If all differences are the same, so that the standard error is zero, it is the exact p of flipping their signs: 2 of
    the 2^(df + 1) patterns of signs give a mean as large as theirs.  That test assumes independence, so p is nan if
    such differences are of overlapping splits, as in `over_seeds`.  It is also nan if all differences are zero, and if
    the standard error is not known.
    """
    if not df > 0 or isnan(error):
        return nan
    if error > 0:
        return 2 * float(stats.t.sf(abs(value) / error, df))
    return 2.0**-df if value != 0 and overlap == 0 else nan


def is_constant(values: Array, size: float = 0.0) -> bool:
    """Tells whether `values` differ by no more than rounding; False if there are none.

    Rounding is relative to the largest of `values`, and to `size`, that of the numbers from which they were computed.
    """
    return values.size > 0 and float(np.ptp(values)) <= _PRECISION * max(size, float(np.abs(values).max()))


def largest(*outcomes: Array) -> float:
    """Returns the largest finite absolute value in some arrays; 0 if there is none."""
    return max((float(np.abs(one[np.isfinite(one)]).max(initial=0.0)) for one in outcomes), default=0.0)


def correlation(one: Array, two: Array) -> float:
    """Returns Pearson's correlation of two arms over seeds, which shows what pairing has achieved.

    nan for fewer than three seeds, or if one of the arms does not vary.
    """
    if one.size < 3 or is_constant(one) or is_constant(two):
        return nan
    return float(np.corrcoef(one, two)[0, 1])


def sign_flip_p(differences: Array) -> float:
    """Returns the two-sided p of the sign-flip test that the mean difference is zero; nan for fewer than two.

    It is exact for up to 14 differences.  For more, it comes from 16,384 random sign patterns, which are always the
    same.
    """
    if differences.size < 2 or not differences.any():
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
    """Returns Holm's adjusted p-values, which hold under any dependence; a nan counts as 1.

    statsmodels' `multipletests` gives the same numbers, but collects garbage at each call.  With torch and Ray imported
    that takes up to half a second, more than the rest of a report's statistics.
    """
    known = np.array([value if isfinite(value) else 1.0 for value in values])
    order = np.argsort(known)
    adjusted = np.empty(known.size)
    # The smallest p of n is multiplied by n, the next by n - 1, and so on.  `accumulate` keeps them in order.
    adjusted[order] = np.minimum(np.maximum.accumulate(known[order] * np.arange(known.size, 0, -1)), 1.0)
    return [float(p) for p in adjusted]


def benjamini_hochberg(values: Sequence[float]) -> list[float]:
    """Returns Benjamini and Hochberg's q-values; a nan stays nan and does not count."""
    finite = [index for index, value in enumerate(values) if isfinite(value)]
    found = [nan] * len(values)
    if finite:
        adjusted = stats.false_discovery_control([values[index] for index in finite], method="bh")
        for index, q in zip(finite, adjusted, strict=True):
            found[index] = float(q)
    return found


def prediction_interval(value: float, error: float, df: float, spread: float) -> tuple[float, float]:
    """Returns the 95% prediction interval of one more paired difference; `spread` is the standard deviation of one."""
    return t_interval(value, sqrt(error**2 + spread**2), df, LEVEL)


def both_samplings(differences: Array) -> tuple[float, float]:
    """Returns standard error and degrees of freedom of the mean of `differences` (S, E) over new seeds and examples.

    This is a two-way random layout without replication.  The variance of the mean is (MS_seeds + MS_examples -
    MS_residual) / (S E), with mean squares MS (Searle, Casella and McCulloch, Variance Components, 1992).  The degrees
    of freedom are those of the seeds.  Satterthwaite's would be more, and could make an interval over both narrower
    than one over seeds alone.
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
    """Returns how many examples only `one` (E,) got right, how many only `two` (E,) did, and McNemar's exact p."""
    from statsmodels.stats.contingency_tables import mcnemar

    first, second = int((one & ~two).sum()), int((~one & two).sum())
    both, neither = int((one & two).sum()), int((~one & ~two).sum())
    return first, second, float(mcnemar([[both, first], [second, neither]], exact=True).pvalue)


def seeds_to_detect(effect: float, spread: float, alpha: float, overlap: float = 0.0) -> int | None:
    """Returns the seeds that find an effect of that size at two-sided `alpha` with power 0.8; None beyond 10,000.

    With an `overlap` as in `over_seeds` there may be no such number, because the standard error has a lower limit.
    """
    if not _told(effect, spread) or isnan(overlap):
        return None
    return _first(lambda n: _power(effect / spread / inflation(n, overlap), n, alpha / 2) >= POWER)


def seeds_to_exclude(margin: float, spread: float, alpha: float, overlap: float = 0.0) -> int | None:
    """Returns the seeds that show an effect of zero to lie within the margin with power 0.8; None beyond 10,000.

    Both of the two one-sided tests at `alpha` must succeed, so each may fail half as often: in 10% of studies.
    """
    enough = 1 - (1 - POWER) / 2
    if not _told(margin, spread) or isnan(overlap):
        return None
    return _first(lambda n: _power(margin / spread / inflation(n, overlap), n, alpha) >= enough)


def most_of(numbers: Sequence[int | None]) -> int | None:
    """Returns the largest of several numbers of seeds; None if one of them is None, which is beyond 10,000."""
    known = [n for n in numbers if n is not None]
    return max(known) if len(known) == len(numbers) else None


def detectable(spread: float, n: int, alpha: float, overlap: float = 0.0) -> float:
    """Returns the smallest effect that n pairs find at two-sided `alpha` with power 0.8; nan for fewer than two.

    `overlap` is as in `over_seeds`.
    """
    if n < 2 or not spread > 0 or isnan(overlap):
        return nan
    # statsmodels' own solve_power(effect_size=None) returns its starting value if n is 2 or 3 and alpha is small.
    high = 1.0
    while _power(high, n, alpha / 2) < POWER:
        high *= 2
    return (
        spread
        * inflation(n, overlap)
        * float(optimize.brentq(lambda size: _power(size, n, alpha / 2) - POWER, 0.0, high))
    )


def _told(effect: float, spread: float) -> bool:
    """Tells whether effect and spread are known and above zero."""
    return isfinite(effect) and effect > 0 and isfinite(spread) and spread > 0


def _power(size: float, n: int, alpha: float) -> float:
    """Returns the power of a one-sided t test at `alpha` with n pairs, for an effect of `size` standard deviations."""
    from statsmodels.stats.power import TTestPower

    shift = size * sqrt(n)
    if shift > _FAR:  # scipy may then return nan, and the mean scatters by next to nothing: only its error does
        return float(stats.chi2.cdf((n - 1) * (shift / stats.t.isf(alpha, n - 1)) ** 2, n - 1))
    return float(TTestPower().power(size, n, alpha, alternative="larger"))


def _first(enough: Callable[[int], bool]) -> int | None:
    """Returns the smallest number from 2 on for which `enough` is true; None beyond MOST_SEEDS.

    If `enough` is true of a number, it must be true of all larger ones.
    """
    numbers = range(2, MOST_SEEDS + 1)
    place = bisect_left(numbers, True, key=enough)
    return numbers[place] if place < len(numbers) else None
