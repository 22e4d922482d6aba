"""Group-sequential boundaries: the level of the test at each look, so that all looks together have level `alpha`.

The alpha-spending function is that of O'Brien and Fleming in the form of Lan and DeMets (1983, Biometrika 70:659): by
information time t each side has spent 2 (1 - Phi(z(1 - a / 2) / sqrt(t))) of its a = alpha / 2.  Crossing probabilities
come from the recursion of Armitage, McPherson and Rowe (1969, JRSS A 132:235), with Gauss-Legendre quadrature for each
integral.  scipy and statsmodels have neither.  Boundaries are symmetrical.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from math import exp, log, sqrt
from typing import Any

import numpy as np
from scipy import optimize
from scipy.special import ndtr, ndtri

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)
_WIDEST = 37.0  # largest bound, in standard deviations: beyond it the normal tail is zero in double precision
_SMALLEST = 1e-290  # smallest probability, so that its logarithm is finite
# The share of alpha that is spent.  The boundaries are exact for normal statistics.  If a t statistic is tested at the
# same levels, it crosses them slightly too often when looks have few seeds: with probability 1.03 alpha for looks after
# 8, 14 and 20 seeds, 1.06 alpha for 4, 7, 10, 1.09 alpha for 3, 5, 6, 8, 10 and 1.13 alpha for 3, 4, 5 (alpha = 0.05,
# 400,000 simulated paths each).
FEW_SEEDS = 0.88

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Look:
    """One of the looks that were declared: it converts levels and p-values to those of a sequential study."""

    number: int  # which look it is, counted from 1
    seeds: tuple[int, ...]  # the number of seeds at each of the looks

    def level(self, alpha: float) -> float:
        """Returns the two-sided level to test at, so that all looks together have the two-sided level `alpha`."""
        return levels(alpha, self.seeds)[self.number - 1]

    def p(self, value: float) -> float:
        """Returns the repeated p-value (Jennison and Turnbull 2000, section 9.5) of `value`, this look's two-sided p.

        It is the smallest alpha at which `value` is below this look's level, and never below `value` itself.
        """
        if not value < 1:  # also true of nan
            return value
        lowest, target = log(_SMALLEST), max(value, _SMALLEST)
        if self.level(1 - 1e-12) <= target:
            return 1.0

        def above(logarithm: float) -> float:
            return log(max(self.level(exp(logarithm)), _SMALLEST)) - log(target)

        if above(lowest) >= 0:
            return target
        return max(value, exp(float(optimize.brentq(above, lowest, log(1 - 1e-12), xtol=1e-6))))


def spent(alpha: float, time: float) -> float:
    """Returns the two-sided alpha that is spent by information time `time`, in (0, 1]; at 1 it is all of `alpha`."""
    return float(4 * ndtr(ndtri(alpha / 4) / sqrt(time)))


@lru_cache(maxsize=4096)
def levels(alpha: float, seeds: tuple[int, ...]) -> tuple[float, ...]:
    """Returns the two-sided level of the t test at each look, with the degrees of freedom of the seeds so far."""
    return tuple(float(2 * ndtr(-bound)) for bound in bounds(FEW_SEEDS * alpha, tuple(n / seeds[-1] for n in seeds)))


def bounds(alpha: float, times: tuple[float, ...]) -> tuple[float, ...]:
    """Returns the bound of |Z| at each information time, in standard deviations, for a two-sided `alpha` in all."""
    found: list[float] = []
    # The density of the score B(t) of paths that have crossed no bound, at the nodes `places`, times their weights.
    places, density = np.zeros(1), np.ones(1)
    before, gone = 0.0, 0.0
    for time in times:
        step, due = sqrt(time - before), spent(alpha, time)
        crossing = partial(_crossing, sqrt(time), places, density, step)
        bound = _solve(crossing, due - gone)
        found.append(bound)
        edge = bound * sqrt(time)
        nodes = edge * _NODES
        kernel = np.exp(-0.5 * ((nodes[:, None] - places[None, :]) / step) ** 2) / (step * sqrt(2 * np.pi))
        places, density = nodes, edge * _WEIGHTS * (kernel @ density)
        before, gone = time, due
    return tuple(found)


def _crossing(root: float, places: Array, density: Array, step: float, bound: float) -> float:
    """Returns the probability that the score, after one step from `density`, lies beyond `bound` times `root`."""
    edge = bound * root
    return float(density @ (ndtr((-edge - places) / step) + ndtr((places - edge) / step)))


def _solve(crossing: Callable[[float], float], due: float) -> float:
    """Returns the bound that is crossed with probability `due`, which may be so small that logarithms are compared."""
    target = log(max(due, _SMALLEST))

    def above(bound: float) -> float:
        return log(max(crossing(bound), _SMALLEST)) - target

    if above(_WIDEST) >= 0:
        return _WIDEST
    return float(optimize.brentq(above, 0.0, _WIDEST, xtol=1e-10)) if above(0.0) > 0 else 0.0
