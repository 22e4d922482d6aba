"""Claims and the two parts of a claim in words that several sections share."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from ablations.analysis.rule import CONTRADICTED, INCONCLUSIVE, OPEN, REFUTED, REPRODUCED, SHOWN
from ablations.analysis.verdict import Verdict
from ablations.analysis.verdicts import Findings
from ablations.core import units
from ablations.core.claim import RAISES, SAME, Claim
from ablations.core.result import LOG_STEPS
from ablations.core.text import MINUS, MISSING
from ablations.core.units import between, in_unit, size

WAYS = {1: "higher", -1: "lower", 0: "no difference"}  # what a claim says, by its direction


def margin(verdict: Verdict) -> str:
    """Writes the smallest effect of interest: `0.5 points`, `1 point`, `a factor of 2`."""
    return units.margin(verdict.metric, verdict.claim.smallest_effect)


def expected(claim: Claim) -> str:
    """Writes what a claim expects: `raises train_loss after epoch 1`, `leaves test_loss the same`."""
    early = f" after epoch {claim.epoch}" if claim.epoch else ""
    also = f", and {claim.also}" if claim.also else ""
    if claim.direction == SAME:
        return f"leaves {claim.metric}{early} the same{also}"
    return f"{'raises' if claim.direction == RAISES else 'lowers'} {claim.metric}{early}{also}"


def also_measured(verdict: Verdict) -> str:
    """Writes the effect on a claim's second metric: `+1.20 [+0.90, +1.50] points`; a dash if it names none."""
    also, metric = verdict.also, verdict.also_metric
    if verdict.claim.companion is None or also is None or not isfinite(also.estimate):
        return MISSING
    bounds = between(metric, verdict.also_low, verdict.also_high)
    return in_unit(metric, f"{size(metric, also.estimate)} {bounds}")


def second_words(verdict: Verdict) -> str:
    """Returns a sentence on the second part of a claim; empty if the claim has one part."""
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
    """Returns further lines of the rule: for claims of sameness and for claims of two parts, if there are any."""
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


def besides(evidence: Findings) -> str:
    """Returns the end of the rule's line on `not tested`, with what only some of the study's claims require."""
    claims = [verdict.claim for verdict in evidence.verdicts]
    words = "; of arms that each have their own learning rate, also where they lack rates of their own"
    censored = "; of steps, also where trials ended before they arrived"
    return words * any(one.tuned for one in claims) + censored * any(one.metric == LOG_STEPS for one in claims)
