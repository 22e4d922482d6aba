"""Power before the first trial: what the planned seeds can show of each claim, from a pilot's records or from a prior.

The unit is a seed, which gives a claim one number: a paired difference, or a contrast over the whole design.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan, sqrt

from ablations.analysis.asked import effect_on
from ablations.analysis.effects import effects
from ablations.analysis.evidence import Evidence, finished
from ablations.analysis.factorial import factorial_design
from ablations.analysis.gates import guesses
from ablations.analysis.reach import PAIR, prior_spread, variance_ratio
from ablations.analysis.rule import adjust
from ablations.analysis.statistics import detectable, most_of, seeds_to_detect, seeds_to_exclude
from ablations.core.claim import MAIN, SAME, Claim, metric_of
from ablations.core.effect import Effect
from ablations.core.result import Result
from ablations.core.study import Study

ASSUMED = (
    "Main effects: their scatter is worked out from that of pairs, assuming that effects differ between seeds",
    "as much as single trainings do; a pilot of the design itself measures it.",
)


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """The power of a study for one claim."""

    claim: Claim
    spread: float  # standard deviation over seeds of the claim's difference, in the metric's unit; nan: not known
    piloted: bool  # whether it was measured in records, rather than taken from a prior
    assumed: bool  # whether it is derived from comparisons with more or fewer trainings per seed, by EFFECTS_DIFFER
    resolved: float  # the smallest effect that the study's seeds find with power 0.8, in the metric's unit
    seeds: int | None  # seeds that find an effect of interest or exclude it; None: over 10,000, or not known


def outlook(study: Study, results: Sequence[Result], *, pilot: Evidence | None = None) -> list[Outlook]:
    """Returns the power for each claim of the study; `results` are its records so far.

    The scatter is measured in `pilot`, which may be a study of another design, or else in `results`.  If neither tells
    it, it comes from the prior in `ablations.analysis.reach`.
    """
    claims = study.claims
    alpha = study.rule.alpha
    evidence = trained(pilot or Evidence(study=study, results=results))
    whole = max(len(factorial_design(study)), PAIR)
    rows = []
    for claim, (_, comparisons) in zip(claims, adjust(claims, [None] * len(claims)), strict=True):
        trainings = whole if claim.estimand == MAIN else PAIR
        spread, assumed = pilot_spread(evidence, claim, trainings)
        if not (piloted := isfinite(spread)):
            spread = prior_spread(study, claim) * sqrt(variance_ratio(trainings, PAIR))
            assumed = trainings != PAIR
        level = alpha / comparisons
        tests = (seeds_to_exclude,) if claim.direction == SAME else (seeds_to_detect, seeds_to_exclude)
        needed = [test(claim.smallest_effect, spread, level, evidence.overlap) for test in tests]
        rows.append(
            Outlook(
                claim=claim,
                spread=spread,
                piloted=piloted,
                assumed=assumed and isfinite(spread),
                resolved=detectable(spread, study.seeds, level, evidence.overlap),
                seeds=most_of(needed),
            )
        )
    return rows


def pilot_spread(evidence: Evidence, claim: Claim, trainings: int) -> tuple[float, bool]:
    """Returns the standard deviation over seeds of a claim's difference, and whether EFFECTS_DIFFER was used for it.

    `trainings` is how many trainings a seed has in the design that is planned.  The scatter is that of the claim's own
    comparison, or else of other comparisons of its departure, or else pooled over all components; nan if the pilot has
    none.  Controls are left out, because a sabotage scatters more than any change that a claim is about.
    """
    found = effects(evidence.study, evidence.outcomes, metric_of(claim, evidence.phase))
    found = [one for one in found if one.component not in evidence.study.controls]
    same = [one for one in found if (one.component, one.level) == (claim.component, claim.level) and not claim.against]
    for some in ([effect_on(evidence, claim)], same, found):
        known = [one for one in some if one is not None and one.spread > 0 and one.df > 0]
        if known:
            alike = [one for one in known if one.kind == claim.estimand] or known
            return _pooled(alike, trainings), any(_trainings(one) != trainings for one in alike)
    return nan, False


def _pooled(some: Sequence[Effect], trainings: int) -> float:
    """Returns the pooled standard deviation of effects, converted to `trainings` trainings per seed."""
    variances = [one.df * one.spread**2 * variance_ratio(trainings, _trainings(one)) for one in some]
    return sqrt(sum(variances) / sum(one.df for one in some))


def _trainings(effect: Effect) -> int:
    """Returns how many trainings of one seed the effect compares."""
    return len(effect.departed) + len(effect.kept)


def trained(evidence: Evidence) -> Evidence:
    """Returns `evidence` without failed trainings and those no better than guessing, whose scatter is not typical."""
    results = [one for one in finished(evidence) if not guesses(evidence, one)]
    return Evidence(study=evidence.study, results=results, folder=evidence.folder)
