"""Which claims no affordable number of seeds decides, said before the first trial and kept in `study.json`.

By the prior alone (`ablations/analysis/power.py`), so that nothing that was measured has a say.  Trainings as short
as ours scatter more than it says, so what is out of its reach is hardly in theirs.  A claim out of reach keeps its
place in its family and is judged like any other: a large effect has a direction that a few seeds tell.

Standard library only, as a study is announced without scipy: the quantiles are those of the normal distribution, with
Guenther's term for the t (1981, The American Statistician 35:243), which is right to about one pair.
"""

from __future__ import annotations

from math import ceil, isfinite, nan, sqrt
from statistics import NormalDist

from ablations.core.claim import MAIN, SAME, Claim, Rule
from ablations.core.setting import POINTS
from ablations.core.study import Study

GAP = "gap_percent"
POWER = 0.8  # as in ablations.analysis.statistics, which has the same by the noncentral t
MOST_SEEDS = 10_000
PAIR = 2  # trainings of a seed that a paired difference compares
# How much effects differ between seeds: the variance of a seed's effect over that of one training's own part.  Pairs
# hold both and cannot tell them apart; of one study that could, it was .64.
EFFECTS_DIFFER = 1.0


def prior_spread(study: Study, claim: Claim) -> float:
    """Standard deviation of a paired difference of trainings whose errors on single images are independent.

    In points; nan for other units.  sqrt(error / 2 n) for one trained network, as an upper bound (after Jordan 2023,
    arXiv 2304.01910), times the root of 2 for the difference of two that do not correlate.  The error is assumed to be
    half of that of guessing.
    """
    setting = study.setting
    metric = setting.metrics.get(claim.metric)
    if not metric or metric.unit != POINTS or setting.guessing is None or not setting.examples:
        return nan
    error = setting.guessing / 200
    one = 100 * sqrt(error / (2 * setting.examples))
    return one * sqrt(2) * (sqrt(2) if claim.metric == GAP else 1)  # a gap is the difference of two errors


def out_of_reach(study: Study) -> tuple[tuple[str, int | None], ...]:
    """(claim, about how many seeds would decide it) where that is more than the study's rule calls affordable.

    None for over 10,000 seeds; empty for a study whose rule names no number.
    """
    rule = study.rule or Rule()
    if not rule.affordable:
        return ()
    most = max(rule.affordable, study.seeds)
    needed = {claim.name: _seeds(study, claim, rule.alpha) for claim in study.claims}
    return tuple((name, None if n > MOST_SEEDS else n) for name, n in needed.items() if n > most)


def words_of(study: Study, claim: Claim) -> str:
    """`about 160 seeds`: how many would decide a claim that the study declared out of reach; empty for another."""
    declared = dict(study.out_of_reach)
    seeds = declared.get(claim.name)
    return "" if claim.name not in declared else f"about {seeds:,} seeds" if seeds else f"over {MOST_SEEDS:,} seeds"


def _seeds(study: Study, claim: Claim, alpha: float) -> int:
    """That find an effect of the smallest size of interest and exclude it where there is none; 0: not known."""
    trainings = _runs(study) if claim.estimand == MAIN else PAIR
    spread = prior_spread(study, claim) * sqrt(variance_ratio(trainings, PAIR))
    if not isfinite(spread):
        return 0
    family = {question for one in study.claims if one.family == claim.family for question in one.questions}
    level, size = alpha / len(family), claim.smallest_effect / spread
    excluded = _pairs(size, level, 1 - (1 - POWER) / 2)
    found = 0.0 if claim.direction == SAME else _pairs(size, level / 2, POWER)
    return max(2, ceil(max(found, excluded)))


def _pairs(size: float, alpha: float, power: float) -> float:
    """Pairs with which a one-sided t test at `alpha` finds an effect of so many standard deviations."""
    quantile = NormalDist().inv_cdf
    return ((quantile(1 - alpha) + quantile(power)) / size) ** 2 + quantile(1 - alpha) ** 2 / 2


def _runs(study: Study) -> int:
    """Of a factorial, to which a reference may have been added for the controls."""
    runs = sum(set(variant.departures) <= set(study.components) for variant in study.variants)
    return 1 << (runs.bit_length() - 1)


def variance_ratio(trainings: int, of: int) -> float:
    """The variance of a comparison of so many trainings a seed over that of one `of` so many.

    A mean of half of N trainings less that of the others has 4 / N of one training's variance, and all of that of the
    effect between seeds.
    """
    return (EFFECTS_DIFFER + 4 / trainings) / (EFFECTS_DIFFER + 4 / of)
