"""Which changes are clearly better or worse than what they are compared with, allowing for how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

from ablations.analysis.asked import rule_of
from ablations.analysis.evidence import Evidence
from ablations.analysis.group_sequential import Look
from ablations.analysis.looks import stage
from ablations.analysis.statistics import holm
from ablations.core.effect import Effect

BETTER, WORSE, UNDECIDED = 1, -1, 0


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """An effect on the main outcome, Holm's p over all of them, and which side that puts it on."""

    effect: Effect
    p_holm: float  # nan where nothing can be tested
    side: int  # BETTER, WORSE or UNDECIDED


def studied(evidence: Evidence) -> list[Effect]:
    """The effects of the study's own estimand on the main outcome, but for controls, which are no results."""
    wanted = [one for one in evidence.effects if one.kind == evidence.study.estimand]
    return [one for one in wanted if one.component not in evidence.study.controls]


def ranked(evidence: Evidence) -> list[Ranked]:
    """Every studied effect, from the one that does most harm to the one that helps most; those without a number last.

    A side is taken where Holm's p over all of them is below the rule's alpha, in a sequential study below its level at
    the look that was reached.  A comparison in which trainings failed takes none: its mean has no size.
    """
    found, level, worse = studied(evidence), _level(evidence), evidence.study.setting.main_metric.worse
    rows = [
        Ranked(effect=one, p_holm=p, side=_side(one, p, level, worse))
        for one, p in zip(found, holm([one.p for one in found]), strict=True)
    ]
    return sorted(rows, key=lambda row: -worse * row.effect.estimate if isfinite(row.effect.estimate) else inf)


def _side(effect: Effect, p: float, level: float, worse: int) -> int:
    if effect.unstable or not p < level:
        return UNDECIDED
    return WORSE if worse * effect.estimate > 0 else BETTER


def _level(evidence: Evidence) -> float:
    rule = rule_of(evidence.study)
    if not rule.looks:
        return rule.alpha
    taken = stage(evidence).taken
    return Look(number=taken, seeds=rule.looks).level(rule.alpha) if taken else 0.0
