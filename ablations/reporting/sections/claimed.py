"""What claims say and how verdicts on them are counted, in words that the other sections share."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from ablations.analysis.rule import CONTRADICTED, INCONCLUSIVE, OPEN, REFUTED, REPRODUCED, SHOWN
from ablations.analysis.verdict import Verdict
from ablations.core import units
from ablations.core.claim import RAISES, SAME, Claim
from ablations.core.text import MINUS, MISSING
from ablations.core.units import between, in_unit, size

WAYS = {1: "higher", -1: "lower", 0: "no difference"}  # that a claim may say, by its direction


def margin(verdict: Verdict) -> str:
    """`0.5 points`, `1 point`, `a factor of 2`: the smallest effect of interest."""
    return units.margin(verdict.metric, verdict.claim.smallest_effect)


def expected(claim: Claim) -> str:
    """`raises train_loss after epoch 1`, `leaves test_loss the same`, `raises gap_percent, and raises test_loss`."""
    early = f" after epoch {claim.epoch}" if claim.epoch else ""
    also = f", and {claim.also}" if claim.also else ""
    if claim.direction == SAME:
        return f"leaves {claim.metric}{early} the same{also}"
    return f"{'raises' if claim.direction == RAISES else 'lowers'} {claim.metric}{early}{also}"


def also_measured(verdict: Verdict) -> str:
    """`+1.20 [+0.90, +1.50] points`: what was measured of the claim's companion; a dash without one."""
    also, metric = verdict.also, verdict.also_metric
    if verdict.claim.companion is None or also is None or not isfinite(also.estimate):
        return MISSING
    bounds = between(metric, verdict.also_low, verdict.also_high)
    return in_unit(metric, f"{size(metric, also.estimate)} {bounds}")


def second_words(verdict: Verdict) -> str:
    """What came of the second thing that a claim says, in a sentence; empty where it says one thing."""
    asked = verdict.claim.companion
    if asked is None or verdict.also is None:
        return ""
    name, way, found = verdict.also_metric.words, WAYS[asked.direction], also_measured(verdict)
    return {
        SHOWN: f"The {name} came out {way} too, as the claim has it: {found}.",
        REFUTED: f"The claim says that the {name} is {way} too, and it is not: {found}.",
        OPEN: f"Whether the {name} is {way} too, as the claim has it, is open: {found}.",
    }[verdict.companion]


def other_kinds(claims: Sequence[Claim]) -> list[tuple[str, str]]:
    """Lines of the rule for claims of sameness and claims that say two things, where there are any."""
    rows = []
    if any(claim.direction == SAME for claim in claims):
        rows += [
            (f"of sameness: {REPRODUCED}", f"{MINUS}δ < l and u < δ, with d the effect itself; whatever p is"),
            (f"of sameness: {CONTRADICTED}", f"otherwise L > δ or U < {MINUS}δ"),
            (f"of sameness: {INCONCLUSIVE}", "otherwise"),
        ]
    if any(claim.companion for claim in claims):
        rows += [
            ("of two things", "the second is a comparison of its own: shown where its [L, U] lies on the claimed side "
             "of zero, refuted where on the other"),
            (f"of two things: {CONTRADICTED}", "the second is refuted, or the first is contradicted"),
            (f"of two things: {INCONCLUSIVE}", "the first alone would be reproduced, and the second is open"),
        ]  # fmt: skip
    return rows
