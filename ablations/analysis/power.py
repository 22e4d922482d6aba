"""What so many seeds could tell of each claim, before they are trained: from a pilot's records, or from a prior.

All arithmetic is in seeds: each gives a claim one number, a paired difference or a contrast over the whole design.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan, sqrt

from ablations.analysis.asked import effect_on, rule_of
from ablations.analysis.effects import effects
from ablations.analysis.evidence import Evidence, finished
from ablations.analysis.factorial import factorial_design
from ablations.analysis.gates import guesses
from ablations.analysis.reach import PAIR, prior_spread, variance_ratio
from ablations.analysis.rule import adjust
from ablations.analysis.statistics import detectable, seeds_to_detect, seeds_to_exclude
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
    """Of one claim: the scatter it is up against, what that lets a study see, and the seeds that would decide it."""

    claim: Claim
    spread: float  # standard deviation of what one seed says, in the metric's unit; nan where it is not known
    piloted: bool  # measured in records of this study, not from a prior
    assumed: bool  # worked out from comparisons of more or fewer trainings a seed, under EFFECTS_DIFFER
    resolved: float  # smallest effect found four times in five at the study's seeds
    seeds: int | None  # that find an effect of interest or exclude it; None: over 10,000, or not known


def outlook(study: Study, results: Sequence[Result], *, pilot: Evidence | None = None) -> list[Outlook]:
    """One row a claim of the study; `results` are its records so far.

    The scatter is that of `pilot` where it is given: of a study of another design, say.
    """
    claims = study.claims
    alpha = rule_of(study).alpha
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
        known = [n for n in needed if n is not None]
        rows.append(
            Outlook(
                claim=claim,
                spread=spread,
                piloted=piloted,
                assumed=assumed and isfinite(spread),
                resolved=detectable(spread, study.seeds, level, evidence.overlap),
                seeds=max(known) if len(known) == len(needed) else None,
            )
        )
    return rows


def pilot_spread(evidence: Evidence, claim: Claim, trainings: int) -> tuple[float, bool]:
    """Standard deviation of what one seed says of a claim, of `trainings` a seed, and whether EFFECTS_DIFFER is in it.

    That of the claim's own comparison, or of another one of its departure, or pooled over all comparisons of the
    study's components; nan where the pilot has none.  The controls do not count: a sabotage scatters as no claim does.
    """
    found = effects(evidence.study, evidence.table, metric_of(claim, evidence.phase))
    found = [one for one in found if one.component not in evidence.study.controls]
    same = [one for one in found if (one.component, one.level) == (claim.component, claim.level) and not claim.against]
    for some in ([effect_on(evidence, claim)], same, found):
        known = [one for one in some if one is not None and one.spread > 0 and one.df > 0]
        if known:
            alike = [one for one in known if one.kind == claim.estimand] or known
            return _pooled(alike, trainings), any(_trainings(one) != trainings for one in alike)
    return nan, False


def _pooled(some: Sequence[Effect], trainings: int) -> float:
    variances = [one.df * one.spread**2 * variance_ratio(trainings, _trainings(one)) for one in some]
    return sqrt(sum(variances) / sum(one.df for one in some))


def _trainings(effect: Effect) -> int:
    """Of a seed, that the effect compares."""
    return len(effect.departed) + len(effect.kept)


def trained(evidence: Evidence) -> Evidence:
    """The same without the trials that ended no better than guessing: what they scatter is not what others do."""
    results = [one for one in finished(evidence) if not guesses(evidence, one)]
    return Evidence(study=evidence.study, results=results, folder=evidence.folder)
