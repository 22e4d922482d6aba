"""Group-sequential boundaries: at which level to test at each look, so that all looks together err at `alpha` only.

Alpha is spent as by O'Brien and Fleming, in the form of Lan and DeMets (1983, Biometrika 70:659): by information
time t each side has spent 2 (1 - Phi(z(1 - a / 2) / sqrt(t))) of its a = alpha / 2.  Crossing probabilities come from
the recursion of Armitage, McPherson and Rowe (1969, JRSS A 132:235), each integral by Gauss-Legendre quadrature.
scipy and statsmodels have neither.  Boundaries are symmetrical; looks are after n[0] < ... < n[K - 1] seeds.
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
_WIDEST = 37.0  # standard deviations: beyond it a double has no tail left
_SMALLEST = 1e-290
# Share of alpha that is spent.  A t at the level of a normal crosses a little more often where looks hold few seeds:
# 1.03 times alpha for looks after 8, 14 and 20 seeds, 1.06 for 4, 7, 10, 1.09 for 3, 5, 6, 8, 10 and 1.13 for 3, 4, 5
# (at alpha 0.05, 400,000 simulated paths each).
FEW_SEEDS = 0.88

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look of those that were declared: which level stands for which, and which p for which."""

    number: int  # from 1 on
    seeds: tuple[int, ...]  # at all looks

    def level(self, alpha: float) -> float:
        """The two-sided level to test at, so that all looks together, until the last, err with `alpha`."""
        return levels(alpha, self.seeds)[self.number - 1]

    def p(self, value: float) -> float:
        """The repeated p-value (Jennison and Turnbull 2000, section 9.5): the smallest alpha at which `value`, the
        two-sided p of this look alone, would have been below the level; never below `value`.
        """
        if not value < 1:  # nan too
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
    """The two-sided alpha that is spent by information time `time`, in (0, 1]; all of it at 1."""
    return float(4 * ndtr(ndtri(alpha / 4) / sqrt(time)))


@lru_cache(maxsize=4096)
def levels(alpha: float, seeds: tuple[int, ...]) -> tuple[float, ...]:
    """The two-sided level of a t test at each look, its degrees of freedom those of the seeds so far."""
    return tuple(float(2 * ndtr(-bound)) for bound in bounds(FEW_SEEDS * alpha, tuple(n / seeds[-1] for n in seeds)))


def bounds(alpha: float, times: tuple[float, ...]) -> tuple[float, ...]:
    """The two-sided bounds of |Z| at each information time, in standard deviations."""
    found: list[float] = []
    places, density = np.zeros(1), np.ones(1)  # of the score B(t) where no bound was crossed, weights included
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
    """The probability that a step from where `density` is ends beyond `bound` times `root`."""
    edge = bound * root
    return float(density @ (ndtr((-edge - places) / step) + ndtr((places - edge) / step)))


def _solve(crossing: Callable[[float], float], due: float) -> float:
    """The bound that is crossed with probability `due`; solved in logarithms, as `due` may be minute."""
    target = log(max(due, _SMALLEST))

    def above(bound: float) -> float:
        return log(max(crossing(bound), _SMALLEST)) - target

    if above(_WIDEST) >= 0:
        return _WIDEST
    return float(optimize.brentq(above, 0.0, _WIDEST, xtol=1e-10)) if above(0.0) > 0 else 0.0
