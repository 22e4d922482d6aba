"""What claims say and how verdicts on them are counted, in words that the other sections share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import exp, isfinite

from ablations.analysis.rule import CALLS, CONTRADICTED, INCONCLUSIVE, NOT_TESTED, OPEN, REFUTED, REPRODUCED, SHOWN
from ablations.analysis.verdicts import Verdict
from ablations.core.claim import RAISES, SAME, Claim, compared, label_of
from ablations.core.text import MINUS, MISSING, counted, interval, signed
from ablations.reporting.document import listed
from ablations.subjects.alexnet.metrics import LOGS, METRICS, NATS

NAMES = {  # of metrics, in words
    "test_top1_error_percent": "top-1 error",
    "test_top5_error_percent": "top-5 error",
    "test_loss": "loss",
    "train_loss": "training loss",
    "train_top1_error_percent": "training error, as training saw it,",
    "clean_train_top1_error_percent": "training error",
    "gap_percent": "gap between test and training error",
    "log_steps_to_threshold": "steps to the threshold",
}
WAYS = {1: "higher", -1: "lower", 0: "no difference"}  # that a claim may say, by its direction


def by_comparison(judged: Sequence[Verdict]) -> str:
    """How many comparisons came to which verdict: `Of 2 comparisons with 4 claims: 1 inconclusive and 1 contradicted.`.

    Several claims on one comparison are no further evidence, so it counts once, by those of them that were tested.
    """
    found: dict[tuple[tuple[str, str], ...], list[Verdict]] = {}
    for verdict in judged:
        found.setdefault(compared(verdict.claim), []).append(verdict)
    alike: Counter[str] = Counter()
    differing = []
    for verdicts in found.values():
        ranked = sorted(verdicts, key=lambda one: CALLS.index(one.call))
        words = list(dict.fromkeys(one.words for one in ranked if one.call != NOT_TESTED)) or [NOT_TESTED]
        if len(words) == 1:
            alike[words[0]] += 1
        else:
            differing.append(f"{label_of(ranked[0].claim)}: {listed(words)}")
    order = list(dict.fromkeys(one.words for one in sorted(judged, key=lambda one: CALLS.index(one.call))))
    parts = [f"{alike[words]} {words}" for words in order if alike[words]]
    parts += [f"{len(differing)} on which verdicts differ ({'; '.join(differing)})"] * bool(differing)
    return f"Of {counted(len(found), 'comparison')} with {counted(len(judged), 'claim')}: {listed(parts)}."


def is_ratio(claim: Claim) -> bool:
    """Whether the claim's effect is the logarithm of a ratio, which a reader is told as the ratio."""
    return METRICS[claim.metric] == LOGS


def digits(claim: Claim) -> int:
    """After the point, in the metric's unit."""
    return 3 if METRICS[claim.metric] == NATS else 2


def size(claim: Claim, value: float) -> str:
    """A signed number of the metric's unit, or a ratio."""
    return f"{exp(value):.2f}" if is_ratio(claim) else signed(value, digits(claim))


def margin(claim: Claim) -> str:
    """`0.5 points`, `1 point`, `a factor of 2`."""
    if is_ratio(claim):
        return f"a factor of {exp(claim.smallest_effect):.2g}"
    unit = METRICS[claim.metric]
    return f"{claim.smallest_effect:g} {unit.removesuffix('s') if claim.smallest_effect == 1 else unit}"


def expected(claim: Claim) -> str:
    """`raises train_loss after epoch 1`, `leaves test_loss the same`, `raises gap_percent, and raises test_loss`."""
    early = f" after epoch {claim.epoch}" if claim.epoch else ""
    also = f", and {claim.also}" if claim.also else ""
    if claim.direction == SAME:
        return f"leaves {claim.metric}{early} the same{also}"
    return f"{'raises' if claim.direction == RAISES else 'lowers'} {claim.metric}{early}{also}"


def between(claim: Claim, low: float, high: float) -> str:
    """`[-12.77, +13.70]`, or of logarithms `[1.53, 1.76]`."""
    if is_ratio(claim):
        return interval(exp(low), exp(high), sign=False)
    return interval(low, high, digits=digits(claim))


def also_measured(verdict: Verdict) -> str:
    """`+1.20 [+0.90, +1.50] points`: what was measured of the claim's companion; a dash without one."""
    asked, also = verdict.claim.companion, verdict.also
    if asked is None or also is None or not isfinite(also.estimate):
        return MISSING
    unit = "times" if is_ratio(asked) else METRICS[asked.metric]
    return f"{size(asked, also.estimate)} {between(asked, verdict.also_low, verdict.also_high)} {unit}"


def second_words(verdict: Verdict) -> str:
    """What came of the second thing that a claim says, in a sentence; empty where it says one thing."""
    asked = verdict.claim.companion
    if asked is None or verdict.also is None:
        return ""
    name, way, found = NAMES[asked.metric], WAYS[asked.direction], also_measured(verdict)
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
