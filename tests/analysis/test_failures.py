"""Trainings that fail: which they are, what is told of them, and what is no longer said of their comparisons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isnan, nan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from ablations.analysis.effects import Contrast, compare
from ablations.analysis.evidence import finished
from ablations.analysis.failures import agrees, failures, marked, share_interval, why_failed
from ablations.analysis.rule import (
    CALLS,
    CONTRADICTED,
    DIRECTION_ONLY,
    INCONCLUSIVE,
    NO_EFFECT,
    NOT_TESTED,
    REPRODUCED,
    call,
)
from ablations.analysis.seeds_needed import seeds_between, seeds_to_settle
from ablations.analysis.statistics import sign_flip_p, spread_interval
from ablations.analysis.tables import Outcomes
from ablations.analysis.verdict import Verdict
from ablations.analysis.verdicts import Findings, judge
from ablations.calibration.failures import AT_CHANCE, NOT_FINITE, simulate, table
from ablations.core.claim import ONE_OUT, Rule
from ablations.core.effect import Effect
from ablations.core.result import DONE, Result
from ablations.core.setting import Setting
from ablations.core.study import Study
from ablations.planning.declare import declare
from ablations.planning.study import FAILED_ABOVE, FAILED_BELOW_BEST
from ablations.records import store
from ablations.reporting.exports import effects_table, verdicts_table
from ablations.reporting.sections.cards import in_words
from ablations.reporting.sections.remedies import changes_it
from tests import synthetic
from tests.making import CLAIMS, setting, with_setting

ROOT = Path(__file__).parents[2]
METRIC = "test_top1_error_percent"
RULE = Rule(failed_above=FAILED_ABOVE, failed_below_best=FAILED_BELOW_BEST)
CLAIM = replace(next(one for one in CLAIMS if one.name == "lrn_cifar"), smallest_effect=1.0)


def _setting(baseline: float | None = None) -> Setting:
    """Of ten classes, where guessing gives 90%."""
    return replace(setting(), guessing=90.0, baseline=baseline)


def guessing(result: Result) -> Result:
    """The same trial, had its network collapsed to one class of ten: it ends at 90% and is `done`."""
    return synthetic.done(result.trial, 90.0)


def of_nan(result: Result) -> Result:
    """The same trial as older versions recorded a network of NaN: done, at 90%, with a loss that JSON calls null."""
    metrics = {**guessing(result).metrics, "test_loss": None}
    return replace(result, metrics=metrics)  # type: ignore[arg-type]


def planned(words: list[str], *, grid: str = "one_out", seeds: int = 10) -> tuple[Study, list[Result]]:
    """A declared study whose chance level is known, and results with known effects."""
    study, trials = synthetic.plan(grid, words, seeds=seeds)
    study = with_setting(study, guessing=90.0)
    results = [
        replace(one, activity=one.activity and {**one.activity, "lrn": 0.3}) for one in synthetic.results(trials)
    ]
    return declare(study, None, records=0, at="2026-11-23T10:00:00+00:00"), results


def failing(results: list[Result], label: str, seeds: int, fail: Callable[[Result], Result]) -> list[Result]:
    """`results`, had the first so many trainings of that variant failed in that way."""
    return [fail(one) if one.trial.variant.label == label and one.trial.seed < seeds else one for one in results]


def judged(study: Study, results: list[Result]) -> dict[str, Verdict]:
    """Name -> verdict."""
    return {verdict.claim.name: verdict for verdict in judge(Findings(study=study, results=results))}


@pytest.mark.parametrize(
    ("error", "loss", "failed"),
    [
        (90.0, 2.303, True),
        (85.6, 2.3, True),  # 85.5 is 95% of 90
        (85.4, 2.3, False),
        (90.0, nan, True),
        (90.0, None, True),  # as JSON has it
        (nan, 1.0, True),
        (45.0, float("inf"), True),
        (45.0, 1.5, False),
    ],
)
def test_a_failure_is_one_thing_whatever_it_looks_like(error: float, loss: float | None, failed: bool) -> None:
    metrics = {METRIC: error, "test_loss": loss}
    assert bool(why_failed(metrics, _setting(), RULE)) is failed


def test_a_rule_that_was_declared_before_failures_judges_no_error_and_keeps_its_digest() -> None:
    assert not why_failed({METRIC: 90.0, "test_loss": 2.3}, _setting(), Rule())
    assert why_failed({METRIC: 90.0, "test_loss": None}, _setting(), Rule())  # no number at all is no choice
    study = store.read_study(ROOT / "results" / "reference" / "cifar10-six")
    assert study.rule.failed_above == 0 and study.declared
    fresh = declare(study, study, records=0, at="2026-11-28T10:00:00+00:00")
    assert fresh.declared == study.declared


def test_new_studies_declare_what_a_failure_is_and_read_it_back() -> None:
    study, _ = planned(["lrn"], seeds=2)
    assert (study.rule.failed_above, study.rule.failed_below_best) == (0.95, 0.5)
    again = Study.from_dict(with_setting(study, baseline=62.0).to_dict())
    assert (again.rule, again.setting.baseline) == (study.rule, 62.0)
    without = {name: value for name, value in study.to_dict()["setting"].items() if name != "baseline"}
    assert Study.from_dict({**study.to_dict(), "setting": without}).setting.baseline is None


def test_a_training_is_left_behind_by_its_own_variant_and_never_by_the_linear_classifier_alone() -> None:
    # What was seen: ridge regression on the pixels has about 62% error, and these are real trainings.
    study, results, _ = store.read(ROOT / "results" / "reference" / "cifar10-six")
    study = replace(study, rule=replace(study.rule, failed_above=0.95, failed_below_best=0.5))
    errors = {(one.trial.variant.label, one.trial.seed): one.metrics[METRIC] for one in results}
    named = {one.trial.key: (one.trial.variant.label, one.trial.seed) for one in results}
    at_chance = {named[key] for key in failures(study, results)}
    assert at_chance == {place for place, error in errors.items() if error > 85.5}
    assert len(at_chance) == 2
    behind = {named[key] for key in failures(with_setting(study, baseline=62.0), results)} - at_chance
    # 75.1% where others of -lrn reach 58.0%: it has shed 14.9 of 32.0 points.  The sabotage is above 62% throughout.
    assert {(label, round(errors[label, seed], 1)) for label, seed in behind} == {("-lrn", 75.1)}
    assert min(error for (label, _), error in errors.items() if label == "sabotage=half") > 72
    nothing = replace(study, rule=replace(study.rule, failed_below_best=0.0))
    nothing = with_setting(nothing, baseline=62.0)
    assert {named[key] for key in failures(nothing, results)} == at_chance


def test_a_variant_that_is_honestly_worse_than_linear_has_not_failed() -> None:
    for error, best in ((64.0, 63.0), (64.0, 61.0), (70.0, 61.0)):
        assert not why_failed({METRIC: error, "test_loss": 1.8}, _setting(62.0), RULE, best=best)
    assert why_failed({METRIC: 76.0, "test_loss": 1.8}, _setting(62.0), RULE, best=61.0)
    assert not why_failed({METRIC: 76.0, "test_loss": 1.8}, _setting(), RULE, best=61.0)  # not computed


def outcomes(arms: dict[str, list[float]]) -> Outcomes:
    """One row for each variant and seed; nan stands for a training that failed."""
    rows = [
        {"key": f"{label}/{seed}", "variant": label, "seed": seed, "status": "done", METRIC: value}
        for label, values in arms.items()
        for seed, value in enumerate(values)
    ]
    found = pd.DataFrame(rows)
    return Outcomes(marked(found, found["key"][found[METRIC].isna()].tolist()))


CONTRAST = Contrast(component="lrn", level="off", kind=ONE_OUT, departed="-lrn", kept="reference")


def test_an_effect_tells_how_often_its_arms_train_and_how_well_where_both_do() -> None:
    kept = [20.0, 21.0, 22.0, 21.5, nan, 20.5, 21.1, 20.2]
    departed = [21.5, nan, 23.0, 22.4, 22.0, nan, nan, 22.1]
    effect = compare(outcomes({"reference": kept, "-lrn": departed}), CONTRAST, METRIC)
    assert (effect.trained, effect.ended, effect.failed, effect.unstable) == ((5, 7), (8, 8), (3, 1), True)
    change = np.array([1.5, 1.0, 0.9, 1.9])  # seeds 0, 2, 3 and 7
    expected = stats.ttest_1samp(change, 0)
    assert (effect.n, effect.estimate, effect.p) == pytest.approx((4, change.mean(), expected.pvalue))
    # Of four seeds at which one arm alone failed, it was that with the change three times.
    assert effect.p_trained == pytest.approx(stats.binomtest(3, 4).pvalue)
    assert effect.p_flip == pytest.approx(sign_flip_p(change)) == pytest.approx(2 / 2**4)
    whole = compare(outcomes({"reference": kept[:4], "-lrn": [21.5, 22.0, 23.0, 22.4]}), CONTRAST, METRIC)
    assert (whole.unstable, whole.trained) == (False, (4, 4))
    assert isnan(whole.p_trained) and isnan(whole.p_flip)


def test_the_interval_of_how_often_an_arm_trains_is_clopper_and_pearsons() -> None:
    for trained, ended in ((0, 5), (5, 5), (8, 10), (19, 20)):
        expected = proportion_confint(trained, ended, method="beta")
        assert share_interval(trained, ended) == pytest.approx(expected)
    assert np.isnan(share_interval(0, 0)).all()


def unstable(estimate: float, p_flip: float, failed: tuple[int, int], metric: str = METRIC, failing: int = 1) -> Effect:
    """An effect of ten seeds, some of whose trainings failed."""
    return Effect(
        component="lrn", level="off", metric=metric, kind=ONE_OUT, estimate=estimate, low=estimate - 0.1,
        high=estimate + 0.1, p=1e-9, n=8, correlation=nan, method="", error=0.05, df=7, spread=0.14,
        ended=(10, 10), trained=(10 - failed[0], 10 - failed[1]), p_flip=p_flip, failing=failing,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("estimate", "p", "failed", "words"),
    [
        (5.0, 0.01, (2, 0), DIRECTION_ONLY),  # it does worse, and fails oftener; five margins, and no size
        (5.0, 0.01, (1, 1), DIRECTION_ONLY),
        (5.0, 0.01, (0, 2), INCONCLUSIVE),  # it does worse where both train, and trains oftener
        (5.0, 0.20, (2, 0), INCONCLUSIVE),
        (-5.0, 0.01, (0, 2), CONTRADICTED),
        (-5.0, 0.01, (2, 0), INCONCLUSIVE),  # better where both train, and it collapses
        (0.0, 1.0, (1, 0), INCONCLUSIVE),  # an interval of a tenth of a margin, and no "no effect"
    ],
)
def test_an_unstable_comparison_has_at_most_a_direction(
    estimate: float, p: float, failed: tuple[int, int], words: str
) -> None:
    effect = unstable(estimate, p, failed)
    assert call(CLAIM, effect, p, 1, 0.05) == words
    assert call(replace(CLAIM, direction=-1), replace(effect, estimate=-estimate), p, 1, 0.05) in CALLS
    assert seeds_to_settle(CLAIM, effect, words, 0.05) is None
    assert seeds_between(lambda one: seeds_to_settle(CLAIM, one, words, 0.05), effect, 1.0) == (None, None)


def test_a_failure_raises_an_error_and_lowers_a_gap() -> None:
    assert agrees(unstable(1.0, 0.01, (2, 0))) and not agrees(unstable(1.0, 0.01, (0, 2)))
    assert not agrees(unstable(1.0, 0.01, (2, 0), "gap_percent", failing=setting().metrics["gap_percent"].failing))
    assert agrees(unstable(-1.0, 0.01, (2, 0), "gap_percent", failing=setting().metrics["gap_percent"].failing))
    assert not agrees(unstable(-1.0, 0.01, (2, 0), "train_loss@1"))


@pytest.mark.parametrize("seeds", [1, 2, 5, 10])
def test_a_collapse_to_chance_and_one_to_nan_have_the_same_verdicts(seeds: int) -> None:
    study, results = planned(["lrn", "dropout", "pooling"])
    found = [
        judged(study, failing(results, "-dropout", seeds, fail)) for fail in (guessing, of_nan, synthetic.diverged)
    ]
    labels = [{name: one.label for name, one in some.items()} for some in found]
    assert labels[0] == labels[1] == labels[2]
    effects = [str(some["dropout_overfitting"].effect) for some in found]  # as text, in which nan is nan
    assert effects[0] == effects[1] == effects[2]
    for one in found[0].values():
        about = one.claim.component == "dropout"
        assert ("unstable" in one.label or "failed" in one.label) is about
        if about:
            assert one.call in (DIRECTION_ONLY, CONTRADICTED, INCONCLUSIVE, NOT_TESTED)
            assert (one.seeds, one.seeds_low, one.seeds_high) == (None, None, None)


def test_an_arm_that_never_trains_has_failed_and_has_not_been_left_out() -> None:
    study, results = planned(["lrn"], seeds=5)
    for fail in (guessing, synthetic.diverged):
        verdict = judged(study, failing(results, "-lrn", 5, fail))["lrn_cifar"]
        assert verdict.label == "not tested (failed, 5 of 5) [proxy]"
        assert verdict.because == (
            "too few pairs are left to compare: 0 of 5 trained with the change and 5 of 5 without it"
        )
        assert changes_it(verdict).startswith("A recipe by which both arms train.")
    one_left = judged(study, failing(results, "-lrn", 4, guessing))["lrn_cifar"]
    assert one_left.label == "not tested (failed, 4 of 5) [proxy]"


def test_a_few_failures_leave_a_direction_and_take_the_size() -> None:
    study, results = planned(["activation"])
    whole = judged(study, results)["activation_importance"]
    assert whole.call == REPRODUCED
    verdict = judged(study, failing(results, "activation=tanh", 1, guessing))["activation_importance"]
    assert verdict.label == "same direction at this scale [proxy, unstable, our reading]"
    assert not verdict.size_known
    assert verdict.effect and verdict.effect.n == 9
    assert verdict.effect.p_flip == pytest.approx(2 / 2**9)
    assert verdict.p_holm == pytest.approx(verdict.effect.p_flip * verdict.comparisons)  # the only one of its family
    assert "no number of seeds" in changes_it(verdict)
    evidence = Findings(study=study, results=results)
    assert "where both trained, which is the claimed direction" in in_words(evidence, verdict)
    other_arm = judged(study, failing(results, "reference", 2, guessing))["activation_importance"]
    assert other_arm.label == "cannot tell yet [proxy, unstable, our reading]"
    assert in_words(evidence, other_arm) == (
        "Trainings failed, so a mean says little: 10 of 10 trained with the change and 8 of 10 without it."
    )


def test_a_factorial_tells_its_failures_by_level_and_none_of_its_main_effects_has_a_size() -> None:
    study, results = planned(["activation", "lrn", "dropout"], grid="full", seeds=8)
    assert not any(one.unstable for one in Findings(study=study, results=results).effects)
    bad = [guessing(one) if one.trial.variant.label == "-dropout" and one.trial.seed < 3 else one for one in results]
    evidence = Findings(study=study, results=bad)
    main = {one.component: one for one in evidence.effects if one.kind == "main"}
    assert main["dropout"].trained == (29, 32) and main["dropout"].ended == (32, 32)
    assert (main["lrn"].trained, main["activation"].trained) == ((32, 29), (32, 29))
    # Three seeds with a difference, all of one sign: 2 of the 8 patterns of signs are as far out.
    assert main["dropout"].p_trained == pytest.approx(0.25)
    assert main["activation"].p_flip == pytest.approx(2 / 2**5)  # over the five seeds whose whole design trained
    assert all(one.unstable for one in main.values())
    assert all(call(CLAIM, one, 1e-9, 1, 0.05) not in (REPRODUCED, NO_EFFECT) for one in main.values())
    steady = replace(main["activation"], trained=main["activation"].ended)
    assert call(CLAIM, steady, 1e-9, 1, 0.05) == REPRODUCED


def test_means_activities_and_images_are_those_of_trainings_that_trained() -> None:
    study, results = planned(["lrn"], seeds=4)
    results = [replace(one, outcomes="AAAA", metrics={**one.metrics, "evaluated_examples": 24}) for one in results]
    evidence = Findings(study=study, results=failing(results, "reference", 1, guessing))
    assert len(evidence.values(METRIC, "reference")) == 3
    assert evidence.failed_by_variant == {"reference": (1, 4)}
    assert ("reference", 0) not in evidence.right and ("-lrn", 0) in evidence.right
    assert len(finished(evidence)) == len(results) - 1
    assert evidence.count(DONE) == len(results)


def test_exports_hold_both_lines_and_the_flag() -> None:
    study, results = planned(["dropout"])
    evidence = Findings(study=study, results=failing(results, "-dropout", 2, guessing))
    row = effects_table(evidence).set_index("component").loc["dropout"]
    assert (row["trained_with"], row["ended_with"], row["trained_without"], bool(row["unstable"])) == (8, 10, 10, True)
    assert (row["trained_with_low"], row["trained_with_high"]) == pytest.approx(share_interval(8, 10))
    assert row["p_trained"] == pytest.approx(0.5) and row["p_flip"] < 0.05
    verdicts = verdicts_table(evidence)
    assert verdicts["unstable"].all() and verdicts["seeds_to_settle_high"].isna().all()


def test_the_interval_of_a_spread_holds_it_as_often_as_it_says() -> None:
    random, held = np.random.default_rng(3), 0
    for values in random.normal(0, 2.0, (2000, 10)):
        low, high = spread_interval(float(values.std(ddof=1)), 9)
        held += low <= 2.0 <= high
    assert held / 2000 == pytest.approx(0.95, abs=0.02)
    assert np.isnan(spread_interval(nan, 9)).all() and np.isnan(spread_interval(1.0, 0)).all()


def test_seeds_come_with_their_own_uncertainty_or_not_at_all() -> None:
    study, results = planned(["lrn"])
    verdict = judged(study, results)["lrn_cifar"]
    effect = Effect(
        component="lrn", level="off", metric=METRIC, kind=ONE_OUT, estimate=0.2, low=-0.8, high=1.2, p=0.6, n=10,
        correlation=nan, method="", error=0.45, df=9, spread=1.42,
    )  # fmt: skip
    point = seeds_to_settle(CLAIM, effect, INCONCLUSIVE, 0.05)
    low, high = seeds_between(lambda one: seeds_to_settle(CLAIM, one, INCONCLUSIVE, 0.05), effect, None)
    assert point and low and high and low < point < high
    # The number goes with the variance, whose 95% interval from ten normal values is .47 to 3.33 times what was seen.
    assert (low / point, high / point) == pytest.approx((0.47, 3.33), rel=0.15)
    open_ = replace(verdict, call=INCONCLUSIVE, claim=CLAIM, seeds=point, seeds_low=low, seeds_high=high)
    assert verdict.effect
    open_ = replace(open_, effect=replace(verdict.effect, n=(there := 5)))
    assert changes_it(open_) == f"{low} to {high} seeds would find an effect of 1 point, or exclude it."
    # Fewer seeds than there are, or as many, were not enough.
    assert changes_it(replace(open_, seeds_low=2)).startswith(f"{there + 1} to {high} seeds")
    assert changes_it(replace(open_, seeds_low=2, seeds_high=None)).endswith(f"how many: {there + 1} or more.")
    assert changes_it(replace(open_, seeds_low=2, seeds_high=3)).startswith(f"{there + 1} seeds would find")
    assert changes_it(replace(open_, seeds_high=None)).endswith(f"do not tell how many: {low} or more.")
    assert changes_it(replace(open_, seeds_low=None, seeds_high=None)).startswith("Over 500 seeds would find")
    # Where the effect itself may lie at the smallest of interest, no number of seeds is enough to be sure.
    seen = replace(effect, estimate=1.5, low=0.9, high=2.1, p=0.0003)
    clear = replace(effect, estimate=3.0, low=2.0, high=4.0, p=0.0003)

    def settled(one: Effect) -> int | None:
        return seeds_to_settle(CLAIM, one, DIRECTION_ONLY, 0.05)

    assert seeds_between(settled, seen, 1.0)[1] is None
    bounds, middle = seeds_between(settled, clear, 1.0), settled(clear)
    assert bounds[0] and middle and bounds[1] and bounds[0] <= middle <= bounds[1]


@pytest.mark.parametrize("truth", ["no effect", "at the margin"])
def test_where_changes_make_trainings_collapse_verdicts_err_no_oftener_than_the_rule_says(truth: str) -> None:
    way = {"share": 0.1, "studies": 60, "claims": 3}
    one, other = (simulate(truth, way=name, told=True, **way) for name in (AT_CHANCE, NOT_FINITE))  # type: ignore[arg-type]
    assert one.calls == other.calls
    assert replace(one, way=NOT_FINITE) == other  # whatever a collapse looks like
    for count in (one.no_effect_wrong, one.wrong_direction, one.wrong_size):
        assert stats.binom.sf(count - 1, 60, 0.05) > 0.001
    assert one.sized == 0
    assert one.shares_held / (60 * 3) > 0.9
    before = simulate(truth, way=NOT_FINITE, told=False, **way)  # type: ignore[arg-type]
    if truth == "no effect":
        assert before.sized > 0.3 * 60 * 3  # sizes were told of arms in which trainings had vanished
    assert len(table([one, before]).splitlines()) == 4
