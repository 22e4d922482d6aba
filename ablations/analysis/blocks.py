"""Several data sets as blocks: what a change does on each, on these on average, and on others like these.

The study's own effects are of these data sets: a seed's paired difference is the mean of those that it has on each,
and intervals are over seeds (`ablations.analysis.tables.over_blocks`).  However unequal the scatter on the data sets
is, and however the draws of one seed go together, those means are alike and independent, so that their t keeps its
level.  They say nothing of other data sets.  For that the data sets themselves are the sample: one number each, and a
t over those (B - 1 degrees of freedom), beside Wilcoxon's signed ranks (Demsar, JMLR 7, 2006).  What the draws of one
seed do to all data sets alike is not in the scatter between them, so it is added.  B data sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan, sqrt

import numpy as np
from scipy import stats

from ablations.analysis.effects import effects
from ablations.analysis.evidence import Evidence
from ablations.analysis.factorial import LEVEL
from ablations.analysis.statistics import over_seeds, t_interval, t_test
from ablations.core.effect import Effect

NOTHING = 1e-9  # below which an effect is rounding
FEWEST = 5  # data sets from which on others like these are spoken of


@dataclass(frozen=True, kw_only=True)
class OverBlocks:
    """An effect on each of several data sets, and what they say of others like these."""

    effect: Effect  # on these data sets, on average
    each: tuple[Effect, ...]  # in the order of the setting's
    estimate: float  # mean of those that have one: of these data sets, and of others like these
    low: float  # of the 95% t interval for the mean of data sets like these; nan for fewer than `FEWEST`
    high: float
    p: float  # two-sided, of no effect on average over data sets like these, not adjusted
    p_ranks: float  # of Wilcoxon's signed ranks, exact for few data sets
    apart: float  # standard deviation of true effects between data sets: what seeds do not account for
    p_apart: float  # that effects are the same on all of them (Welch's F, unequal variances)
    ahead: int  # data sets on which the estimate is above zero
    behind: int


def over_blocks(evidence: Evidence) -> list[OverBlocks]:
    """Of every effect on the main outcome; none where the study has but one data set."""
    by_block = [effects(one.study, one.table, one.metric) for one in evidence.on_each.values()]
    return [summed(effect, each) for effect, *each in zip(evidence.effects, *by_block, strict=True)] if by_block else []


def summed(effect: Effect, each: Sequence[Effect]) -> OverBlocks:
    """What effects on single data sets come to; `effect` is the one on all of them."""
    known = [one for one in each if isfinite(one.estimate)]
    means = np.array([one.estimate if abs(one.estimate) > NOTHING else 0.0 for one in known])
    estimate, error, df = _over_others(effect, known, means)
    enough = len(known) == len(each) and len(known) >= FEWEST
    low, high = t_interval(estimate, error, df, LEVEL) if enough else (nan, nan)
    return OverBlocks(
        effect=effect,
        each=tuple(each),
        estimate=estimate,
        low=low,
        high=high,
        p=t_test(estimate, error, df) if enough else nan,
        p_ranks=_ranks(means) if enough else nan,
        apart=_apart(known),
        p_apart=_p_apart(known),
        ahead=int((means > 0).sum()),
        behind=int((means < 0).sum()),
    )


def _over_others(effect: Effect, known: Sequence[Effect], means: np.ndarray) -> tuple[float, float, float]:
    """Mean over data sets like these, its standard error, and degrees of freedom by Satterthwaite.

    The error of the mean of these, beside what independent seeds on each would make of it, tells how far the draws of
    a seed go together: a two-way random layout (Searle, Casella and McCulloch, Variance Components, 1992), as in
    `both_samplings`.  Other data sets are never told of more surely than these.
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
    return float(stats.wilcoxon(means).pvalue) if np.any(means != 0) else nan


def _apart(each: Sequence[Effect]) -> float:
    """By moments: the variance of the means less what their own errors make of it, and never below zero."""
    errors = np.array([one.error for one in each])
    if len(each) < 2 or not np.isfinite(errors).all():
        return nan
    between = float(np.var([one.estimate for one in each], ddof=1)) - float((errors**2).mean())
    return sqrt(max(between, 0.0))


def _p_apart(each: Sequence[Effect]) -> float:
    """Welch's one-way F (Biometrika 38, 1951) of paired differences, with the errors that overlapping splits have."""
    if len(each) < 2 or not all(one.error > 0 and one.n > 1 for one in each):
        return nan
    from statsmodels.stats.oneway import anova_generic

    counts = np.array([one.n for one in each])
    variances = np.array([one.error for one in each]) ** 2 * counts
    found = anova_generic(np.array([one.estimate for one in each]), variances, counts, use_var="unequal")
    return float(found.pvalue)
