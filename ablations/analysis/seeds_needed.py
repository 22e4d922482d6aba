"""How well the number of seeds that settles a claim is known: few seeds hardly tell the scatter that it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ablations.analysis.rule import CONTRADICTED, DIRECTION_ONLY, INCONCLUSIVE, seeds_for_sameness
from ablations.analysis.statistics import seeds_to_detect, seeds_to_exclude, spread_interval
from ablations.core.claim import SAME, Claim
from ablations.core.effect import Effect

MANY_SEEDS = 500  # of one variant, beyond which a number of seeds is of no use
LEVEL = 0.95  # of the interval


def seeds_between(
    seeds: Callable[[Effect], int | None], effect: Effect, margin: float | None
) -> tuple[int | None, int | None]:
    """The 95% interval of `seeds(effect)`; None stands for too many, and where nothing is asked both are None.

    It follows from that of the scatter (chi-square) and, where what matters is how far the effect is from a `margin`,
    from that of the effect too: an effect that may lie at the margin may need any number.
    """
    estimates = [effect.estimate] * 2
    if margin is not None:
        sizes = sorted((abs(effect.low), abs(effect.high)), key=lambda size: abs(size - margin))
        across = min(sizes) <= margin <= max(sizes) or effect.low <= 0 <= effect.high
        estimates = [sizes[1], margin if across else sizes[0]]
    spreads = spread_interval(effect.spread, effect.df, LEVEL)
    low, high = (
        seeds(replace(effect, estimate=estimate, spread=spread))
        for estimate, spread in zip(estimates, spreads, strict=True)
    )
    return low, high


def settling_seeds(
    claim: Claim, effect: Effect, companion: Effect | None, found: str, *, alpha: float
) -> tuple[int | None, int | None, int | None]:
    """Seeds that would settle a claim at `alpha`, and the fewest and the most of them that the scatter allows.

    `companion` is the effect on the second thing that a claim says, where the call hangs on that: what more seeds would
    then tell is its direction.
    """

    def own(effect: Effect) -> int | None:
        return seeds_to_settle(claim, effect, found, 1, alpha)

    def of_companion(also: Effect) -> int | None:
        return seeds_to_detect(abs(also.estimate), also.spread, alpha, also.overlap)

    if companion:
        return of_companion(companion), *seeds_between(of_companion, companion, 0.0)
    open_size = claim.smallest_effect if found in (DIRECTION_ONLY, CONTRADICTED) else None
    return own(effect), *seeds_between(own, effect, open_size)


def seeds_to_settle(claim: Claim, effect: Effect, verdict: str, comparisons: int, alpha: float) -> int | None:
    """Seeds that would settle what a call leaves open, four times in five, should the scatter stay as it is.

    Inconclusive: as many as find an effect of the smallest size of interest, and exclude one of that size where there
    is none.  Where only the direction is known: as many as place the effect that was seen above or below that size.
    Sameness: as many as exclude an effect of that size where there is none, and place the one that was seen.
    None where trainings failed: the scatter of those that did not says nothing of how often the others will.
    """
    if effect.unstable:
        return None
    level = alpha / comparisons
    if claim.direction == SAME:
        return seeds_for_sameness(effect, claim.smallest_effect, level) if verdict == INCONCLUSIVE else None
    if verdict in (DIRECTION_ONLY, CONTRADICTED):
        distance = abs(effect.estimate) - claim.smallest_effect
        return seeds_to_detect(abs(distance), effect.spread, level if distance > 0 else 2 * level, effect.overlap)
    if verdict != INCONCLUSIVE:
        return None
    tests = (seeds_to_detect, seeds_to_exclude)
    needed = [test(claim.smallest_effect, effect.spread, level, effect.overlap) for test in tests]
    known = [n for n in needed if n is not None]
    return max(known) if len(known) == len(needed) else None
