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

d is over the seeds under which both arms trained.  So a verdict is about these seeds, and how often each arm trains is
reported beside it.  If a training of either arm failed (`analysis/failures.py`), the comparison is unstable.  Its size
is then not judged, p is the exact p of flipping the signs of the pairs that are left, and the rule is

    reproduced (direction only)             d > 0 and p < alpha, and the arm that does worse does not fail less often
    contradicted                            d < 0 and the same
    inconclusive                            else, and for every claim of sameness

If all pairs differ by the same, there is no interval, and p is the exact p of flipping their signs: from six pairs on
it can tell a direction at an alpha of .05.  Fewer pairs tell nothing, and a claim of sameness is then not tested.

There are two kinds of statement, on the direction and on the size.  The probability that any statement of one kind is
wrong anywhere in the family is at most alpha.  Holm's procedure tells only directions: the simultaneous confidence
intervals that belong to it say no more of a rejected hypothesis than its direction (Strassburger and Bretz 2008).  So
sizes are judged by Bonferroni's intervals.

For a claim of sameness, that the change leaves the metric as it is, d is the effect itself:

    reproduced      -D < l and u < D, whether or not d differs from 0: a difference of less than D counts as the same
    contradicted    else, L > D or U < -D
    inconclusive    else

A claim with a companion says two things, for example that the gap and the error both grow.  The second is a comparison
of its own and counts in m.  It is shown if its [L, U] is above 0, and refuted if its [L, U] is below 0.  Both things
have to be shown (an intersection-union test: Berger 1982, Technometrics 24:295).  So a call of reproduced becomes
inconclusive as long as the second thing is open, and the claim is contradicted if either thing is refuted.

In a sequential study, each level is that of the look at which a claim has its verdict, and each p is the repeated
p-value (`ablations/analysis/group_sequential.py`), so that more looks do not make errors more likely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite, nan

import numpy as np

from ablations.analysis.failures import agrees
from ablations.analysis.group_sequential import Look
from ablations.analysis.statistics import holm, t_interval
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
ABOVE, BELOW, OPEN = "above", "below", "open"  # an effect's size, relative to the smallest effect of interest
SHOWN, REFUTED = "shown", "refuted"  # what became of a claim's companion, which may also be OPEN

Interval = tuple[float, float]


def call(claim: Claim, effect: Effect, p_holm: float, comparisons: int, alpha: float, look: Look | None = None) -> str:
    """Applies the rule, without a claim's companion: returns one of CALLS, but never NOT_TESTED."""
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
    """Returns the call if trainings failed; `told` says whether the direction of d is significant."""
    if not told or d == 0:
        return INCONCLUSIVE
    return DIRECTION_ONLY if d > 0 else CONTRADICTED


def _sameness(outer: Interval, inner: Interval, margin: float) -> str:
    """Returns the call on a claim of sameness."""
    if _within(inner, margin):
        return REPRODUCED
    return CONTRADICTED if outer[0] > margin or outer[1] < -margin else INCONCLUSIVE


def with_companion(found: str, companion: str) -> str:
    """Returns the call on a claim, from the call on the first thing that it says and the state of its companion."""
    if companion == REFUTED:
        return found if found in (NO_EFFECT, NOT_TESTED) else CONTRADICTED
    if companion == OPEN and found in (REPRODUCED, DIRECTION_ONLY):
        return INCONCLUSIVE
    return found


def companion_state(direction: int, low: float, high: float) -> str:
    """Returns SHOWN, REFUTED or OPEN, from the claimed direction and the simultaneous interval of the effect."""
    if not (isfinite(low) and isfinite(high)) or low <= 0 <= high:
        return OPEN
    return SHOWN if (low > 0) == (direction > 0) else REFUTED


def size_of(outer: Interval, inner: Interval, margin: float) -> str:
    """Returns ABOVE or BELOW if the absolute effect is known to be larger or smaller than `margin`, otherwise OPEN."""
    if outer[0] > margin or outer[1] < -margin:
        return ABOVE
    return BELOW if _within(inner, margin) else OPEN


def at_scale(call: str, size: str, *, same: bool, partly: bool) -> str:
    """Returns the words for a call of a proxy study, which cannot refute the claim itself.

    `same` says whether it is a claim of sameness, and `partly` whether only the claim's companion is refuted.
    """
    if call == CONTRADICTED and (same or partly):
        return "a difference where none was claimed" if same else "only in part at this scale"
    if call == DIRECTION_ONLY and size == BELOW:
        return f"{AT_SCALE[call]}, less than claimed"
    return AT_SCALE[NO_EFFECT if same and call == REPRODUCED else call]


def words_of(call: str, size: str, *, out_of_reach: bool) -> str:
    """Returns a call in words, with what is known of the size if only a direction is reproduced."""
    if call == DIRECTION_ONLY:
        return f"{call[:-1]}, size {'excluded' if size == BELOW else 'open'})"
    return f"{call} (out of reach)" if call == INCONCLUSIVE and out_of_reach else call


def adjust(claims: Sequence[Claim], effects: Sequence[Effect | None]) -> list[tuple[float, int]]:
    """Returns for each claim its p, adjusted by Holm over its family, and the number of comparisons of that family.

    Claims that ask the same question count once.  They may have p-values of different looks, or only one of them may be
    tested: then each has its own, beside the largest of every other question.  A claim that cannot be tested counts as
    if its p were 1, and so does a companion that no claim of the family asks about by itself.
    """
    families: dict[str, dict[tuple[object, ...], float]] = {}
    values = [effect.p if effect else nan for effect in effects]
    for claim, p in zip(claims, values, strict=True):
        questions = families.setdefault(claim.family, {})
        for question in claim.questions:
            questions.setdefault(question, nan)
        questions[claim.asks] = float(np.fmax(questions[claim.asks], p))  # nan only where both are
    found = []
    for claim, p in zip(claims, values, strict=True):
        questions = {**families[claim.family], claim.asks: p}
        adjusted = dict(zip(questions, holm(list(questions.values())), strict=True))
        found.append((adjusted[claim.asks], len(questions)))
    return found


def intervals(effect: Effect, alpha: float, comparisons: int, look: Look | None) -> tuple[Interval, Interval]:
    """Returns the simultaneous interval of an effect, [L, U] above, and that of the two one-sided tests, [l, u]."""
    levels = [look.level(level) if look else level for level in (alpha / comparisons, 2 * alpha / comparisons)]
    one, two = (t_interval(effect.estimate, effect.error, effect.df, 1 - level) for level in levels)
    return one, two


def _within(inner: Interval, margin: float) -> bool:
    """Tells whether the two one-sided tests exclude effects of `margin` or more; False if the interval is nan."""
    return -margin < inner[0] and inner[1] < margin
