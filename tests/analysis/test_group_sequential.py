"""Levels of looks: against published boundaries, an exact integral, and simulated paths."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ablations.analysis.group_sequential import FEW_SEEDS, Look, bounds, levels, spent

# Two-sided 0.05, equally spaced looks, O'Brien-Fleming-type spending: Proschan, Lan and Wittes, Statistical Monitoring
# of Clinical Trials (2006), and the same by the programs of Reboussin, DeMets, Kim and Lan (2000).
PUBLISHED = {
    1: [1.960],
    2: [2.963, 1.969],
    3: [3.710, 2.511, 1.993],
    4: [4.333, 2.963, 2.359, 2.014],
    5: [4.877, 3.357, 2.680, 2.290, 2.031],
}


@pytest.mark.parametrize("looks", PUBLISHED)
def test_the_boundaries_are_the_published_ones(looks: int) -> None:
    found = bounds(0.05, tuple((number + 1) / looks for number in range(looks)))
    assert found == pytest.approx(PUBLISHED[looks], abs=6e-4)


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 13, 0.2])
@pytest.mark.parametrize("seeds", [(4, 7, 10), (3, 20), (5, 6, 7, 8, 9, 30)])
def test_looks_together_err_as_often_as_alpha_says(alpha: float, seeds: tuple[int, ...]) -> None:
    # The chance of staying within all bounds, by scipy's own integral over the looks' joint normal distribution.
    times = np.array(seeds) / seeds[-1]
    within = np.array(bounds(alpha, tuple(times)))
    covariance = np.sqrt(np.minimum.outer(times, times) / np.maximum.outer(times, times))
    joint: Any = stats.multivariate_normal(np.zeros(len(seeds)), covariance)
    inside = joint.cdf(within, lower_limit=-within)
    assert 1 - inside == pytest.approx(alpha, abs=2e-4)


def test_alpha_is_spent_little_by_little_and_all_of_it_at_the_end() -> None:
    assert spent(0.05, 1.0) == pytest.approx(0.05)
    assert spent(0.05, 0.5) == pytest.approx(4 * stats.norm.sf(stats.norm.isf(0.0125) / sqrt(0.5)))
    assert levels(0.05, (4, 7, 10))[0] == pytest.approx(spent(FEW_SEEDS * 0.05, 0.4))
    assert sorted(levels(0.01, (3, 5, 9, 12))) == list(levels(0.01, (3, 5, 9, 12)))


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.004, 1e-6])
def test_a_repeated_p_is_below_alpha_where_the_look_is_beyond_its_level(number: int, alpha: float) -> None:
    look = Look(number=number, seeds=(4, 7, 10))
    level = look.level(alpha)
    assert look.p(level) == pytest.approx(alpha, rel=1e-3)
    assert look.p(0.99 * level) < alpha < look.p(1.01 * level)
    assert look.p(level) >= level


def test_a_p_at_the_edges_stays_one() -> None:
    look = Look(number=1, seeds=(4, 10))
    assert look.p(1.0) == 1.0
    assert np.isnan(look.p(float("nan")))
    assert 0 < look.p(0.0) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [(4, 7, 10), (3, 5, 6, 8, 10), (3, 4, 5), (8, 14, 20)])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 8])
def test_a_t_at_each_looks_level_keeps_the_false_positive_rate_with_few_seeds(
    alpha: float, seeds: tuple[int, ...]
) -> None:
    studies = 100_000
    draws = np.random.default_rng(7).normal(size=(studies, seeds[-1]))
    crossed = np.zeros(studies, dtype=bool)
    for n, level in zip(seeds, levels(alpha, seeds), strict=True):
        part = draws[:, :n]
        t = part.mean(axis=1) / (part.std(axis=1, ddof=1) / sqrt(n))
        crossed |= np.abs(t) > stats.t.isf(level / 2, n - 1)
    rate = crossed.mean()
    assert 0.75 * alpha < rate < alpha + 3 * sqrt(alpha / studies)
