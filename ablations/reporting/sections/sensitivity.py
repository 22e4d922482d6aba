"""Sentences on what a study could have seen, from its mild sabotage and its placebo."""

from __future__ import annotations

from math import isfinite

from ablations.analysis.gates import control_effect, effect_words
from ablations.analysis.verdicts import Findings
from ablations.core.claim import metric_of
from ablations.core.load import MILD, PLACEBO
from ablations.core.text import counted
from ablations.core.units import between, in_unit, is_ratio, margin


def sensitivity(evidence: Findings) -> str:
    """Returns a sentence on whether the study sees 5% shuffled labels; empty if it has no mild sabotage."""
    effect = control_effect(evidence, MILD)
    if effect is None or evidence.study.setting.races:
        return ""
    found = effect_words(evidence, effect)
    if not isfinite(effect.p):
        return f"Sensitivity: whether this study would have seen 5% of the labels shuffled cannot be told: it {found}."
    if evidence.main_metric.worse * effect.estimate > 0 and effect.p < evidence.study.rule.sabotage_alpha:
        return f"Sensitivity: this study would have seen 5% of the labels shuffled: {found}."
    return (
        f"Sensitivity: this study cannot tell 5% of the labels shuffled from nothing: {found}. Effects of that size "
        "are beyond it."
    )


def placebo_reach(evidence: Findings) -> str:
    """Returns the placebo's interval beside the smallest effect of interest of a claim on the main metric.

    A placebo without a significant effect does not show that other random draws change nothing: only a narrow interval
    does.  The text is empty if there is no placebo, no interval or no such claim.
    """
    effect = control_effect(evidence, PLACEBO)
    claims = [one for one in evidence.study.claims if metric_of(one, evidence.phase) == evidence.metric]
    if effect is None or not isfinite(effect.low) or not claims or evidence.study.setting.races:
        return ""
    metric, noun = evidence.main_metric, evidence.main_metric.noun
    finest = min(claims, key=lambda one: one.smallest_effect)
    least = margin(metric, finest.smallest_effect) if is_ratio(metric) else f"{finest.smallest_effect:g}"
    words = (
        f"The placebo's effect lies in {in_unit(metric, between(metric, effect.low, effect.high))}; the smallest "
        f"effect of interest among the claims on this {noun} is {least} ({finest.name})."
    )
    wide = sum(max(-effect.low, effect.high) >= one.smallest_effect for one in claims)
    if not wide:
        return f"{words} The interval is narrower: other random draws alone do nothing of that size."
    return (
        f"{words} The interval is wider: it does not exclude that other random draws alone do as much as is of "
        f"interest in {wide} of {counted(len(claims), 'claim')}. A placebo that is not detected is no proof of "
        "equality."
    )
