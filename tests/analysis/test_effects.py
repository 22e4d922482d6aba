"""Effects against scipy, statsmodels' formulas, hand counts and simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablations.analysis import tables
from ablations.analysis.effects import contrasts, differences, differences_of, effects, mean_interval
from ablations.analysis.factorial import aliases, factorial_design, interactions, parts_and_whole
from ablations.analysis.tables import Outcomes, by_seed, with_epochs
from ablations.core.effect import Effect
from ablations.core.study import Study
from ablations.core.variant import Variant
from ablations.planning import grids
from tests import making, synthetic

METRIC = "test_top1_error_percent"
CONTROLS = (("placebo", "salted"), ("sabotage", "half"))


def study_of(grid: str, *variants: tuple[str, ...], components: str = "ab", seeds: int = 3) -> Study:
    """A study of one-letter components with the level `off`, and both controls."""
    made = [Variant(departures=tuple((name, "off") for name in names)) for names in variants]
    return Study(
        name="letters",
        grid=grid,
        setting=making.setting(),
        components=tuple((name, "off") for name in components),
        variants=(*made, *(Variant(departures=(control,)) for control in CONTROLS)),
        seeds=seeds,
        controls=("placebo", "sabotage"),
        estimand=grids.find(grid).estimand,
        factorial=grids.find(grid).factorial,
    )


def table_of(outcomes: dict[str, list[float]]) -> pd.DataFrame:
    """One row for each variant and seed; nan stands for a trial that diverged."""
    rows = [
        {"variant": label, "seed": seed, "status": "diverged" if np.isnan(value) else "done", METRIC: value}
        for label, values in outcomes.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def random_table(study: Study, random: np.random.Generator) -> pd.DataFrame:
    """Normal outcomes for every trial, around 20 percent with a part that the seed's trials share."""
    shared = random.normal(0, 1, study.seeds)
    return table_of({one.label: list(20 + shared + random.normal(0, 1, study.seeds)) for one in study.variants})


def pick(found: list[Effect], component: str, kind: str) -> Effect:
    """The one effect of that component and kind."""
    (effect,) = [effect for effect in found if (effect.component, effect.kind) == (component, kind)]
    return effect


ONE_OUT = study_of("one_out", (), ("a",), ("b",), seeds=5)
FULL = study_of("full", (), ("a",), ("b",), ("a", "b"))


def test_a_paired_effect_is_scipys_paired_t_test() -> None:
    table = random_table(ONE_OUT, np.random.default_rng(1))
    outcomes = by_seed(table, METRIC)
    for effect in effects(ONE_OUT, Outcomes(table), METRIC):
        label = Variant(departures=((effect.component, effect.level),)).label
        expected = stats.ttest_rel(outcomes[label], outcomes["reference"])
        interval = expected.confidence_interval(0.95)
        assert effect.estimate == pytest.approx((outcomes[label] - outcomes["reference"]).mean())
        assert (effect.low, effect.high) == pytest.approx((interval.low, interval.high))
        assert effect.p == pytest.approx(expected.pvalue)
        assert effect.correlation == pytest.approx(np.corrcoef(outcomes[label], outcomes["reference"])[0, 1])
        assert effect.n == 5


def test_a_change_that_raises_the_error_has_a_positive_effect_counted_by_hand() -> None:
    table = table_of({"reference": [20.0, 21.0, 22.0], "-a": [21.0, 23.0, 25.0]})
    effect = pick(effects(replace(ONE_OUT, seeds=3), Outcomes(table), METRIC), "a", "one out")
    half = 4.302652729911275 * 1.0 / np.sqrt(3)  # t(0.975, 2) times the standard error of 1, 2, 3
    assert (effect.estimate, effect.low, effect.high) == pytest.approx((2.0, 2 - half, 2 + half))


def test_a_diverged_trial_breaks_its_pair_and_n_says_so() -> None:
    table = table_of({"reference": [20.0, 21.0, 22.0], "-a": [21.0, float("nan"), 25.0], "-b": [20.5, 21.0, 22.0]})
    found = effects(replace(ONE_OUT, seeds=3), Outcomes(table), METRIC)
    assert pick(found, "a", "one out").n == 2
    assert pick(found, "a", "one out").estimate == pytest.approx(2.0)
    assert pick(found, "b", "one out").n == 3


def test_missing_trials_of_easy_seeds_move_no_effect() -> None:
    gone = float("nan")
    kept, departed = [20.0, 21.0, 22.0, 31.5, 30.5], [20.1, 20.9, 22.0, gone, gone]  # the change does nothing
    table = table_of({"reference": kept, "-a": departed}).replace({"status": {"diverged": "error"}})
    effect = pick(effects(ONE_OUT, Outcomes(table), METRIC), "a", "one out")
    expected = stats.ttest_rel(departed[:3], kept[:3])
    assert effect.method == "paired t over 3 seeds"  # the means of all trials differ by 4 points
    assert (effect.p, effect.df, effect.estimate) == pytest.approx((expected.pvalue, expected.df, 0.0), abs=1e-9)


def test_pairs_that_have_not_run_yet_break_nothing() -> None:
    table = table_of({"reference": [20.0, 21.0, 22.0, 21.5, 20.5], "-a": [22.0, 23.5]})
    assert pick(effects(ONE_OUT, Outcomes(table), METRIC), "a", "one out").method == "paired t over 2 seeds"


def test_an_effect_carries_what_any_interval_of_it_needs() -> None:
    table = random_table(ONE_OUT, np.random.default_rng(6))
    outcomes = by_seed(table, METRIC)
    effect = pick(effects(ONE_OUT, Outcomes(table), METRIC), "a", "one out")
    change = outcomes["-a"] - outcomes["reference"]
    assert (effect.error, effect.df, effect.spread) == pytest.approx((stats.sem(change), 4, change.std(ddof=1)))
    assert (effect.departed, effect.kept) == (("-a",), ("reference",))


def test_the_sum_of_the_parts_is_set_against_all_changes_at_once() -> None:
    table = table_of({"reference": [20.0, 21.0], "-a": [23.0, 24.5], "-b": [21.0, 22.0], "-a -b": [28.0, 28.5]})
    found = parts_and_whole(FULL, Outcomes(table), METRIC)
    assert found["parts"].tolist() == [4.0, 4.5]
    assert found["whole"].tolist() == [8.0, 7.5]
    assert parts_and_whole(ONE_OUT, Outcomes(table_of({"reference": [20.0], "-a": [21.0]})), METRIC).empty


def test_a_metric_of_an_early_epoch_comes_from_the_curve() -> None:
    study, trials = synthetic.plan("one_out", ["lrn"], seeds=2)
    results = [*synthetic.results(trials)[:-1], synthetic.failed(synthetic.results(trials)[-1])]
    table = with_epochs(
        tables.table(study, results), results, {"train_loss@1": ("train_loss", 1), "train_loss@99": ("train_loss", 99)}
    )
    assert table["train_loss@1"].tolist()[:-1] == [result.curve[0]["train_loss"] for result in results[:-1]]
    assert np.isnan(table["train_loss@1"].tolist()[-1]) and table["train_loss@99"].isna().all()


def test_one_seed_gives_an_estimate_without_an_interval() -> None:
    effect = pick(effects(ONE_OUT, Outcomes(table_of({"reference": [20.0], "-a": [21.5]})), METRIC), "a", "one out")
    assert (effect.estimate, effect.n) == (1.5, 1)
    assert np.isnan([effect.low, effect.high, effect.p, effect.correlation]).all()


@pytest.mark.parametrize(
    "table", [pd.DataFrame(columns=["variant", "seed", "status"]), table_of({"reference": [20.0]})]
)
@pytest.mark.parametrize("study", [ONE_OUT, FULL])
def test_without_a_pair_every_effect_keeps_its_row(study: Study, table: pd.DataFrame) -> None:
    found = effects(study, Outcomes(table), METRIC)
    assert {effect.component for effect in found} == {"a", "b", "placebo", "sabotage"}
    assert all(np.isnan(effect.estimate) for effect in found)
    assert all(effect.n == 0 for effect in found if effect.kind == "one out")


def test_identical_outcomes_give_no_interval() -> None:
    table = table_of({"reference": [20.0, 21.0, 22.0], "-a": [20.0, 21.0, 22.0]})
    effect = pick(effects(replace(ONE_OUT, seeds=3), Outcomes(table), METRIC), "a", "one out")
    assert effect.estimate == 0 and np.isnan([effect.low, effect.high]).all()  # three equal pairs tell no scatter
    assert np.isnan(effect.p)


def test_two_records_of_one_trial_are_refused() -> None:
    table = pd.concat([table_of({"reference": [20.0]}), table_of({"reference": [21.0]})])
    with pytest.raises(ValueError, match="Two records for variant 'reference' and seed 0"):
        effects(ONE_OUT, Outcomes(table), METRIC)


def test_one_in_compares_all_changes_with_all_but_one() -> None:
    study = study_of("one_in", ("a", "b", "c"), ("b", "c"), ("a", "c"), ("a", "b"), (), components="abc", seeds=2)
    everything = {"-a -b -c": [40.0, 42.0], "-b -c": [30.0, 33.0], "-a -c": [39.0, 41.0], "-a -b": [40.0, 42.0]}
    table = table_of({**everything, "reference": [20.0, 20.0], "sabotage=half": [30.0, 32.0]})
    found = effects(study, Outcomes(table), METRIC)
    assert pick(found, "a", "one in").estimate == pytest.approx(9.5)
    assert pick(found, "b", "one in").estimate == pytest.approx(1.0)
    assert pick(found, "sabotage", "one out").estimate == pytest.approx(11.0)
    assert {effect.kind for effect in found if len(effect.component) == 1} == {"one in"}


def test_a_two_by_two_factorial_agrees_with_the_hand_count() -> None:
    table = table_of({"reference": [20.0, 21.0], "-a": [23.0, 24.5], "-b": [21.0, 22.0], "-a -b": [28.0, 28.5]})
    study = replace(FULL, seeds=2)
    found = effects(study, Outcomes(table), METRIC)
    # Cell means: a is (23.75 + 28.25 - 20.5 - 21.5) / 2, a x b is (28.25 - 21.5 - 23.75 + 20.5) / 2.
    assert pick(found, "a", "main").estimate == pytest.approx(5.0)
    assert pick(found, "b", "main").estimate == pytest.approx(2.75)
    assert pick(found, "a", "one out").estimate == pytest.approx(3.25)
    (both,) = interactions(study, Outcomes(table), METRIC)
    assert (both.component, both.n) == ("a x b", 2)
    assert both.estimate == pytest.approx(1.75)


def test_known_effects_of_a_fraction_are_found_and_its_aliases_are_named() -> None:
    study, trials = synthetic.plan("fractional", ["activation", "lrn", "pooling", "dropout", "crop_flip"], seeds=2)
    rows = [
        {"variant": one.trial.variant.label, "seed": one.trial.seed, "status": one.status, **one.metrics}
        for one in synthetic.results(trials, noise=0.0)
    ]
    found = effects(study, Outcomes(pd.DataFrame(rows)), METRIC)
    assert len(factorial_design(study)) == 16
    assert pick(found, "crop_flip", "main").estimate == pytest.approx(5.5)
    assert pick(found, "dropout", "main").estimate == pytest.approx(1.2)
    assert pick(found, "dropout", "main").method.endswith("clear of two-way interactions")
    crossed = {one.component: one for one in interactions(study, Outcomes(pd.DataFrame(rows)), METRIC)}
    # With E = ABC the ten interactions are seven sums: three of two, and four alone.
    assert len(crossed) == 7 and [len(aliases(study, one)) for one in crossed.values()].count(1) == 3
    found_by = next(one for one in crossed.values() if "activation x lrn" in (one.component, *aliases(study, one)))
    assert found_by.estimate == pytest.approx(-0.4)  # half of the 0.8 that the two do less together


@pytest.mark.parametrize(
    ("grid", "factorial"), [("one_out", False), ("one_in", False), ("pairs", False), ("full", True)]
)
def test_only_a_balanced_design_has_main_effects(grid: str, factorial: bool) -> None:
    study, _ = synthetic.plan(grid, ["activation", "lrn", "dropout"])
    assert bool(factorial_design(study)) is factorial


def test_one_seed_of_a_factorial_has_estimates_and_no_intervals() -> None:
    table = table_of({"reference": [20.0], "-a": [23.0], "-b": [21.0], "-a -b": [28.0]})
    effect = pick(effects(FULL, Outcomes(table), METRIC), "a", "main")
    assert (effect.n, effect.method) == (1, "one seed: no interval")
    assert effect.estimate == pytest.approx(5.0)
    assert np.isnan([effect.low, effect.high, effect.p]).all()


def test_the_single_differences_average_to_the_effect() -> None:
    table = random_table(FULL, np.random.default_rng(3))
    found = differences(FULL, Outcomes(table), METRIC)
    for effect in effects(FULL, Outcomes(table), METRIC):
        assert np.mean(differences_of(found, effect)) == pytest.approx(effect.estimate)


def test_controls_are_compared_with_the_reference_in_every_grid() -> None:
    for grid in ("one_out", "one_in", "pairs", "full", "fractional"):
        study, _ = synthetic.plan(grid, ["activation", "lrn", "pooling", "dropout"])
        pairs = {one.component: one for one in contrasts(study) if one.component in study.controls}
        assert {name: (one.kind, one.kept) for name, one in pairs.items()} == {
            "mild_sabotage": ("one out", "reference"),
            "placebo": ("one out", "reference"),
            "sabotage": ("one out", "reference"),
        }


def test_intervals_do_not_depend_on_the_global_generator() -> None:
    table = random_table(FULL, np.random.default_rng(4))
    np.random.seed(0)
    first = effects(FULL, Outcomes(table), METRIC)
    np.random.seed(1)
    assert str(effects(FULL, Outcomes(table), METRIC)) == str(first)  # nan is not equal to itself


def test_a_mean_has_the_t_interval_of_scipy() -> None:
    values = [20.0, 21.0, 23.5, float("nan")]
    expected = stats.ttest_1samp(values[:3], 0).confidence_interval(0.95)
    mean, low, high = mean_interval(values)
    assert (mean, low, high) == pytest.approx((21.5, expected.low, expected.high))
    assert np.isnan(mean_interval([])).all()


def test_intervals_cover_a_known_effect_at_their_nominal_rate() -> None:
    random, true, covered, studies = np.random.default_rng(5), 1.3, 0, 300
    study = replace(ONE_OUT, components=(("a", "off"),), variants=ONE_OUT.variants[:2], controls=())
    rows = table_of({"reference": [0.0] * 5, "-a": [0.0] * 5})
    shared, noise = random.normal(0, 1, (studies, 5)), random.normal(0, 1, (studies, 2, 5))
    for block, own in zip(shared, noise, strict=True):
        rows[METRIC] = np.concatenate([block + own[0], block + own[1] + true])
        (effect,) = effects(study, Outcomes(rows), METRIC)
        covered += effect.low <= true <= effect.high
    # Within three standard errors, of .0126: quantiles of the normal in place of the t's would cover 88 of 100.
    assert 0.912 <= covered / studies <= 0.988
