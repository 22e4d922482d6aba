"""Which claims no affordable number of seeds decides: told before the first trial and kept in `study.json`.

This follows from a prior for the scatter alone, so that no measurement can influence it.  Short trainings scatter more
than the prior says, so a claim that is out of reach by the prior is hardly in reach for them.  A claim that is out of
reach still counts in its family and is judged like any other, because a few seeds can tell the direction of a large
effect.

Standard library only, because a study is announced before scipy is imported.  So quantiles are those of the normal
distribution, with Guenther's correction for the t distribution (1981, The American Statistician 35:243), which is
accurate to about one pair.
"""

from __future__ import annotations

from math import ceil, isfinite, nan, sqrt
from statistics import NormalDist

from ablations.core.claim import MAIN, SAME, Claim
from ablations.core.load import load
from ablations.core.setting import POINTS
from ablations.core.study import Study

POWER = 0.8  # as in `ablations.analysis.statistics`, which uses the noncentral t distribution
MOST_SEEDS = 10_000  # larger numbers are not told
PAIR = 2  # trainings per seed that a paired difference compares
# An assumption on how much effects differ between seeds: the variance of the effect from seed to seed, divided by the
# variance of a single training.  Paired differences contain both and cannot tell them apart.  In one study that could,
# the ratio was 0.64.
EFFECTS_DIFFER = 1.0


def prior_spread(study: Study, claim: Claim) -> float:
    """Returns the standard deviation, in points, of a paired difference by the prior; nan for other units.

    The prior takes errors on single images as independent.  Then the standard deviation of one network's error over
    seeds is at most sqrt(error / 2 n) for n images (after Jordan 2023, arXiv 2304.01910), and that of the difference of
    two uncorrelated networks is sqrt(2) times as large.  The error is assumed to be half of that of guessing.
    """
    setting = study.setting
    metric = setting.metrics.get(claim.metric)
    if not metric or metric.unit != POINTS or setting.guessing is None or not setting.examples:
        return nan
    error = setting.main_metric.error(setting.guessing) / 200
    if not error > 0:
        return nan  # a chance level that no share of right answers has
    one = 100 * sqrt(error / (2 * setting.examples))
    errors = 2 if claim.metric == load(study.subject).gap else 1  # a gap is the difference of two
    return one * sqrt(2) * sqrt(errors)


def out_of_reach(study: Study) -> tuple[tuple[str, int | None], ...]:
    """Returns (name of a claim, about how many seeds would decide it) for each claim that is out of reach.

    A claim is out of reach if it needs more seeds than the study's rule calls affordable, and more than the study has.
    The number is None if it is over 10,000.  Nothing is returned if the rule names no affordable number.
    """
    rule = study.rule
    if not rule.affordable:
        return ()
    most = max(rule.affordable, study.seeds)
    needed = {claim.name: _seeds(study, claim, rule.alpha) for claim in study.claims}
    return tuple((name, None if n > MOST_SEEDS else n) for name, n in needed.items() if n > most)


def words_of(study: Study, claim: Claim) -> str:
    """Writes `about 160 seeds`, which would decide a claim that was declared out of reach; empty for other claims."""
    declared = dict(study.out_of_reach)
    seeds = declared.get(claim.name)
    return "" if claim.name not in declared else f"about {seeds:,} seeds" if seeds else f"over {MOST_SEEDS:,} seeds"


def _seeds(study: Study, claim: Claim, alpha: float) -> int:
    """Returns the seeds that find an effect of the smallest size of interest, or exclude it if there is none.

    0: not known.
    """
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
    """Returns the pairs with which a one-sided t test at `alpha` finds an effect of `size` standard deviations."""
    quantile = NormalDist().inv_cdf
    return ((quantile(1 - alpha) + quantile(power)) / size) ** 2 + quantile(1 - alpha) ** 2 / 2


def _runs(study: Study) -> int:
    """Returns the number of variants of a factorial, a power of two.

    Rounding down to one leaves out a reference that was added only for the controls.
    """
    runs = sum(set(variant.departures) <= set(study.components) for variant in study.variants)
    return 1 << (runs.bit_length() - 1)


def variance_ratio(trainings: int, of: int) -> float:
    """Returns the variance of a comparison of `trainings` trainings per seed, relative to one of `of` trainings.

    The mean of half of N trainings less the mean of the others has 4 / N of the variance of one training, and the whole
    variance of the effect from seed to seed.
    """
    return (EFFECTS_DIFFER + 4 / trainings) / (EFFECTS_DIFFER + 4 / of)
