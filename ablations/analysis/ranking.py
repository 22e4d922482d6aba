"""Which changes are clearly better or worse than what they are compared with, allowing for how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, nan

import numpy as np

from ablations.analysis import traces
from ablations.analysis.evidence import lacks_pairs
from ablations.analysis.group_sequential import Look
from ablations.analysis.looks import stage
from ablations.analysis.obstacles import INACTIVE, PAIRS_MISSING
from ablations.analysis.rule import BELOW, CONTRADICTED, DIRECTION_ONLY, NOT_TESTED
from ablations.analysis.statistics import holm
from ablations.analysis.verdict import Verdict
from ablations.analysis.verdicts import Findings
from ablations.core.claim import SAME, metric_of
from ablations.core.effect import Effect
from ablations.core.variant import Departure

BETTER, WORSE, UNDECIDED, NEGLIGIBLE = 1, -1, 0, 2  # the last: no difference that matters


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """An effect on the main outcome, and whether the change is clearly better or worse."""

    effect: Effect
    p_holm: float  # its p-value, adjusted by Holm
    side: int  # BETTER, WORSE, UNDECIDED or NEGLIGIBLE
    inactive: bool = False  # whether the change does nothing, as traces show; its side is then UNDECIDED
    missing: bool = False  # whether too many of its pairs are missing, by the rule; its side is then UNDECIDED
    margin: float = nan  # smallest effect that is of interest to a claim on it, in the metric's unit; nan: no claim


def studied(evidence: Findings) -> list[Effect]:
    """Returns the effects of the study's own estimand on the main outcome, without those of controls."""
    wanted = [one for one in evidence.effects if one.kind == evidence.study.estimand]
    return [one for one in wanted if one.component not in evidence.study.controls]


def ranked(evidence: Findings) -> list[Ranked]:
    """Returns every studied effect, from the most harmful to the most helpful; those without a number come last.

    A change is better or worse if Holm's p is below the rule's alpha.  If there is a verdict on the effect, p is the
    verdict's, adjusted over its family of claims, so that the ranking never contradicts the verdict.  The p-values of
    all other effects are adjusted together.  In a sequential study, those others are compared with the level of the
    look that was reached, while a verdict's p is the repeated one already.  A comparison in which trainings failed is
    undecided, because its mean has no size, unless a verdict tells its direction.  It is undecided too if as many pairs
    are missing as keep a claim from being judged.  An effect is negligible, whatever its p and whichever direction is
    claimed, if every verdict on it excludes effects that matter.
    """
    found, worse = studied(evidence), evidence.study.setting.main_metric.worse
    claimed, alpha, level = _claimed(evidence), evidence.study.rule.alpha, _level(evidence)
    claims = _claims(evidence)
    others = [one for one in found if (one.component, one.level) not in claimed]
    adjusted = {(one.component, one.level): p for one, p in zip(others, holm([one.p for one in others]), strict=True)}
    rows = []
    for one in found:
        departure = one.component, one.level
        p = (claimed | adjusted)[departure]
        given = claims.get(departure, [])
        told = any(map(_tells_direction, given)) if one.unstable else p < (alpha if departure in claimed else level)
        side = _side(one, worse) if told else UNDECIDED
        side = NEGLIGIBLE if given and all(map(_is_negligible, given)) else side
        margin = min((verdict.claim.smallest_effect for verdict in given), default=nan)
        inactive = not one.unstable and traces.inactive(evidence, one)
        missing = not one.unstable and lacks_pairs(evidence, one)
        side = UNDECIDED if inactive or missing else side
        rows.append(Ranked(effect=one, p_holm=p, side=side, inactive=inactive, missing=missing, margin=margin))
    return sorted(rows, key=lambda row: -worse * row.effect.estimate if isfinite(row.effect.estimate) else inf)


def _claimed(evidence: Findings) -> dict[Departure, float]:
    """Returns departure -> Holm's p of the verdict on it, for verdicts on the main outcome and the study's estimand.

    It is nan if no claim was tested because the change is inactive or pairs are missing.  Of several verdicts it is the
    smallest.
    """
    found: dict[Departure, float] = {}
    for one in _on_main(evidence):
        if one.call != NOT_TESTED or one.reason in (INACTIVE, PAIRS_MISSING):
            departure = one.claim.component, one.claim.level
            p = nan if one.call == NOT_TESTED else one.p_holm
            found[departure] = float(np.fmin(found.get(departure, nan), p))  # nan only where both are
    return found


def _claims(evidence: Findings) -> dict[Departure, list[Verdict]]:
    """Returns departure -> the verdicts on its effect on the main outcome."""
    verdicts: dict[Departure, list[Verdict]] = {}
    for one in _on_main(evidence):
        verdicts.setdefault((one.claim.component, one.claim.level), []).append(one)
    return verdicts


def _is_negligible(verdict: Verdict) -> bool:
    """Tells whether a verdict excludes effects of its smallest effect of interest or more, in either direction."""
    return verdict.call != NOT_TESTED and verdict.size == BELOW


def _on_main(evidence: Findings) -> list[Verdict]:
    """Returns the verdicts on the main outcome and the study's own estimand, against the reference."""
    asked = (evidence.metric, evidence.study.estimand, "")
    return [
        one
        for one in evidence.verdicts
        if (metric_of(one.claim, evidence.phase), one.claim.estimand, one.claim.against) == asked
    ]


def _tells_direction(verdict: Verdict) -> bool:
    """Tells whether a verdict on a comparison in which trainings failed is one on its direction."""
    return verdict.claim.direction != SAME and verdict.call in (DIRECTION_ONLY, CONTRADICTED)


def _side(effect: Effect, worse: int) -> int:
    """Returns BETTER or WORSE; `worse` is the sign of an effect that makes the outcome worse."""
    return WORSE if worse * effect.estimate > 0 else BETTER


def _level(evidence: Findings) -> float:
    """Returns the level for effects without a verdict; 0 in a sequential study before its first look."""
    rule = evidence.study.rule
    if not rule.looks:
        return rule.alpha
    taken = stage(evidence).taken
    return Look(number=taken, seeds=rule.looks).level(rule.alpha) if taken else 0.0
