"""Factorials against statsmodels, scipy, hand counts, and studies whose effects differ between seeds."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from ablations.analysis.evidence import broken
from ablations.analysis.factorial import aliases, factorial_design, interactions, main_effects
from ablations.analysis.sampling import interval_over_both
from ablations.analysis.tables import Outcomes
from ablations.analysis.verdicts import Findings
from ablations.calibration.rule import METRIC, Settings, factorial_outcomes, made_up_factorial
from ablations.core.effect import Effect
from ablations.core.study import Study
from ablations.core.trial import Trial
from ablations.core.variant import Variant
from ablations.records.outcomes import pack
from tests import synthetic

SIZE = Settings(scatter=1.0, shared=0.5)
OWN = np.sqrt(0.5)  # of a trial, beside what its seed's trials share


def both(study: Study, table: pd.DataFrame) -> list[Effect]:
    """Main effects and interactions."""
    return [*main_effects(study, Outcomes(table), METRIC), *interactions(study, Outcomes(table), METRIC)]


def side(effect: Effect, table: pd.DataFrame) -> pd.Series[float]:
    """Of each seed the mean of the variants on one side less that of the others, by hand."""
    wide = table.pivot(index="seed", columns="variant", values=METRIC)
    return wide[list(effect.departed)].mean(axis=1) - wide[list(effect.kept)].mean(axis=1)


@pytest.mark.parametrize(("grid", "options", "terms"), [("full", {}, 21), ("fractional", {}, 13)])
def test_effects_are_a_formulas_and_intervals_a_one_sample_t_over_seeds(
    grid: str, options: dict[str, int], terms: int
) -> None:
    study = made_up_factorial(grid, 4, **options)
    table = factorial_outcomes(study, np.random.default_rng(1), SIZE, 0.5)
    table = table[table["variant"].isin([one.label for one in factorial_design(study)])]
    for name, _ in study.components:
        table[name] = np.where(table["variant"].str.contains(name), 1, -1)
    found = both(study, table)
    assert len(found) == terms
    formula = " + ".join(one.component.replace(" x ", ":") for one in found)
    fit = smf.ols(f"{METRIC} ~ {formula} + C(seed)", table).fit()
    for effect in found:
        assert effect.estimate == pytest.approx(2 * fit.params[effect.component.replace(" x ", ":")])
        by_seed = side(effect, table)
        expected = stats.ttest_1samp(by_seed, 0)
        interval = expected.confidence_interval(0.95)
        assert (effect.low, effect.high) == pytest.approx((interval.low, interval.high))
        assert effect.p == pytest.approx(expected.pvalue)
        assert (effect.n, effect.df) == (4, 3)
        assert effect.spread == pytest.approx(by_seed.std(ddof=1))


def test_a_seed_that_lacks_a_trial_is_left_out_of_every_effect_and_the_method_says_so() -> None:
    study = made_up_factorial("full", 4)
    table = factorial_outcomes(study, np.random.default_rng(2), SIZE, 0.5)
    broken_row = table.index[70]  # the second seed's
    failed = table.assign(status=table["status"].where(table.index != broken_row, "diverged"))
    without = table[table["seed"] != 1]
    for one, other in zip(both(study, failed), both(study, without), strict=True):
        assert (one.n, one.estimate, one.low) == (3, other.estimate, other.low)
        assert one.method == (
            "paired t over 3 seeds, each with its own contrast of 64 variants; 1 seed left out, as a trial of the "
            "design is missing"
        )


@pytest.mark.parametrize(
    ("grid", "options", "differ"), [("full", {}, 0.5), ("fractional", {}, 1.0), ("fractional", {"resolution": 5}, 1.0)]
)
def test_intervals_hold_at_their_rate_where_effects_differ_between_seeds(
    grid: str, options: dict[str, int], differ: float
) -> None:
    study, random = made_up_factorial(grid, 5, **options), np.random.default_rng(3)
    main, crossed = list[bool](), list[bool]()
    for _ in range(60):
        table = factorial_outcomes(study, random, SIZE, differ)
        main += [one.low <= 0 <= one.high for one in main_effects(study, Outcomes(table), METRIC)]
        crossed += [one.low <= 0 <= one.high for one in interactions(study, Outcomes(table), METRIC)]
    for held in (main, crossed):  # 360 and 420 or 900: standard errors of .011, .011 and .007
        assert abs(np.mean(held) - 0.95) < 3 * np.sqrt(0.95 * 0.05 / len(held))


def test_the_scatter_of_a_contrast_is_that_of_trials_over_the_design_and_of_effects_between_seeds() -> None:
    study, random = made_up_factorial("fractional", 5), np.random.default_rng(4)
    tables = [factorial_outcomes(study, random, SIZE, 0.8) for _ in range(80)]
    variances = [one.spread**2 for table in tables for one in main_effects(study, Outcomes(table), METRIC)]
    assert np.mean(variances) == pytest.approx(OWN**2 * (0.8**2 + 4 / 16), rel=0.1)


def test_interactions_of_the_half_fraction_are_clear_and_those_of_the_quarter_are_sums() -> None:
    half, quarter = (made_up_factorial("fractional", 2, resolution=one) for one in (5, 4))
    table = factorial_outcomes(half, np.random.default_rng(5), SIZE, 0.0)
    found = interactions(half, Outcomes(table), METRIC)
    assert len(found) == 15 and not any(aliases(half, one) for one in found)
    assert all(one.method.endswith("clear of other two-way interactions") for one in found)
    table = factorial_outcomes(quarter, np.random.default_rng(6), SIZE, 0.0)
    found = interactions(quarter, Outcomes(table), METRIC)
    assert sum(1 + len(aliases(quarter, one)) for one in found) == 15
    assert all("aliased with" in one.method for one in found)
    # What an alias adds is what its name says: an outcome of nothing but that interaction, with its sign.
    first = found[0]
    named = aliases(quarter, first)[0]
    names = named.removeprefix("-").split(" x ")
    signs = table["variant"].map(lambda label: np.prod([1 if name in label else -1 for name in names]))
    alone = interactions(quarter, Outcomes(table.assign(**{METRIC: signs.astype(float)})), METRIC)[0]
    assert alone.estimate == pytest.approx(-2.0 if named.startswith("-") else 2.0)


@pytest.mark.parametrize("name", ["full", "mine"])  # a recipe of a subject names its grid as it likes
def test_where_two_changes_cannot_be_combined_their_interaction_is_left_out_and_main_effects_stay(name: str) -> None:
    study = replace(made_up_factorial("full", 3), grid=name)
    one, two = study.components[:2]
    variants = tuple(variant for variant in study.variants if not {one, two} <= set(variant.departures))
    study = replace(study, variants=variants)
    table = factorial_outcomes(study, np.random.default_rng(7), SIZE, 0.0)
    # With the first change where the second is kept: the two are never together.
    shift = table["variant"].str.contains(one[0]) * 3.0
    found = {effect.component: effect for effect in both(study, table.assign(**{METRIC: shift}))}
    assert found[one[0]].estimate == pytest.approx(3.0) and found[two[0]].estimate == pytest.approx(0.0, abs=1e-9)
    assert f"{one[0]} x {two[0]}" not in found and len(found) == 6 + 14
    assert "could not be made" in found[one[0]].method


def recorded(study: Study, trials: list[Trial], random: np.random.Generator) -> Findings:
    """Findings whose trials recorded which of 200 images were right; images and seeds both matter."""
    hard = random.uniform(-0.15, 0.15, 200)
    good = {seed: random.uniform(-0.1, 0.1) for seed in range(study.seeds)}
    results = []
    for one in synthetic.results(trials):
        chance = 0.7 + hard * (1 + len(one.trial.variant.departures)) + good[one.trial.seed]
        right = random.random(200) < np.clip(chance, 0, 1)
        metrics = {**one.metrics, METRIC: 100 * (1 - right.mean()), "evaluated_examples": 200.0}
        results.append(replace(one, metrics=metrics, outcomes=pack(right)))
    return Findings(study=study, results=results)


def test_an_interval_over_new_images_too_is_never_narrower_than_one_over_seeds() -> None:
    random, wider = np.random.default_rng(8), 0
    study, trials = synthetic.plan("full", ["lrn", "dropout", "pooling"], seeds=3)
    for _ in range(15):
        evidence = recorded(study, trials, random)
        for effect in [*evidence.effects, *interactions(study, evidence.outcomes, METRIC)]:
            low, high = interval_over_both(evidence, effect)
            assert low <= effect.low and high >= effect.high
            wider += low < effect.low - 1e-9
    assert wider > 15


def test_where_a_seed_of_a_factorial_is_broken_seeds_are_counted_and_images_are_those_of_the_others() -> None:
    study, trials = synthetic.plan("full", ["lrn", "dropout"], seeds=3)
    whole = recorded(study, trials, np.random.default_rng(9))
    gone = [synthetic.diverged(one) if one is whole.results[1] else one for one in whole.results]
    evidence = Findings(study=study, results=gone)
    (effect,) = [one for one in evidence.effects if (one.component, one.kind) == ("lrn", "main")]
    assert (effect.n, broken(evidence, effect)) == (2, (3, 1, 0))
    low, high = interval_over_both(evidence, effect)
    assert low <= effect.low and high >= effect.high


def test_the_fraction_of_each_resolution_is_orthogonal_in_what_it_promises() -> None:
    for resolution, runs in ((4, 16), (5, 32), (6, 32)):
        study = made_up_factorial("fractional", 2, resolution=resolution)
        design = factorial_design(study)
        assert len(design) == runs
        signs = np.array([[1 if one in variant.departures else -1 for one in study.components] for variant in design])
        pairs = [signs[:, one] * signs[:, two] for one, two in combinations(range(6), 2)]
        assert not np.any(np.array(pairs) @ signs)
        apart = np.array(pairs) @ np.array(pairs).T - runs * np.eye(15)
        assert bool(np.any(apart)) == (resolution == 4)
        assert Variant() in study.variants
