"""Several data sets as blocks: what a change does on each, on these on average, and on others like these.

The study's own effects are about these data sets alone: a seed's paired difference is the mean of its differences on
the data sets, and intervals are over seeds (`ablations.analysis.tables.over_blocks`).  These means are independent and
equally distributed, however much the scatter differs between data sets and however strongly the draws of one seed are
correlated across them.  So their t test keeps its level.

To say something of other data sets, the data sets themselves are the sample, with one number each: a t test over them
(B - 1 degrees of freedom, for B data sets), and Wilcoxon's signed-rank test (Demsar, JMLR 7, 2006).  If the draws of a
seed move the effects on all data sets alike, the scatter between data sets does not show it, so that part of the error
is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan, sqrt

import numpy as np
from scipy import stats

from ablations.analysis.evidence import Evidence
from ablations.analysis.statistics import LEVEL, largest, over_seeds, p_of_mean, t_interval
from ablations.core.effect import Effect

NOTHING = 1e-9  # share of the largest effect on a data set: an effect that is smaller is a rounding error
FEWEST = 5  # with fewer data sets, nothing is said of others like these


@dataclass(frozen=True, kw_only=True)
class OverBlocks:
    """An effect on each of several data sets, and what they say of others like these."""

    effect: Effect  # on these data sets, on average
    each: tuple[Effect, ...]  # on each data set, in the order of the setting
    estimate: float  # mean over the data sets that have an estimate
    low: float  # lower end of the 95% t interval for the mean over data sets like these; nan for fewer than `FEWEST`
    high: float  # its upper end
    p: float  # two-sided, unadjusted, that the mean over data sets like these is zero
    p_ranks: float  # the same by Wilcoxon's signed-rank test, which is exact for few data sets
    apart: float  # standard deviation of the true effects between data sets, without the scatter between seeds
    p_apart: float  # that the true effect is the same on all data sets (Welch's F, unequal variances)
    ahead: int  # number of data sets on which the estimate is above zero
    behind: int  # and below zero


def over_blocks(evidence: Evidence) -> list[OverBlocks]:
    """Returns an `OverBlocks` for each effect on the main outcome; none if the study has only one data set."""
    return [summed(effect, each) for effect, each in _by_block(evidence)]


def told_on(evidence: Evidence, effect: Effect, alpha: float) -> dict[str, Effect]:
    """Returns the data sets on which an effect of the study clearly is not zero, each with the effect there.

    That is so where its p on that data set, times their number (Bonferroni), is below `alpha`.
    """
    each = next((each for one, each in _by_block(evidence) if one is effect), ())
    there = zip(evidence.on_each, each, strict=False)  # there is none if the effect is not one on the main outcome
    return {name: one for name, one in there if one.p * len(each) < alpha}


def other_way(evidence: Evidence, effect: Effect, alpha: float) -> list[str]:
    """Returns the data sets on which an effect clearly has another sign than its mean over all of them."""
    there = told_on(evidence, effect, alpha)
    return [name for name, one in there.items() if one.estimate * effect.estimate < 0]


def _by_block(evidence: Evidence) -> list[tuple[Effect, tuple[Effect, ...]]]:
    """Returns each effect on the main outcome, with that on each data set; none if the study has only one data set."""
    each = [one.effects for one in evidence.on_each.values()]
    return [(effect, tuple(there)) for effect, *there in zip(evidence.effects, *each, strict=True)] if each else []


def summed(effect: Effect, each: Sequence[Effect]) -> OverBlocks:
    """Summarises the effects on single data sets, `each`; `effect` is the study's own, on all of them."""
    known = [one for one in each if isfinite(one.estimate)]
    means = np.array([one.estimate for one in known])
    means[np.abs(means) <= NOTHING * largest(means)] = 0.0
    estimate, error, df = _over_others(effect, known, means)
    enough = len(known) == len(each) and len(known) >= FEWEST
    low, high = t_interval(estimate, error, df, LEVEL) if enough else (nan, nan)
    return OverBlocks(
        effect=effect,
        each=tuple(each),
        estimate=estimate,
        low=low,
        high=high,
        p=p_of_mean(estimate, error, df) if enough and error > 0 else nan,  # equal means tell nothing of other data
        p_ranks=_ranks(means) if enough else nan,
        apart=_apart(known),
        p_apart=_p_apart(known),
        ahead=int((means > 0).sum()),
        behind=int((means < 0).sum()),
    )


def _over_others(effect: Effect, known: Sequence[Effect], means: np.ndarray) -> tuple[float, float, float]:
    """Returns the mean over data sets like these, its standard error, and its degrees of freedom (Satterthwaite).

    `effect.error` is the standard error of the mean over these data sets.  If it is larger than it would be with
    independent seeds on each data set, the draws of one seed are correlated across data sets, and that common part of
    the variance is added: a two-way random layout (Searle, Casella and McCulloch, Variance Components, 1992), as in
    `both_samplings`.  The standard error is never smaller than that for these data sets alone.
    """
    estimate, error, df = over_seeds(means)
    if not df > 0:
        return estimate, error, df
    independent = sum(one.error**2 for one in known) / len(known) ** 2
    common = (effect.error**2 - independent) * len(known) / df
    total = error**2 + max(common, 0.0)
    if total <= effect.error**2 or not error > 0:
        return estimate, effect.error, effect.df
    if not common > 0:
        return estimate, error, df
    return estimate, sqrt(total), total**2 / (error**4 / df + common**2 / effect.df)


def _ranks(means: np.ndarray) -> float:
    """Returns the p of Wilcoxon's signed-rank test; nan if all means are zero."""
    return float(stats.wilcoxon(means).pvalue) if np.any(means != 0) else nan


def _apart(each: Sequence[Effect]) -> float:
    """Returns the standard deviation of true effects between data sets, by moments; nan for fewer than two of them.

    Its square is the variance of the estimates less the mean of their squared standard errors, but not below zero.
    """
    errors = np.array([one.error for one in each])
    if len(each) < 2 or not np.isfinite(errors).all():
        return nan
    between = float(np.var([one.estimate for one in each], ddof=1)) - float((errors**2).mean())
    return sqrt(max(between, 0.0))


def _p_apart(each: Sequence[Effect]) -> float:
    """Returns the p of Welch's one-way F test (Biometrika 38, 1951) that the effect is the same on all data sets.

    Its variances come from the standard errors, which are corrected if the splits of seeds overlap.
    """
    if len(each) < 2 or not all(one.error > 0 and one.n > 1 for one in each):
        return nan
    from statsmodels.stats.oneway import anova_generic

    counts = np.array([one.n for one in each])
    variances = np.array([one.error for one in each]) ** 2 * counts
    found = anova_generic(np.array([one.estimate for one in each]), variances, counts, use_var="unequal")
    return float(found.pvalue)
