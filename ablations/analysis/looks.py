"""The looks of a sequential study: which claims are settled, at which look, and which variants the next look trains.

A claim is settled at the first look that shows its effect to be larger or smaller than the smallest effect of interest.
Variants that only settled claims compare get no more seeds.  The reference, the controls and variants that no claim
compares get the seeds of every look.  All this follows from the records, so an interrupted study can continue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ablations.analysis.asked import effect_on, obstacle_of, untuned
from ablations.analysis.effects import REFERENCE, contrast_of
from ablations.analysis.evidence import Evidence
from ablations.analysis.factorial import factorial_design
from ablations.analysis.gates import Gate, study_gates
from ablations.analysis.group_sequential import Look
from ablations.analysis.rule import INCONCLUSIVE, OPEN, intervals
from ablations.analysis.verdict import Verdict, with_also
from ablations.core.claim import MAIN, Claim, compared
from ablations.core.study import Study
from ablations.core.variant import Variant


@dataclass(frozen=True, kw_only=True)
class Stage:
    """How far the looks of a study are."""

    seeds: Mapping[str, int]  # label of a variant -> the seeds that it gets up to the look under way
    taken: int = 0  # number of looks that are complete
    settled: Mapping[str, int] = field(default_factory=dict)  # name of a claim -> number of the look that settled it
    done: bool = False  # whether nothing more is trained

    def stands_at(self, claim: Claim) -> int:
        """Returns the number of the look at which a claim has its verdict; 0 before the first look is complete."""
        return self.settled.get(claim.name, self.taken)


def stage(evidence: Evidence) -> Stage:
    """Returns how far the looks are, by the records; a trial of any status counts as run."""
    study, looks = evidence.study, evidence.study.looks
    run = Counter((one.trial.variant.label, one.trial.seed) for one in evidence.results)
    recorded = {place for place, count in run.items() if count == len(study.setting.each)}  # on every data set
    found: dict[str, int] = {}
    asked = [claim for claim in study.claims if not untuned(study, claim)]  # no look can settle an untuned one
    wanted: dict[str, int] = {}
    for number, seeds in enumerate(looks, start=1):
        still_open = [claim for claim in asked if claim.name not in found]
        going_on = _going_on(study, asked, still_open)
        wanted |= dict.fromkeys(going_on, seeds)
        if not all((label, seed) in recorded for label in going_on for seed in range(seeds)):
            return Stage(seeds=wanted, taken=number - 1, settled=found)
        then = until(evidence, seeds)
        gates = study_gates(then)
        look = Look(number=number, seeds=looks)
        found |= {claim.name: number for claim in still_open if settled(then, claim, look, gates)}
        if asked and len(found) == len(asked):
            return Stage(seeds=wanted, taken=number, settled=found, done=True)
    return Stage(seeds=wanted, taken=len(looks), settled=found, done=True)


def until(evidence: Evidence, seeds: int) -> Evidence:
    """Returns the evidence as it was after so many seeds."""
    results = [one for one in evidence.results if one.trial.seed < seeds]
    return Evidence(study=replace(evidence.study, seeds=seeds), results=results, folder=evidence.folder)


def _going_on(study: Study, asked: list[Claim], still_open: list[Claim]) -> list[str]:
    """Returns the labels of the variants that get the seeds of the next look, in the study's order."""
    needed = {label for claim in still_open for label in _arms(study, claim)}
    stopped = {label for claim in asked for label in _arms(study, claim)} - needed - {REFERENCE.label}
    return [variant.label for variant in study.variants if variant.label not in stopped]


def _arms(study: Study, claim: Claim) -> set[str]:
    """Returns the labels of the variants that a claim compares."""
    if claim.estimand == MAIN:
        return {variant.label for variant in factorial_design(study)}
    departure, *others = compared(claim)
    contrast = contrast_of(study, departure, Variant(departures=tuple(others)))
    return {contrast.departed, contrast.kept}


def settled(then: Evidence, claim: Claim, look: Look, gates: Sequence[Gate]) -> bool:
    """Tells whether a look shows that a claim's effect is larger than the smallest effect of interest, or smaller.

    `gates` are those of `then`, the evidence as it was at the look.  If the claim has a companion, the look must also
    show the direction of the companion's effect.
    """
    rule = then.study.rule
    effect = effect_on(then, claim)
    reason, _ = obstacle_of(then, claim, effect, gates)
    if reason or effect is None:
        return False
    asked = (one.questions for one in then.study.claims if one.family == claim.family)
    comparisons = len({question for questions in asked for question in questions})
    (low, high), inner = intervals(effect, rule.alpha, comparisons, look)
    seen = Verdict(
        claim=claim, call=INCONCLUSIVE, effect=effect, low=low, high=high, inner_low=inner[0], inner_high=inner[1]
    )
    seen = with_also(then, seen, rule.alpha, comparisons, look)
    return seen.size_known and seen.companion != OPEN
