"""The rule that turns the effect behind a claim into a call.  It is fixed in `study.json` before the first trial.

For a claim that the change moves a metric in direction s, with a smallest effect of interest D > 0:

    d        s times the effect, so that d > 0 is as claimed; se its standard error, f its degrees of freedom
    m        the different comparisons that the claims of its family make, tested or not
    [L, U]   d -+ t(1 - alpha / 2m, f) se: intervals that hold all together with probability 1 - alpha (Bonferroni)
    [l, u]   d -+ t(1 - alpha / m, f) se: two one-sided tests at alpha / m (Schuirmann 1987)
    p        of d = 0, two-sided, adjusted by Holm over the m comparisons

    reproduced                              L > D
    reproduced (direction only)             else, d > 0 and p < alpha; its size is excluded where -D < l and u < D
    contradicted                            else, U < -D
    contradicted (no effect of interest)    else, -D < l and u < D
    contradicted                            else, d < 0 and p < alpha
    inconclusive                            else

d is of the seeds at which both arms trained, and so is what a verdict says: how often an arm trains is told beside it.
Where a training of either arm failed (`analysis/failures.py`), the comparison is unstable: its mean has no size, p
is the exact one of flipping the signs of the pairs that are left, and the rule is

    reproduced (direction only)             d > 0 and p < alpha, and the arm that does worse does not fail less often
    contradicted                            d < 0 and the same
    inconclusive                            else, and for every claim of sameness

Two kinds of statement, on the direction and on the size, each wrong anywhere in the family with probability
alpha at most.  Holm's procedure tells directions only: the intervals that would go with it say no more of a rejected
claim than its direction (Strassburger and Bretz 2008), so sizes are judged on simultaneous intervals.

For a claim of sameness, that the change leaves the metric as it is, d is the effect itself:

    reproduced      -D < l and u < D, be d different from 0 or not: what differs by less than D is the same
    contradicted    else, L > D or U < -D
    inconclusive    else

A claim with a companion asks for two things, a larger gap and a larger error, say.  The second is a comparison of its
own, and counts in m.  It is shown where its [L, U] lies above 0, and refuted where it lies below.  Both things have to
be shown (an intersection-union test: Berger 1982, Technometrics 24:295), so that a call of reproduced becomes
inconclusive while the second is open; and who refutes one of the two has refuted the claim.

A sequential study replaces each level by that of the look at which a claim stands, and each p by the repeated one
(`ablations/analysis/group_sequential.py`), so that neither kind of error grows with the looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite, nan

from ablations.analysis.failures import agrees
from ablations.analysis.group_sequential import Look
from ablations.analysis.statistics import holm, seeds_to_detect, seeds_to_exclude, t_interval
from ablations.core.claim import SAME, Claim
from ablations.core.effect import Effect

REPRODUCED, DIRECTION_ONLY, CONTRADICTED, NO_EFFECT, INCONCLUSIVE, NOT_TESTED = CALLS = (
    "reproduced",
    "reproduced (direction only)",
    "contradicted",
    "contradicted (no effect of interest)",
    "inconclusive",
    "not tested",
)
AT_SCALE = {
    REPRODUCED: "same direction at this scale",
    DIRECTION_ONLY: "same direction at this scale",
    CONTRADICTED: "opposite at this scale",
    NO_EFFECT: "no difference that matters",
    INCONCLUSIVE: "cannot tell yet",
    NOT_TESTED: NOT_TESTED,
}
ABOVE, BELOW, OPEN = "above", "below", "open"  # an effect's size beside the smallest of interest
SHOWN, REFUTED = "shown", "refuted"  # a claim's companion, where it is not open

Interval = tuple[float, float]


def call(claim: Claim, effect: Effect, p_holm: float, comparisons: int, alpha: float, look: Look | None = None) -> str:
    """The rule itself for what a claim says first: one of CALLS but NOT_TESTED."""
    margin = claim.smallest_effect
    if effect.unstable:
        return _unstable(claim.direction * effect.estimate, p_holm < alpha and agrees(effect))
    if claim.direction == SAME:
        return _sameness(*intervals(effect, alpha, comparisons, look), margin)
    d = claim.direction * effect.estimate
    (low, high), inner = intervals(replace(effect, estimate=d), alpha, comparisons, look)
    found = p_holm < alpha
    if low > margin:
        return REPRODUCED
    if d > 0 and found:
        return DIRECTION_ONLY
    if high < -margin or (d < 0 and found and not _within(inner, margin)):
        return CONTRADICTED
    return NO_EFFECT if _within(inner, margin) else INCONCLUSIVE


def _unstable(d: float, told: bool) -> str:
    """The call where trainings failed; `told` says whether the direction of d can be told."""
    if not told or d == 0:
        return INCONCLUSIVE
    return DIRECTION_ONLY if d > 0 else CONTRADICTED


def _sameness(outer: Interval, inner: Interval, margin: float) -> str:
    if _within(inner, margin):
        return REPRODUCED
    return CONTRADICTED if outer[0] > margin or outer[1] < -margin else INCONCLUSIVE


def with_companion(found: str, companion: str) -> str:
    """The call on both things that a claim says, from that on the first and what became of the second."""
    if companion == REFUTED:
        return found if found in (NO_EFFECT, NOT_TESTED) else CONTRADICTED
    if companion == OPEN and found in (REPRODUCED, DIRECTION_ONLY):
        return INCONCLUSIVE
    return found


def companion_state(direction: int, low: float, high: float) -> str:
    """SHOWN, REFUTED or OPEN, from the direction that was claimed and the simultaneous interval of the effect."""
    if not (isfinite(low) and isfinite(high)) or low <= 0 <= high:
        return OPEN
    return SHOWN if (low > 0) == (direction > 0) else REFUTED


def size_of(outer: Interval, inner: Interval, margin: float) -> str:
    """ABOVE, BELOW or OPEN: whether an effect either way is known to be larger or smaller than `margin`."""
    if outer[0] > margin or outer[1] < -margin:
        return ABOVE
    return BELOW if _within(inner, margin) else OPEN


def at_scale(call: str, size: str, *, same: bool, partly: bool) -> str:
    """What a call comes to of a study that stands in for the one that the claim is about: it refutes no claim.

    `same` are claims of sameness; `partly` that the claim's other half alone is refuted.
    """
    if call == CONTRADICTED and (same or partly):
        return "a difference at this scale" if same else "only in part at this scale"
    if call == DIRECTION_ONLY and size == BELOW:
        return f"{AT_SCALE[call]}, less than claimed"
    return AT_SCALE[NO_EFFECT if same and call == REPRODUCED else call]


def words_of(call: str, size: str, *, out_of_reach: bool) -> str:
    """A call with what else a reader has to know: of a direction what is known of its size."""
    if call == DIRECTION_ONLY:
        return f"{call[:-1]}, size {'excluded' if size == BELOW else 'open'})"
    return f"{call} (out of reach)" if call == INCONCLUSIVE and out_of_reach else call


def adjust(claims: Sequence[Claim], effects: Sequence[Effect | None]) -> list[tuple[float, int]]:
    """For each claim Holm's p over its family, and the number of different comparisons in it.

    Claims that ask the same question count once; one that cannot be tested counts, as if its p were 1, and so does
    a companion that no claim of the family asks about first.
    """
    families: dict[str, dict[tuple[object, ...], float]] = {}
    for claim, effect in zip(claims, effects, strict=True):
        families.setdefault(claim.family, {})[claim.asks] = effect.p if effect else nan
    for claim in claims:
        for question in claim.questions:
            families[claim.family].setdefault(question, nan)
    adjusted = {
        (family, asked): (p, len(questions))
        for family, questions in families.items()
        for asked, p in zip(questions, holm(list(questions.values())), strict=True)
    }
    return [adjusted[claim.family, claim.asks] for claim in claims]


def seeds_for_sameness(effect: Effect, margin: float, level: float) -> int | None:
    """Pairs that exclude an effect of `margin` where there is none, and tell on which side of it the one seen lies."""
    beyond = abs(effect.estimate) - margin
    if beyond > 0:
        return seeds_to_detect(beyond, effect.spread, level, effect.overlap)
    needed = [
        seeds_to_exclude(margin, effect.spread, level, effect.overlap),
        seeds_to_detect(-beyond, effect.spread, 2 * level, effect.overlap),
    ]
    known = [n for n in needed if n is not None]
    return max(known) if len(known) == len(needed) else None


def intervals(effect: Effect, alpha: float, comparisons: int, look: Look | None) -> tuple[Interval, Interval]:
    """The simultaneous interval of an effect, and that of the two one-sided tests."""
    levels = [look.level(level) if look else level for level in (alpha / comparisons, 2 * alpha / comparisons)]
    one, two = (t_interval(effect.estimate, effect.error, effect.df, 1 - level) for level in levels)
    return one, two


def _within(inner: Interval, margin: float) -> bool:
    return -margin < inner[0] and inner[1] < margin
