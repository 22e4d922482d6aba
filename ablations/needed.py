"""How well the number of seeds that settles a claim is known: few seeds hardly tell the scatter that it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ablations.statistics import spread_interval
from ablations.types import Effect

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
