"""Statistics against scipy, statsmodels, hand counts, the tables of the literature and simulation."""

from __future__ import annotations

from itertools import product
from math import comb, isnan, nan, sqrt

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from ablations.analysis.statistics import (
    benjamini_hochberg,
    both_samplings,
    detectable,
    discordant,
    holm,
    p_of_mean,
    prediction_interval,
    seeds_to_detect,
    seeds_to_exclude,
    sign_flip_p,
    t_interval,
)


def sample(n: int = 8, seed: int = 0) -> np.ndarray:
    """Differences of a mean of about one and a spread of one."""
    return np.random.default_rng(seed).normal(1.0, 1.0, n)


def of(values: np.ndarray) -> tuple[float, float, int]:
    """Mean, standard error and degrees of freedom."""
    return float(values.mean()), float(stats.sem(values)), values.size - 1


@pytest.mark.parametrize("level", [0.9, 0.95, 0.995])
def test_intervals_and_p_values_are_scipys(level: float) -> None:
    values = sample()
    test = stats.ttest_1samp(values, 0)
    expected = test.confidence_interval(level)
    assert t_interval(*of(values), level) == pytest.approx((expected.low, expected.high))
    assert p_of_mean(*of(values)) == pytest.approx(test.pvalue)


def test_a_90_percent_interval_within_the_margin_is_statsmodels_two_one_sided_tests() -> None:
    values = sample()
    for margin in (0.5, 1.5, 3.0):
        p, _, _ = ttost_paired(values, np.zeros_like(values), -margin, margin)
        low, high = t_interval(*of(values), 0.9)
        assert (p < 0.05) == (-margin < low and high < margin)


def test_differences_that_are_all_the_same_have_no_interval_but_the_exact_p_of_flipping_their_signs() -> None:
    for n in (2, 5, 6, 12):
        by_scipy = stats.permutation_test((np.full(n, -5.0),), np.mean, permutation_type="samples", n_resamples=2**14)
        assert p_of_mean(-5.0, 0.0, n - 1) == pytest.approx(by_scipy.pvalue)
    assert p_of_mean(-5.0, 0.0, 11) == 2 / 4096
    assert isnan(p_of_mean(0.0, 0.0, 4))  # no difference at all
    assert isnan(p_of_mean(-5.0, 0.0, 11, overlap=0.25))  # the signs of overlapping splits cannot be flipped one by one
    assert isnan(p_of_mean(1.0, nan, 4)) and isnan(p_of_mean(1.0, 0.0, 0))  # not known, and a single one
    assert np.isnan(t_interval(1.0, nan, 4, 0.95)).all()
    assert np.isnan(t_interval(1.0, 0.0, 4, 0.95)).all()  # equal pairs tell nothing of the next


def test_flipping_signs_counts_every_pattern() -> None:
    values = sample(7, 3)
    means = [np.mean(values * signs) for signs in product((-1, 1), repeat=7)]
    by_hand = np.mean([abs(mean) >= abs(values.mean()) - 1e-12 for mean in means])
    assert sign_flip_p(values) == pytest.approx(by_hand)
    # All of one sign: only it and its mirror are as extreme.
    assert sign_flip_p(np.arange(1.0, 6.0)) == pytest.approx(2 / 2**5)
    assert isnan(sign_flip_p(np.zeros(4))) and isnan(sign_flip_p(np.ones(1)))


def test_flipping_many_signs_does_not_depend_on_the_global_generator() -> None:
    values = sample(20, 4) - 0.7
    np.random.seed(0)
    first = sign_flip_p(values)
    np.random.seed(1)
    assert sign_flip_p(values) == first
    assert first == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.02)


def test_holm_is_the_step_down_by_hand_and_a_missing_p_counts() -> None:
    # Sorted .01, .02, .04, 1: times 4, 3, 2, 1, never falling.
    assert holm([0.04, 0.01, nan, 0.02]) == pytest.approx([0.08, 0.04, 1.0, 0.06])
    assert holm([]) == []


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_holm_is_statsmodels(count: int) -> None:
    values = np.random.default_rng(count).uniform(0, 0.2, count).round(2)  # some are equal
    assert holm(list(values)) == list(multipletests(values, method="holm")[1])


def test_benjamini_hochberg_is_statsmodels_and_leaves_out_what_is_missing() -> None:
    values = [0.04, 0.01, nan, 0.02, 0.6]
    known = [value for value in values if not isnan(value)]
    expected = multipletests(known, method="fdr_bh")[1]
    found = benjamini_hochberg(values)
    assert isnan(found[2])
    assert [q for q in found if not isnan(q)] == pytest.approx(list(expected))


@pytest.mark.parametrize(("size", "n"), [(0.5, 34), (1.0, 10), (1.5, 6), (2.0, 5), (3.0, 4)])
def test_the_seeds_that_detect_an_effect_are_those_of_a_power_table(size: float, n: int) -> None:
    # Paired t, alpha .05 two-sided, power .8: G*Power's numbers, size in standard deviations of a difference.
    assert seeds_to_detect(size, 1.0, 0.05) == n
    assert seeds_to_detect(10 * size, 10.0, 0.05) == n


@pytest.mark.parametrize(("margin", "n"), [(0.5, 36), (1.0, 10), (1.5, 6), (2.0, 4), (3.0, 3)])
def test_the_seeds_that_exclude_an_effect_agree_with_simulation(margin: float, n: int) -> None:
    assert seeds_to_exclude(margin, 1.0, 0.05) == pytest.approx(n, abs=1)
    random = np.random.default_rng(5)
    needed = seeds_to_exclude(margin, 1.0, 0.05)
    assert needed
    draws = random.normal(0, 1, (4000, needed))
    half = stats.t.ppf(0.95, needed - 1) * draws.std(axis=1, ddof=1) / np.sqrt(needed)
    inside = (np.abs(draws.mean(axis=1)) + half < margin).mean()
    assert 0.78 <= inside <= 0.97  # the last is overshoot where one seed more is many per cent


def test_seeds_are_found_up_to_ten_thousand_and_for_effects_of_which_scipy_gives_no_power() -> None:
    normal = float(
        stats.norm.isf(0.025) + stats.norm.isf(0.2)
    )  # of many seeds, their number is (1.960 + .842)^2 / size^2
    assert (
        seeds_to_detect(0.0295, 1.0, 0.05) == pytest.approx(normal**2 / 0.0295**2, abs=3)
        and normal**2 / 0.0295**2 > 2**13
    )
    # Where effects are above 37 standard errors, scipy's power is nan.
    numbers = [seeds_to_detect(size, 1.0, 0.05 / 6) or 0 for size in np.geomspace(0.05, 1e12, 150)]
    assert numbers == sorted(numbers, reverse=True) and numbers[-1] == 2
    assert seeds_to_detect(0.7, sqrt(0.45), 0.05 / 6) == 15  # by trying every number from 2 on


def test_too_many_seeds_are_none_and_so_is_no_spread() -> None:
    assert seeds_to_detect(1e-4, 1.0, 0.05) is None
    assert seeds_to_detect(1.0, nan, 0.05) is None
    assert seeds_to_exclude(0.0, 1.0, 0.05) is None


@pytest.mark.parametrize("n", [2, 3, 5, 10, 50])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 16])
def test_the_detectable_effect_is_detected_four_times_in_five(n: int, alpha: float) -> None:
    effect = detectable(2.0, n, alpha)
    critical = stats.t.ppf(1 - alpha / 2, n - 1)
    power = stats.nct.sf(critical, n - 1, effect / 2.0 * np.sqrt(n))
    assert power == pytest.approx(0.8, abs=1e-3)
    assert isnan(detectable(2.0, 1, alpha))


def test_a_prediction_interval_holds_the_next_difference_at_its_rate() -> None:
    random, hits = np.random.default_rng(6), 0
    draws = random.normal(0.4, 1.0, (2000, 6))
    for *values, following in draws:
        found = np.array(values)
        low, high = prediction_interval(*of(found), float(found.std(ddof=1)))
        hits += low <= following <= high
    assert 0.935 <= hits / 2000 <= 0.965


def layout(random: np.random.Generator, seeds: int, images: int) -> np.ndarray:
    """Differences (S, E) of mean zero over seeds and images, both of which matter."""
    by_seed, by_image = random.normal(0, 0.05, (seeds, 1)), random.normal(0, 0.5, (1, images))
    return by_seed + by_image + random.normal(0, 1.0, (seeds, images))


def test_the_interval_over_seeds_and_images_covers_a_new_test_set_and_the_one_over_seeds_does_not() -> None:
    random, covered, narrow = np.random.default_rng(7), 0, 0
    for _ in range(600):
        found = layout(random, 6, 100)
        low, high = t_interval(float(found.mean()), *both_samplings(found), 0.95)
        covered += low <= 0 <= high
        low, high = t_interval(*of(found.mean(axis=1)), 0.95)
        narrow += low <= 0 <= high
    assert 0.93 <= covered / 600 <= 0.985
    assert narrow / 600 < 0.9


def test_the_error_over_seeds_and_images_is_that_of_an_analysis_of_variance() -> None:
    found = layout(np.random.default_rng(8), 3, 5)
    import pandas as pd
    import statsmodels.formula.api as smf
    from statsmodels.stats.anova import anova_lm

    rows = pd.DataFrame([(s, e, found[s, e]) for s in range(3) for e in range(5)], columns=["s", "e", "y"])
    table = anova_lm(smf.ols("y ~ C(s) + C(e)", rows).fit())
    squares = table["sum_sq"] / table["df"]
    expected = squares["C(s)"] + squares["C(e)"] - squares["Residual"]
    error, _ = both_samplings(found)
    assert error**2 * 15 == pytest.approx(max(expected, squares["C(s)"], squares["C(e)"]))
    assert np.isnan(both_samplings(found[:1])).all()


def test_mcnemars_exact_p_is_a_coins() -> None:
    one = np.array([True] * 20 + [True] * 9 + [False] * 2 + [False] * 5)
    two = np.array([True] * 20 + [False] * 9 + [True] * 2 + [False] * 5)
    expected = 2 * sum(comb(11, k) for k in range(3)) / 2**11
    first, second, p = discordant(one, two)
    assert (first, second) == (9, 2)
    assert p == pytest.approx(expected)
