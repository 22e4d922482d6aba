"""From claims and effects to verdicts, by the rule of `analysis/rule.py`, which is fixed before the first trial."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite
from pathlib import Path

from ablations.analysis import failures, reach
from ablations.analysis.asked import effect_on, obstacle_of, proxy_reasons
from ablations.analysis.confounds import confounds
from ablations.analysis.evidence import Evidence
from ablations.analysis.gates import Gate, study_gates
from ablations.analysis.group_sequential import Look
from ablations.analysis.looks import stage, until
from ablations.analysis.obstacles import needs_fit, underfits
from ablations.analysis.rule import (
    NOT_TESTED,
    adjust,
    call,
    intervals,
    with_companion,
)
from ablations.analysis.seeds_needed import settling_seeds
from ablations.analysis.statistics import prediction_interval
from ablations.analysis.verdict import Verdict, with_also
from ablations.core.claim import MAIN, Claim, Conditions
from ablations.core.effect import Effect
from ablations.core.load import FIRST, SABOTAGE
from ablations.records import store
from ablations.records.claims import check_declared
from ablations.records.recorded import readable


@dataclass(frozen=True, kw_only=True)
class Findings(Evidence):
    """Evidence with the study's gates and the verdicts on its claims, which are computed once."""

    @cached_property
    def gates(self) -> list[Gate]:
        """The gates of the study: where one does not hold, nothing is judged."""
        return study_gates(self)

    @cached_property
    def passed(self) -> dict[str, bool | None]:
        """For each gate whether it passed; None: it cannot be told."""
        return {one.name: one.passed for one in self.gates}

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """The verdicts on all claims of the study, in its order."""
        return judge(self)


def findings_in(folder: Path) -> Findings:
    """Returns the findings of the study in `folder`.  Raises InputError if its plan cannot be read."""
    study, results, problems = store.read(folder)
    check_declared(study, folder / "study.json")
    study, results, instead = readable(folder, study, results)
    return Findings(study=study, results=results, problems=problems, folder=folder, instead=instead)


def judge(evidence: Findings) -> list[Verdict]:
    """Returns a verdict on every claim of the study, in its order.

    In a sequential study, a claim is judged by the records of the look that settled it, or of the latest complete look.
    """
    claims = evidence.study.claims
    stands = _standing(evidence)
    effects = [effect_on(then, claim) for claim, (then, _) in zip(claims, stands, strict=True)]
    obstacles = [
        obstacle_of(then, claim, effect, evidence.gates)
        for claim, effect, (then, _) in zip(claims, effects, stands, strict=True)
    ]
    tested = [
        None if reason or effect is None else failures.for_direction(effect, look)
        for (reason, _), effect, (_, look) in zip(obstacles, effects, stands, strict=True)
    ]
    adjusted = adjust(claims, tested)
    return [
        _verdict(evidence, claim, effect, obstacle, p, m, stand)
        for claim, effect, obstacle, (p, m), stand in zip(claims, effects, obstacles, adjusted, stands, strict=True)
    ]


def _standing(evidence: Evidence) -> list[tuple[Evidence, Look | None]]:
    """Returns for each claim the evidence by which it is judged, and the look; None: the study is not sequential.

    Before the first look is complete, the evidence is empty and there is no look either.
    """
    claims, looks = evidence.study.claims, evidence.study.looks
    if not looks:
        return [(evidence, None)] * len(claims)
    reached = stage(evidence)
    after: dict[int, tuple[Evidence, Look | None]] = {0: (until(evidence, 0), None)}
    for number, seeds in enumerate(looks[: reached.taken], start=1):
        after[number] = until(evidence, seeds), Look(number=number, seeds=looks)
    return [after[reached.stands_at(claim)] for claim in claims]


def _verdict(
    evidence: Evidence,
    claim: Claim,
    effect: Effect | None,
    obstacle: tuple[str, str],
    p_holm: float,
    comparisons: int,
    stands: tuple[Evidence, Look | None],
) -> Verdict:
    """Returns the verdict on one claim; `stands` is its evidence and its look, as `_standing` returns them."""
    reason, because = obstacle
    then, look = stands
    rule = evidence.study.rule
    proxy = proxy_reasons(claim, evidence.study)
    common = Verdict(
        claim=claim,
        call=NOT_TESTED,
        reason=reason,
        because=because,
        proxy=proxy,
        comparisons=comparisons,
        look=look,
        own=claim.conditions == Conditions() and evidence.study.subject != FIRST,
        blind=SABOTAGE not in evidence.study.controls,
        out_of_reach=reach.words_of(evidence.study, claim),
        metrics=evidence.metrics,
    )
    if effect is None:
        return common
    (low, high), inner = intervals(effect, rule.alpha, comparisons, look)
    common = with_also(then, common, rule.alpha, comparisons, look)
    first = NOT_TESTED if reason else call(claim, effect, p_holm, comparisons, rule.alpha, look)
    found = with_companion(first, common.companion)
    companion = common.also if found != first else None  # the call depends on it
    settling, fewest, most = settling_seeds(claim, effect, companion, found, alpha=rule.alpha / comparisons)
    return replace(
        common,
        call=found,
        first=first if found != first else "",
        effect=effect,
        p_holm=p_holm,
        low=low,
        high=high,
        inner_low=inner[0],
        inner_high=inner[1],
        seeds=settling,
        seeds_low=fewest,
        seeds_high=most,
        draft=not reason and evidence.study.seeds < rule.seeds,
        confounds=confounds(evidence, effect),
        underfits=needs_fit(evidence, claim) and underfits(evidence),
        published_inside=_inside(claim, effect, bool(proxy)),
    )


def _inside(claim: Claim, effect: Effect, proxy: bool) -> str:
    """Tells, in words, whether the published effect, usually of one run per arm, could have been one of our pairs."""
    if claim.published_effect is None:
        return "no number published"
    if effect.unstable:
        return "not comparable (unstable)"
    if effect.kind == MAIN:
        return "not comparable (a main effect)"  # a main effect averages pairs, and a single pair was published
    if proxy:
        return "not comparable (proxy)"
    low, high = prediction_interval(effect.estimate, effect.error, effect.df, effect.spread)
    if not isfinite(low):
        return "no interval"
    return "yes" if low <= claim.published_effect <= high else "no"
