"""The minimum of a noisy curve, estimated by a parabola through its lowest point and the neighbours of that.

The lowest of several noisy measurements is lowest partly by chance.  A parabola through it and its neighbours averages
over that chance, as in response surface methodology (Box and Wilson 1951, J. Royal Statistical Society B 13:1).

numpy is imported only when a curve is fitted, because modules that plan a study import this one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median, stdev

CLEARLY = 3.0  # a point is clearly higher than another if it is higher by this many standard errors of their difference


@dataclass(frozen=True, kw_only=True)
class Point:
    """What was measured at one place."""

    at: float  # the place
    outcomes: tuple[float, ...]  # one per seed, with the same seeds in the same order at every place

    @property
    def mean(self) -> float:
        """The mean of the outcomes."""
        return fmean(self.outcomes)


@dataclass(frozen=True, kw_only=True)
class Lowest:
    """The estimated minimum of a curve."""

    at: float  # the place
    value: float  # the value of the curve there
    cost: float  # by how much the true curve at `at` is expected to lie above its minimum, in the outcomes' unit
    points: int  # number of points that the parabola is fitted to


def lowest(points: Sequence[Point], clearly: float = CLEARLY) -> Lowest | None:
    """Returns the vertex of the least-squares parabola through the lowest of `points` and its neighbours, or None.

    The neighbours on each side are all points up to the first that is clearly higher, by more than `clearly` standard
    errors.  Fewer would not do, because close points differ only by noise; points beyond would distort the fit, because
    the curve is no parabola there.  For the same reason a point that is h times that bound above the lowest has the
    weight 1 / (1 + h^2).  The place is kept within the neighbours.  None is returned if there are fewer than three
    points with the lowest, if points have a single outcome, or if the parabola has no minimum.
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
    # The variance of the vertex, by the delta method.  `one_seed` is the standard deviation of a difference of two
    # trainings, so half of its square is the variance of one.
    gradient = np.array([slope / (2 * curvature**2), -1 / (2 * curvature), 0]) @ to_coefficients
    variance = float(gradient @ gradient) * one_seed**2 / 2 / len(ordered[0].outcomes)
    return Lowest(
        at=middle + at,
        value=(curvature * at + slope) * at + height,
        cost=curvature * min(variance, float(places[-1] - places[0]) ** 2 / 12),
        points=len(within),
    )


def _noise(ordered: Sequence[Point]) -> float:
    """Returns the standard deviation, over seeds, of the difference between the outcomes at two places.

    It is taken from differences between neighbouring places, because what a seed adds at all places does not move the
    vertex.  It is the median over the pairs of neighbours, because the scatter is larger where trainings begin to fail.
    The median is corrected: the median of a variance with f degrees of freedom is about (1 - 2 / 9f)^3 of its expected
    value (Wilson and Hilferty 1931, PNAS 17:684).
    """
    scatters = [
        stdev([after - before for before, after in zip(one.outcomes, two.outcomes, strict=True)])
        for one, two in pairwise(ordered)
    ]
    freedom = len(ordered[0].outcomes) - 1
    return median(scatters) / math.sqrt((1 - 2 / (9 * freedom)) ** 3)


def _around(ordered: Sequence[Point], clearly: float) -> Sequence[Point]:
    """Returns the lowest of the points and its neighbours, on each side up to the first that is `clearly` higher."""
    middle = min(range(len(ordered)), key=lambda index: ordered[index].mean)
    bound = ordered[middle].mean + clearly
    first = next((index for index in range(middle - 1, -1, -1) if ordered[index].mean > bound), 0)
    last = next((index for index in range(middle + 1, len(ordered)) if ordered[index].mean > bound), len(ordered) - 1)
    return ordered[first : last + 1]
