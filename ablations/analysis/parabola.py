"""Where a noisy curve is lowest: a parabola through what was measured around its lowest point.

Of measurements that are all noisy the lowest is partly the luckiest.  A parabola through its neighbours evens the
luck out, as in response surfaces (Box and Wilson 1951, J. Royal Statistical Society B 13:1).

numpy is imported when a curve is fitted, as modules that plan a study import this one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median, stdev

CLEARLY = 3.0  # standard errors of a difference between two points, beyond which one is clearly the higher


@dataclass(frozen=True, kw_only=True)
class Point:
    """What was measured at one place: an outcome a seed, with the same seeds in the same order at every place."""

    at: float
    outcomes: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Of the outcomes."""
        return fmean(self.outcomes)


@dataclass(frozen=True, kw_only=True)
class Lowest:
    """Where a curve is lowest, how low, and what not knowing the place better costs."""

    at: float
    value: float  # of the curve there
    cost: float  # by how much the curve at `at` is expected to lie above its lowest value, in the outcomes' unit
    points: int  # that the parabola goes through


def lowest(points: Sequence[Point], clearly: float = CLEARLY) -> Lowest | None:
    """The vertex of the least-squares parabola through the lowest of `points` and its neighbours.

    Neighbours are, on each side, all up to the first that is clearly higher, by more than `clearly` standard errors:
    close ones differ by luck alone, and by far ones a curve that is no parabola would be misjudged.  For the same
    reason a point that lies h times that bound above the lowest counts 1 / (1 + h^2).  The vertex does not leave the
    neighbours.  None where they are fewer than three with the lowest, where a point has a single outcome, or where the
    parabola has no lowest place.
    """
    ordered = sorted(points, key=lambda point: point.at)
    if len(ordered) < 3 or len(ordered[0].outcomes) < 2:
        return None
    one_seed = _noise(ordered)
    bound = clearly * one_seed / math.sqrt(len(ordered[0].outcomes))
    within = _around(ordered, bound)
    if len(within) < 3:
        return None
    import numpy as np

    means = np.array([point.mean for point in within])
    middle = fmean([point.at for point in within])
    places = np.array([point.at for point in within]) - middle
    roots = 1 / np.hypot(1, (means - means.min()) / bound) if bound > 0 else np.ones(len(within))
    to_coefficients = np.linalg.pinv(np.vander(places, 3) * roots[:, None]) * roots
    curvature, slope, height = map(float, to_coefficients @ means)
    if curvature <= 0:
        return None
    at = float(np.clip(-slope / (2 * curvature), places[0], places[-1]))
    # By the delta method; the seeds' own differences are those of two means of independent trainings.
    gradient = np.array([slope / (2 * curvature**2), -1 / (2 * curvature), 0]) @ to_coefficients
    variance = float(gradient @ gradient) * one_seed**2 / 2 / len(ordered[0].outcomes)
    return Lowest(
        at=middle + at,
        value=(curvature * at + slope) * at + height,
        cost=curvature * min(variance, float(places[-1] - places[0]) ** 2 / 12),
        points=len(within),
    )


def _noise(ordered: Sequence[Point]) -> float:
    """Standard deviation of the difference that one seed makes between two places.

    From neighbours, seed by seed, as what a seed adds everywhere moves no vertex.  Their median, as where trainings
    begin to fail the scatter is another one.  A variance on f degrees of freedom has its median at about
    (1 - 2 / 9f)^3 of its expectation (Wilson and Hilferty 1931, PNAS 17:684).
    """
    scatters = [
        stdev([after - before for before, after in zip(one.outcomes, two.outcomes, strict=True)])
        for one, two in pairwise(ordered)
    ]
    freedom = len(ordered[0].outcomes) - 1
    return median(scatters) / math.sqrt((1 - 2 / (9 * freedom)) ** 3)


def _around(ordered: Sequence[Point], clearly: float) -> Sequence[Point]:
    """The lowest of the points and its neighbours, on each side up to the first that is `clearly` higher."""
    middle = min(range(len(ordered)), key=lambda index: ordered[index].mean)
    bound = ordered[middle].mean + clearly
    first = next((index for index in range(middle - 1, -1, -1) if ordered[index].mean > bound), 0)
    last = next((index for index in range(middle + 1, len(ordered)) if ordered[index].mean > bound), len(ordered) - 1)
    return ordered[first : last + 1]
