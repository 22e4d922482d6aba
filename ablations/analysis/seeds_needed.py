"""How many seeds would settle a claim, and how well that number is known: it follows from a scatter of few seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ablations.analysis.rule import CONTRADICTED, DIRECTION_ONLY, INCONCLUSIVE
from ablations.analysis.statistics import most_of, seeds_to_detect, seeds_to_exclude, spread_interval
from ablations.core.claim import SAME, Claim
from ablations.core.effect import Effect

MANY_SEEDS = 500  # a larger number of seeds is reported as too many, because nobody would train them


def seeds_between(
    seeds: Callable[[Effect], int | None], effect: Effect, margin: float | None
) -> tuple[int | None, int | None]:
    """Returns the 95% interval of `seeds(effect)`; None stands for too many, or for a number that is not asked for.

    It follows from the interval of the scatter (chi-square).  If `margin` is given, the seeds depend on how far the
    effect is from the margin, so the interval of the effect counts as well: an effect that may lie at the margin may
    need any number of seeds.
    """
    estimates = [effect.estimate] * 2
    if margin is not None:
        sizes = sorted((abs(effect.low), abs(effect.high)), key=lambda size: abs(size - margin))
        across = min(sizes) <= margin <= max(sizes) or effect.low <= 0 <= effect.high
        estimates = [sizes[1], margin if across else sizes[0]]
    spreads = spread_interval(effect.spread, effect.df)
    low, high = (
        seeds(replace(effect, estimate=estimate, spread=spread))
        for estimate, spread in zip(estimates, spreads, strict=True)
    )
    return low, high


def settling_seeds(
    claim: Claim, effect: Effect, companion: Effect | None, found: str, *, alpha: float
) -> tuple[int | None, int | None, int | None]:
    """Returns the seeds that would settle a claim at `alpha`, and the lower and upper end of their 95% interval.

    `found` is the call so far.  `companion` is the effect of the claim's companion if the call depends on it: more
    seeds would then tell the direction of that effect.
    """

    def own(effect: Effect) -> int | None:
        return seeds_to_settle(claim, effect, found, alpha)

    def of_companion(also: Effect) -> int | None:
        return seeds_to_detect(abs(also.estimate), also.spread, alpha, also.overlap)

    if companion:
        return of_companion(companion), *seeds_between(of_companion, companion, 0.0)
    open_size = claim.smallest_effect if found in (DIRECTION_ONLY, CONTRADICTED) else None
    return own(effect), *seeds_between(own, effect, open_size)


def seeds_to_settle(claim: Claim, effect: Effect, verdict: str, alpha: float) -> int | None:
    """Returns the seeds that would settle what a call leaves open, with power 0.8 and the scatter that was measured.

    If the claim is inconclusive, they find an effect of the smallest size of interest, and exclude one of that size if
    there is none.  If only the direction is known, they place the effect that was seen above or below that size.  For a
    claim of sameness see `_for_sameness`.  None: nothing is open, the number is beyond 10,000, or trainings
    failed.  After failures it is not known, because the scatter of other trainings does not tell how often they occur.
    """
    if effect.unstable:
        return None
    if claim.direction == SAME:
        return _for_sameness(effect, claim.smallest_effect, alpha) if verdict == INCONCLUSIVE else None
    if verdict in (DIRECTION_ONLY, CONTRADICTED):
        distance = abs(effect.estimate) - claim.smallest_effect
        return seeds_to_detect(abs(distance), effect.spread, alpha if distance > 0 else 2 * alpha, effect.overlap)
    if verdict != INCONCLUSIVE:
        return None
    tests = (seeds_to_detect, seeds_to_exclude)
    return most_of([test(claim.smallest_effect, effect.spread, alpha, effect.overlap) for test in tests])


def _for_sameness(effect: Effect, margin: float, alpha: float) -> int | None:
    """Returns the pairs that would decide a claim of sameness; None beyond 10,000, or if that is not known.

    If the effect that was seen is beyond `margin`, they show that it is.  Otherwise they exclude an effect of `margin`
    if there is none, and place the effect that was seen inside.
    """
    beyond = abs(effect.estimate) - margin
    if beyond > 0:
        return seeds_to_detect(beyond, effect.spread, alpha, effect.overlap)
    needed = [
        seeds_to_exclude(margin, effect.spread, alpha, effect.overlap),
        seeds_to_detect(-beyond, effect.spread, 2 * alpha, effect.overlap),
    ]
    return most_of(needed)
