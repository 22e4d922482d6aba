"""What so many seeds could tell of each claim, before they are trained: from a pilot's records, or from a prior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite, nan, sqrt

from ablations.claims import metric_of
from ablations.declaration import MAIN, SAME, Claim
from ablations.effects import effects
from ablations.evidence import Evidence
from ablations.factorial import factorial_design
from ablations.reach import prior_spread as prior_spread  # noqa: PLC0414  the outlook's own prior
from ablations.statistics import detectable, seeds_to_detect, seeds_to_exclude
from ablations.types import Result, Study
from ablations.verdicts import adjust, claims_in_force, rule_of


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """Of one claim: the scatter it is up against, what that lets a study see, and the seeds that would decide it."""

    claim: Claim
    spread: float  # standard deviation of a paired difference, in the metric's unit; nan where it is not known
    piloted: bool  # measured in records of this study, not assumed
    resolved: float  # smallest effect found four times in five at the study's seeds
    seeds: int | None  # that find an effect of interest or exclude it; None: over 10,000, or not known


def outlook(study: Study, results: Sequence[Result], *, images: int, pilot: Evidence | None = None) -> list[Outlook]:
    """One row a claim of the study; `results` are its records so far, `images` how many it evaluates on.

    The scatter is that of `pilot` where it is given: of a study of another design, say.
    """
    claims = claims_in_force(study)
    alpha = rule_of(study).alpha
    evidence = pilot or Evidence(study=study, results=results)
    pairs = len(factorial_design(study)) // 2  # that a main effect has for each seed
    rows = []
    for claim, (_, comparisons) in zip(claims, adjust(claims, [None] * len(claims)), strict=True):
        measured = pilot_spread(evidence, claim)
        piloted = isfinite(measured)
        spread = measured if piloted else prior_spread(study, claim, images=images)
        level, a_seed = alpha / comparisons, pairs if claim.estimand == MAIN else 1
        tests = (seeds_to_exclude,) if claim.direction == SAME else (seeds_to_detect, seeds_to_exclude)
        needed = [test(claim.smallest_effect, spread, level) for test in tests]
        known = [n for n in needed if n is not None]
        rows.append(
            Outlook(
                claim=claim,
                spread=spread,
                piloted=piloted,
                resolved=detectable(spread, study.seeds * a_seed, level),
                seeds=max(2, ceil(max(known) / a_seed)) if len(known) == len(needed) else None,
            )
        )
    return rows


def pilot_spread(evidence: Evidence, claim: Claim) -> float:
    """Standard deviation of a paired difference of the claim's metric, pooled over all comparisons; nan for none."""
    found = effects(evidence.study, evidence.table, metric_of(claim, evidence.phase))
    known = [one for one in found if one.spread > 0 and one.df > 0]
    freedom = sum(one.df for one in known)
    return sqrt(sum(one.df * one.spread**2 for one in known) / freedom) if freedom else nan


def lines(study: Study, results: Sequence[Result], *, images: int) -> list[str]:
    """The same as text for a terminal; empty for a study without claims."""
    rows = outlook(study, results, images=images)
    if not rows:
        return []
    width = max(len(row.claim.name) for row in rows)
    source = {True: "pilot", False: "prior"}
    head = f"{'of interest':>12}{'scatter':>10}{'from':>7}{'resolved':>10}{'seeds that decide':>19}"
    found = [f"{'claim':<{width}}  {head}"]
    for row in rows:
        numbers = (_written(row.spread), source[row.piloted] if isfinite(row.spread) else "-", _written(row.resolved))
        decide = f"{row.seeds:,}" if row.seeds else "over 10,000" if isfinite(row.spread) else "needs a pilot"
        cells = f"{row.claim.smallest_effect:>12g}{numbers[0]:>10}{numbers[1]:>7}{numbers[2]:>10}{decide:>19}"
        found.append(f"{row.claim.name:<{width}}  {cells}")
    comparisons = len({question for claim in claims_in_force(study) for question in claim.questions})
    found += [
        f"resolved: the smallest effect that {study.seeds} seeds find four times in five ({comparisons} comparisons).",
        "A prior knows nothing of short or unstable trainings, which scatter more: a pilot of 3 seeds does.",
    ]
    return found


def _written(value: float) -> str:
    return f"{value:.2f}" if isfinite(value) else "-"
