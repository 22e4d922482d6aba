"""What would change a verdict, for the card of a claim."""

from __future__ import annotations

from ablations.analysis.failures import share_interval
from ablations.analysis.obstacles import (
    CENSORED,
    FAILS,
    GATE,
    INACTIVE,
    NO_ARM,
    NO_PAIR,
    NO_SPREAD,
    ONE_SEED,
    PAIRS_MISSING,
    UNDERFITS,
    UNMEASURED,
    UNTUNED,
)
from ablations.analysis.rule import DIRECTION_ONLY, INCONCLUSIVE, NO_EFFECT, NOT_TESTED, REFUTED, REPRODUCED
from ablations.analysis.seeds_needed import MANY_SEEDS
from ablations.analysis.verdict import Verdict
from ablations.core.claim import SAME
from ablations.core.text import counted
from ablations.core.units import is_ratio, size
from ablations.reporting.sections.claimed import WAYS, margin

STEADY = "A recipe by which every training of both arms trains; no number of seeds can be given for this one."
REMEDIES = {  # why a claim was not tested -> what would change that
    NO_ARM: "A study that makes this change.",
    NO_PAIR: "Finished trials.",
    ONE_SEED: "More seeds: --seeds 10.",
    GATE: "A study that passes its gates.",
    PAIRS_MISSING: "Its missing trials.",
    INACTIVE: "A preset or data on which the component does something.",
    NO_SPREAD: "Pairs that do not all differ by the same, by a finer metric or more evaluation data.",
    CENSORED: "A longer budget, in which every trial arrives.",
    UNDERFITS: "A study that fits its training images: more epochs, or fewer images.",
    FAILS: "A recipe by which both arms train.",
    UNMEASURED: "A finished reference whose activities are recorded.",
    UNTUNED: "A study that tunes the learning rate of each arm: --tune 7.",
}


def changes_it(verdict: Verdict) -> str:
    """Returns what would bring about another verdict, in a sentence."""
    least = margin(verdict)
    if verdict.call == NOT_TESTED and verdict.reason == NO_SPREAD:
        return f"{_unlike(verdict)} Here {verdict.because}."
    if verdict.call == NOT_TESTED:
        return f"{REMEDIES.get(verdict.reason, '')} Here {verdict.because}."
    if verdict.unstable:
        return STEADY
    if verdict.effect and verdict.effect.constant and not verdict.first:
        return REMEDIES[NO_SPREAD]
    return _changes_it(verdict, least)


def _unlike(verdict: Verdict) -> str:
    """Returns what would judge a claim whose pairs all differ by the same.

    More of such pairs tell a direction by flipping their signs, unless they are splits that overlap.
    """
    effect = verdict.effect
    tells = effect is not None and effect.constant and effect.estimate != 0 and effect.overlap == 0
    if verdict.claim.direction == SAME or not tells:
        return REMEDIES[NO_SPREAD]
    return f"{REMEDIES[NO_SPREAD].removesuffix('.')}; for a direction, more pairs are enough."


def _changes_it(verdict: Verdict, least: str) -> str:
    """Returns the same for a claim that was tested, and of whose trainings none failed."""
    claim = verdict.claim
    if verdict.first:
        return _second(verdict)
    if verdict.call == INCONCLUSIVE:
        return _would_decide(verdict)
    if verdict.call == NO_EFFECT or (claim.direction == SAME and verdict.call == REPRODUCED):
        return f"An effect beyond {least} either way, which these seeds exclude{_unseen(verdict)}."
    if verdict.call == DIRECTION_ONLY and verdict.size_known:
        return f"Nothing by more seeds: its direction holds, and a size of {least} is excluded."
    if not verdict.size_known:
        return f"{_seeds(verdict, f'tell whether its size reaches {least}')}."
    nearest = min(verdict.low, verdict.high, key=abs)
    none = "1" if is_ratio(verdict.metric) else "zero"
    return f"An interval that comes nearer to {none} than {least}; it now ends at {size(verdict.metric, nearest)}."


def _unseen(verdict: Verdict) -> str:
    """Returns how often trainings may fail unseen, from how many did not; empty if that is not known."""
    if verdict.effect is None or not min(verdict.effect.ended):
        return ""
    low = min(share_interval(*arm)[0] for arm in zip(verdict.effect.trained, verdict.effect.ended, strict=True))
    return f" where both arms train; up to {1 - low:.0%} of trainings may fail unseen"


def _seeds(verdict: Verdict, what: str) -> str:
    """Returns how many seeds would do `what`: `9 to 60 seeds would find ...`, or why no number can be given."""
    low, high = verdict.seeds_low, verdict.seeds_high
    if (
        verdict.effect is not None
        and verdict.effect.overlap > 0
        and (verdict.seeds is None or verdict.seeds > MANY_SEEDS)
    ):
        return f"More data, as more splits of these would hardly {what}: their overlap leaves a floor to the error"
    if low is None or low > MANY_SEEDS:
        return f"Over {MANY_SEEDS} seeds would {what}"
    more = verdict.effect.n + 1 if verdict.effect else 0  # a number is named only if it is more than there are
    low = max(low, more)
    if high is None or high > MANY_SEEDS:
        return f"More seeds would {what}, and those there are do not tell how many: {low} or more"
    high = max(high, low)
    return f"{low} to {high} seeds would {what}" if low < high else f"{counted(low, 'seed')} would {what}"


def _would_decide(verdict: Verdict) -> str:
    """Returns what more seeds would do for an inconclusive claim."""
    least = margin(verdict)
    what = f"tell whether it stays below {least}"
    if verdict.claim.direction != SAME:
        what = f"find an effect of {least}, or exclude it"
    reach = f" That is out of reach, as was declared before the first trial: {verdict.out_of_reach} by the prior."
    return f"{_seeds(verdict, what)}.{reach if verdict.out_of_reach else ''}"


def _second(verdict: Verdict) -> str:
    """Returns what would change a verdict that depends on the second part of its claim."""
    asked = verdict.claim.companion
    assert asked
    way = WAYS[asked.direction]
    if verdict.companion == REFUTED:
        return f"A {verdict.also_metric.words} that comes out {way} with the change."
    what = f"tell whether the {verdict.also_metric.words} is {way} too, were it to differ by as much as it did"
    return f"{_seeds(verdict, what)}."
