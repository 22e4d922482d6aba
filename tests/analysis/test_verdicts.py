"""Every verdict by its words, the gates before them, and what is fixed before the first trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import nan, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from ablations.analysis import gates
from ablations.analysis.asked import proxy_reasons
from ablations.analysis.declared import briefly_post_hoc, post_hoc
from ablations.analysis.rule import (
    CALLS,
    CONTRADICTED,
    DIRECTION_ONLY,
    INCONCLUSIVE,
    NO_EFFECT,
    NOT_TESTED,
    REPRODUCED,
    adjust,
    call,
)
from ablations.analysis.seeds_needed import seeds_to_settle
from ablations.analysis.verdict import Verdict
from ablations.analysis.verdicts import Findings, judge
from ablations.core.claim import ONE_OUT, Claim, Conditions, Rule
from ablations.core.effect import Effect
from ablations.core.result import Result
from ablations.core.study import Study
from ablations.planning.declare import declare
from ablations.records import store
from ablations.reporting.sections.cards import in_words
from ablations.reporting.sections.remedies import changes_it
from ablations.reporting.sections.verdicts import ours, published
from ablations.reporting.trust import trust_line
from ablations.subjects.alexnet.metrics import FITTED
from tests import synthetic
from tests.making import CLAIMS, with_setting

ROOT = Path(__file__).parents[2]
NAMED = {claim.name: claim for claim in CLAIMS}
CLAIM = replace(NAMED["lrn_cifar"], smallest_effect=1.0, published_effect=2.0)
WORDS = ["lrn", "pooling", "dropout", "activation"]


def effect(estimate: float, error: float, n: int = 10) -> Effect:
    """A paired effect of `lrn` with the interval that a t with n - 1 degrees of freedom gives."""
    half = error * stats.t.ppf(0.975, n - 1)
    return Effect(
        component="lrn",
        level="off",
        metric="test_top1_error_percent",
        kind=ONE_OUT,
        estimate=estimate,
        low=estimate - half,
        high=estimate + half,
        p=float(2 * stats.t.sf(abs(estimate) / error, n - 1)),
        n=n,
        correlation=nan,
        method="paired t",
        error=error,
        df=n - 1,
        spread=error * sqrt(n),
    )


# With ten seeds and one comparison, t(.975, 9) is 2.262 and t(.95, 9) is 1.833; the margin is 1.
@pytest.mark.parametrize(
    ("estimate", "error", "words"),
    [
        (2.0, 0.4, "reproduced"),  # lower bound 1.10
        (2.0, 0.5, "reproduced (direction only)"),  # lower bound 0.87
        (0.5, 0.1, "reproduced (direction only)"),  # surely above 0 and surely below 1
        (-2.0, 0.4, "contradicted"),  # upper bound -1.10
        (-2.0, 0.5, "contradicted"),  # upper bound -0.87: below 0, size open
        (0.0, 0.5, "contradicted (no effect of interest)"),  # 90% interval within 0.92
        (-0.5, 0.1, "contradicted (no effect of interest)"),  # surely below 0, and surely above -1
        (0.0, 0.6, "inconclusive"),  # 90% interval reaches 1.10
        (0.9, 0.5, "inconclusive"),
    ],
)
@pytest.mark.parametrize("direction", [1, -1])
def test_every_call_by_its_words(estimate: float, error: float, words: str, direction: int) -> None:
    found = effect(direction * estimate, error)
    assert call(replace(CLAIM, direction=direction), found, found.p, 1, 0.05) == words
    assert words in CALLS


def test_with_more_comparisons_the_same_effect_says_less() -> None:
    found = effect(2.0, 0.4)
    calls = [call(CLAIM, found, min(1.0, found.p * m), m, 0.05) for m in (1, 2, 12, 400)]
    assert calls == [REPRODUCED, DIRECTION_ONLY, DIRECTION_ONLY, INCONCLUSIVE]


def test_the_directions_are_holms_and_the_sizes_simultaneous() -> None:
    # With two comparisons at .05 each, Holm finds the second at .04 once the first is found; its interval holds zero.
    found = effect(1.2, 1.2 / stats.t.isf(0.02, 9))
    assert found.p == pytest.approx(0.04)
    assert call(CLAIM, found, 0.04, 2, 0.05) == DIRECTION_ONLY
    assert call(CLAIM, found, 0.08, 2, 0.05) == INCONCLUSIVE


def test_p_values_are_adjusted_over_the_questions_of_a_family() -> None:
    claims = [NAMED[name] for name in ("lrn_imagenet", "lrn_cifar", "pooling_error", "pooling_overfitting")]
    other = replace(NAMED["dropout_overfitting"], also="", family="mine")
    lrn, pooling = effect(1.0, 0.3), effect(0.3, 0.2)
    adjusted = adjust([*claims, other], [lrn, lrn, pooling, None, effect(1.0, 0.5)])
    # Three questions: what LRN does to the error is asked twice, and an untested one counts as p = 1.
    expected = multipletests([lrn.p, pooling.p, 1.0], method="holm")[1]
    assert [p for p, _ in adjusted[:4]] == pytest.approx([expected[0], *expected])
    assert [m for _, m in adjusted] == [3, 3, 3, 3, 1]
    assert adjusted[4][0] == pytest.approx(effect(1.0, 0.5).p)


def planned(words: list[str], *, seeds: int = 10, grid: str = "one_out") -> tuple[Study, list[Result]]:
    """A declared study whose chance level is known, and results with known effects."""
    study, trials = synthetic.plan(grid, words, seeds=seeds)
    study = with_setting(study, guessing=90.0)
    results = [
        replace(one, activity=one.activity and {**one.activity, "lrn": 0.3}) for one in synthetic.results(trials)
    ]
    return declare(study, None, records=0, at="2026-11-23T10:00:00+00:00"), results


def judged(study: Study, results: list[Result]) -> dict[str, Verdict]:
    """Name -> verdict."""
    return {verdict.claim.name: verdict for verdict in judge(Findings(study=study, results=results))}


def with_metrics(results: list[Result], change: Callable[[Result], Mapping[str, float]]) -> list[Result]:
    """The same results with some last-epoch metrics replaced."""
    return [replace(one, metrics={**one.metrics, **change(one)}) for one in results]


def is_(result: Result, label: str) -> bool:
    """Whether it is of that variant."""
    return result.trial.variant.label == label


def test_a_study_is_judged_claim_by_claim_with_scope_and_draft_in_the_words() -> None:
    study, results = planned(WORDS)
    found = judged(study, results)
    assert (
        found["activation_importance"].label == "same direction at this scale [proxy, our reading]"
    )  # 4.0 points, margin 1
    assert found["order_lrn_pooling"].effect is not None
    assert found["order_lrn_pooling"].effect.kept == ("pooling=non_overlapping",)
    assert found["order_lrn_pooling"].effect.estimate == pytest.approx(0.3 - 0.6, abs=0.4)
    study, results = planned(WORDS, seeds=5)
    assert (
        judged(study, results)["activation_importance"].label
        == "same direction at this scale [proxy, draft, our reading]"
    )


def test_the_numbers_of_a_verdict_are_those_of_scipy_at_the_familys_level() -> None:
    study, results = planned(WORDS)
    verdict = judged(study, results)["lrn_imagenet"]
    errors = {
        label: np.array([one.metrics["test_top1_error_percent"] for one in results if is_(one, label)])
        for label in ("-lrn", "reference")
    }
    test = stats.ttest_rel(errors["-lrn"], errors["reference"])
    m = len({question for claim in study.claims for question in claim.questions})  # dropout's test error among them
    assert verdict.comparisons == m == 8
    wide, narrow = test.confidence_interval(1 - 0.05 / m), test.confidence_interval(1 - 0.1 / m)
    assert (verdict.low, verdict.high) == pytest.approx((wide.low, wide.high))
    assert (verdict.inner_low, verdict.inner_high) == pytest.approx((narrow.low, narrow.high))


def test_one_seed_makes_no_verdict() -> None:
    study, results = planned(["lrn"], seeds=1)
    assert {verdict.label for verdict in judged(study, results).values()} == {"not tested (one seed) [proxy]"}


def test_an_inactive_component_is_not_tested() -> None:
    study, results = planned(["lrn"])
    results = [replace(one, activity={"lrn": 0.004} if one.activity else {}) for one in results]
    verdict = judged(study, results)["lrn_cifar"]
    assert (verdict.call, verdict.reason) == (NOT_TESTED, "inactive")
    assert verdict.because == "the lrn's activity in the trained reference is 0.0040, below 0.01"


def test_a_component_whose_activity_was_never_measured_is_not_tested() -> None:
    study, results = planned(["lrn", "pooling"])
    activity = {name: value for name, value in results[0].activity.items() if name != "lrn"}
    found = judged(study, [replace(one, activity=activity if one.activity else {}) for one in results])
    assert (found["lrn_cifar"].call, found["lrn_cifar"].reason) == (NOT_TESTED, "unmeasured")
    assert found["lrn_cifar"].because == "the lrn's activity was measured in no trained reference"
    assert found["order_lrn_pooling"].reason == "unmeasured"  # it compares two, and both have to be known
    assert found["pooling_error"].call != NOT_TESTED
    # All activities removed: no verdict stays, in older studies neither.
    for some in (study, replace(study, rule=Rule())):
        bare = judged(some, [replace(one, activity={}) for one in results])
        assert {verdict.reason for verdict in bare.values()} == {"unmeasured"}


def test_claims_on_the_evaluation_error_and_the_gap_need_a_reference_that_fitted_its_images() -> None:
    study, results = planned(["pooling", "dropout", "weight_decay"])
    assert study.rule.fitted_within == 0.45  # so 40.5%
    about = {name: one.claim.metric for name, one in judged(study, results).items()}
    assert {*about.values()} >= {"test_top1_error_percent", "gap_percent", "clean_train_top1_error_percent"}

    def fitted(error: float, label: str = "reference") -> dict[str, str]:
        changed = with_metrics(results, lambda one: {FITTED: error + 0.01 * one.trial.seed} if is_(one, label) else {})
        return {name: verdict.reason for name, verdict in judged(study, changed).items()}

    for error, reason in ((40.3, ""), (40.6, "underfits"), (nan, "underfits")):
        reasons = fitted(error)
        for name, metric in about.items():
            if metric != "clean_train_top1_error_percent":
                assert reasons[name] == reason, name
            elif not np.isnan(error):  # a claim on the training error itself asks no such thing
                assert reasons[name] == "", name
    assert "underfits" not in fitted(80.0, label="-dropout").values()  # of the reference alone it is asked
    old = replace(study, rule=Rule())
    flat = with_metrics(results, lambda one: {FITTED: 80.0 + 0.01 * one.trial.seed} if is_(one, "reference") else {})
    assert "underfits" not in {verdict.reason for verdict in judged(old, flat).values()}


@pytest.mark.parametrize(
    ("linear", "asked", "error", "passed"),
    [
        (60.0, 0.1, 53.9, True),  # 54 is a tenth below 60
        (60.0, 0.1, 54.1, False),
        (60.0, None, 54.1, True),  # an older rule
        (None, 0.1, 54.1, True),  # no number: chance alone, and it is said
        (89.0, 0.1, 67.4, True),  # three quarters of chance, 67.5, are less than nine tenths of 89
        (89.0, 0.1, 67.6, False),
    ],
)
def test_the_reference_has_to_beat_a_linear_classifier_too(
    linear: float | None, asked: float | None, error: float, passed: bool
) -> None:
    study, trials = synthetic.plan("one_out", ["lrn"], seeds=2)
    assert study.rule.beats_linear_by == 0.1
    rule = replace(study.rule, beats_linear_by=asked)
    study = with_setting(replace(study, rule=rule), guessing=90.0, baseline=linear)
    results = [synthetic.done(trial, error) for trial in trials if not trial.variant.departures]
    gate = gates.learns(Findings(study=study, results=results))
    assert gate.passed is passed
    assert "below 67.50%, 75% of what guessing gives" in gate.demand
    assert ("below 54.00%, 90% of what a linear classifier" in gate.demand) is (linear == 60.0 and asked == 0.1)
    assert ("what a linear classifier gives was not computed for this study" in gate.demand) is (linear is None)
    assert gates.learns(Findings(study=study, results=[])).passed is None


def test_claims_on_overfitting_are_not_tested_where_nothing_overfits() -> None:
    study, results = planned(["pooling"])
    flat = with_metrics(results, lambda one: {"gap_percent": 0.3 + 0.1 * (one.trial.seed % 3)})
    verdict = judged(study, [replace(one, metrics={**one.metrics}) for one in flat])["pooling_overfitting"]
    assert verdict.reason == "too few distinct pairs"  # both arms alike
    uneven = with_metrics(flat, lambda one: {"gap_percent": 0.3 + 0.01 * (int(one.trial.key, 16) % 17)})
    verdict = judged(study, uneven)["pooling_overfitting"]
    assert (verdict.call, verdict.reason) == (NOT_TESTED, "underfits")
    assert "nothing overfits here" in verdict.because
    assert judged(study, results)["pooling_overfitting"].call != NOT_TESTED


def test_over_a_fifth_of_missing_pairs_is_not_tested_and_a_fifth_is() -> None:
    study, results = planned(["lrn"])
    for broken, reason in ((2, ""), (3, "missing pairs")):
        some = [synthetic.failed(one) if is_(one, "-lrn") and one.trial.seed < broken else one for one in results]
        assert judged(study, some)["lrn_cifar"].reason == reason
    some = [synthetic.diverged(one) if is_(one, "-lrn") and one.trial.seed == 9 else one for one in some]
    because = judged(study, some)["lrn_cifar"].because
    assert because.startswith("3 of 10 pairs are missing, as 3 trials ended in an error (")
    assert because.endswith("), and of 1 more a training failed")


def test_a_study_in_progress_waits_for_its_pairs() -> None:
    study, results = planned(["lrn"])
    verdict = judged(study, results[: len(results) // 2])["lrn_cifar"]
    assert (verdict.reason, verdict.because) == ("missing pairs", "5 of 10 pairs are missing")
    assert judged(study, [])["lrn_cifar"].label == "not tested (gate) [proxy]"


def test_a_toggle_that_did_nothing_is_not_tested() -> None:
    study, results = planned(["lrn"])
    kept = {one.trial.seed: one for one in results if is_(one, "reference")}
    same = [replace(one, metrics=kept[one.trial.seed].metrics) if is_(one, "-lrn") else one for one in results]
    assert judged(study, same)["lrn_cifar"].reason == "too few distinct pairs"


def test_a_comparison_that_the_study_does_not_make_is_not_tested() -> None:
    study, results = planned(["lrn"])
    study = replace(study, claims=(NAMED["order_lrn_pooling"], NAMED["dropout_overfitting"]))
    assert {verdict.reason for verdict in judged(study, results).values()} == {"no arm"}


@pytest.mark.parametrize(
    ("label", "error", "sentence"),
    [
        ("reference", 80.0, "the reference learns: no, "),  # chance is 90, a quarter less 67.5
        ("sabotage=half", 21.0, "the sabotage is detected: no"),
        ("placebo=salted", 25.0, "the placebo is not: no"),
    ],
)
def test_a_study_that_fails_a_gate_has_no_verdicts_and_says_why(label: str, error: float, sentence: str) -> None:
    study, results = planned(["lrn", "pooling"])
    random = np.random.default_rng(9)
    spoilt = [
        synthetic.done(one.trial, error + float(random.normal(0, 0.3))) if is_(one, label) else one for one in results
    ]
    found = judged(study, spoilt)
    assert {(verdict.call, verdict.reason) for verdict in found.values()} == {(NOT_TESTED, "gate")}
    assert all(sentence in verdict.because for verdict in found.values())


def test_a_grid_without_a_sabotage_is_not_asked_for_one() -> None:
    study, results = planned(["activation=tanh"])
    placebo = replace(study, grid="figure1", controls=("placebo",), wanted=("placebo",))
    names = [gate.name for gate in gates.study_gates(Findings(study=placebo, results=results))]
    assert names == ["the reference learns", "the placebo is not"]


def test_the_chance_level_is_what_the_study_recorded_and_without_it_nothing_is_judged() -> None:
    study, results = planned(["lrn"])
    assert gates.chance_error(Findings(study=study, results=[])) == 90.0
    unknown = with_setting(study, guessing=None)
    assert np.isnan(gates.chance_error(Findings(study=unknown, results=results)))
    gate, *_ = gates.study_gates(Findings(study=unknown, results=results))
    assert (gate.passed, gate.found) == (None, "no finished reference, or the chance level is not known")
    assert {verdict.reason for verdict in judged(unknown, results).values()} == {"gate"}
    # Ten balanced classes, as the committed study has it written down.
    written, found, _ = store.read(ROOT / "results" / "reference" / "cifar10-six")
    assert gates.chance_error(Findings(study=written, results=found)) == pytest.approx(90.0)


def test_arms_of_other_sizes_are_labelled_confounded() -> None:
    study, results = planned(["width", "lrn"])
    found = judged(study, results)
    assert found["width_two_gpus"].label.endswith("[proxy, confounded]")
    # Of 8,991,946 parameters 3.2% go, less than the rule's 5%, and of 63.6 million multiply-adds 36.0 are left.
    assert found["width_two_gpus"].confounds == "\N{MINUS SIGN}43.4% multiply-adds"
    assert found["lrn_cifar"].confounds == ""
    assert found["order_width_lrn"].confounds == found["width_two_gpus"].confounds
    smaller = with_metrics(results, lambda one: {"parameters": 8e6 if is_(one, "width=half") else 1e7})
    both = "\N{MINUS SIGN}20.0% parameters, \N{MINUS SIGN}43.4% multiply-adds"
    assert judged(study, smaller)["width_two_gpus"].confounds == both


def test_a_claim_on_early_learning_is_read_off_the_curve() -> None:
    study, results = planned(["bias_init=one"])
    later = [
        replace(one, curve=tuple({**row, "train_loss": 2.0 + (row["epoch"] == 1) * is_(one, "bias_init=one") * -0.1
                                  + 0.001 * (one.trial.seed + row["epoch"])
                                  + 0.001 * (int(one.trial.key, 16) % 5)} for row in one.curve))
        for one in results
    ]  # fmt: skip
    verdict = judged(study, later)["bias_init_added"]
    assert verdict.effect is not None
    assert verdict.effect.estimate == pytest.approx(-0.1, abs=0.005)  # the last epoch has none
    assert verdict.call == REPRODUCED


@pytest.mark.parametrize(("grid", "kind"), [("one_in", "one in"), ("fractional", "main"), ("full", "main")])
def test_a_claim_is_judged_on_its_designs_estimand(grid: str, kind: str) -> None:
    study, results = planned(WORDS, grid=grid, seeds=2)
    verdict = judged(study, results)["activation_importance"]
    assert verdict.effect is not None
    assert verdict.effect.kind == kind
    assert verdict.call != NOT_TESTED


def test_scope_is_computed_from_where_the_claim_was_made() -> None:
    study, _ = planned(["lrn"])
    assert proxy_reasons(NAMED["lrn_imagenet"], study) == (
        "cifar10 for imagenet",
        "preset cifar for paper or original_code",
        "50,000 training images for 1,200,000",
        "32 pixels for 224",
        "12 epochs for 90",
    )
    assert proxy_reasons(replace(CLAIM, conditions=Conditions(datasets=("cifar10",), epochs=12)), study) == ()
    faster = replace(study, setting=replace(study.setting, facts={**study.setting.facts, "learning_rate": 0.03}))
    assert "a learning rate of 0.03 for the preset's" in proxy_reasons(NAMED["lrn_imagenet"], faster)
    assert proxy_reasons(NAMED["activation_speed"], study)[0].startswith("the error after equal epochs")


def test_the_published_effect_is_held_against_the_prediction_interval_where_the_study_is_faithful() -> None:
    study, results = planned(["lrn"])
    for effect_published, inside in ((0.4, "yes"), (5.0, "no"), (None, "no number published")):
        claim = replace(CLAIM, conditions=Conditions(), published_effect=effect_published)
        verdict = judged(replace(study, claims=(claim,)), results)["lrn_cifar"]
        assert (verdict.scope, verdict.published_inside) == ("faithful", inside)
    assert judged(study, results)["lrn_cifar"].published_inside == "not comparable (proxy)"


def test_the_seeds_that_would_decide_an_open_claim_decide_it() -> None:
    found = effect(0.2, 0.6)
    needed = seeds_to_settle(CLAIM, found, INCONCLUSIVE, 0.05 / 4)
    assert needed
    # Twenty times as precise, nothing is open: an effect of the margin is found, and one of zero excluded.
    for true, wanted in ((1.0, DIRECTION_ONLY), (0.0, NO_EFFECT)):
        random, hits = np.random.default_rng(10), 0
        for _ in range(400):
            values = random.normal(true, found.spread, needed)
            seen = effect(float(values.mean()), float(stats.sem(values)), needed)
            hits += call(CLAIM, seen, min(1.0, 4 * seen.p), 4, 0.05) in (wanted, REPRODUCED)
        assert hits / 400 > 0.75
    assert seeds_to_settle(CLAIM, found, REPRODUCED, 0.05 / 4) is None
    near, far = (seeds_to_settle(CLAIM, effect(d, 0.2), DIRECTION_ONLY, 0.05) for d in (1.1, 1.5))
    assert near and far and near > far > 2


def test_a_study_declared_before_its_first_trial_is_not_post_hoc() -> None:
    study, results = planned(["lrn"])
    assert post_hoc(study, results) == briefly_post_hoc(study, results) == []


def test_claims_rule_or_seeds_that_changed_after_the_first_record_are_post_hoc() -> None:
    study, results = planned(["lrn"], seeds=3)
    grown = declare(synthetic.plan("one_out", ["lrn"], seeds=10)[0], study, records=12, at="2026-11-24T10:00:00+00:00")
    assert post_hoc(grown, results) == [
        "Declared when 12 trials had a record already (2026-11-24T10:00:00+00:00): seeds 3 to 10."
    ]
    edited = replace(study, claims=(replace(study.claims[0], smallest_effect=0.01), *study.claims[1:]))
    assert "changed by hand" in post_hoc(edited, results)[0]
    edited = replace(study, rule=replace(study.rule, alpha=0.2))
    assert "changed by hand" in post_hoc(edited, results)[0]


def test_a_few_words_say_what_was_changed_and_not_that_all_claims_were() -> None:
    study, results = planned(["lrn"], seeds=3)
    more = synthetic.plan("one_out", ["lrn"], seeds=10)[0]
    grown = declare(more, study, records=12, at="2026-11-24T10:00:00+00:00")
    assert briefly_post_hoc(grown, results) == ["declared after the first trial: seeds 3 to 10"]
    wider = synthetic.plan("one_out", ["lrn", "dropout"], seeds=20)[0]
    wider = declare(wider, grown, records=40, at="2026-11-25T10:00:00+00:00")
    words = ["declared after the first trial: seeds 3 to 10, claims added and seeds 10 to 20"]
    assert briefly_post_hoc(wider, results) == words
    assert len(post_hoc(wider, results)) == 2
    assert words[0] in trust_line(Findings(study=wider, results=results))
    first = declare(replace(study, declared=()), None, records=12, at="2026-11-24T10:00:00+00:00")
    assert briefly_post_hoc(first, results) == ["declared after the first trial: claims, rule and seeds"]
    edited = replace(study, claims=(replace(study.claims[0], smallest_effect=0.01), *study.claims[1:]))
    assert briefly_post_hoc(edited, results) == ["study.json was changed by hand"]
    old = replace(study, rule=Rule(), declared=())
    assert briefly_post_hoc(old, results) == ["claims declared after the first trial"]


def test_trials_that_ran_under_another_declaration_are_counted() -> None:
    study, results = planned(["lrn"])
    stamped = [replace(one, provenance={"declared": study.declared[0].digest}) for one in results]
    assert post_hoc(study, stamped) == []
    other = [replace(stamped[0], provenance={"declared": "0123456789ab"}), *stamped[1:]]
    assert post_hoc(study, other) == ["1 trial ran under a declaration that study.json does not know."]


def test_a_study_older_than_the_rule_is_judged_by_todays_and_says_so() -> None:
    study, results, _ = store.read(ROOT / "results" / "reference" / "cifar10-six")
    assert post_hoc(study, results) == ["The study was planned with version 1 of the rule; this is 2."]
    old = replace(study, rule=Rule(), declared=())
    assert post_hoc(old, results)[0].startswith("No rule was written down before its trials")
    then, now = judged(study, results), judged(old, results)
    alike = [name for name, one in now.items() if name in then and one.claim == then[name].claim]
    assert len(alike) >= 4  # claims that nobody has changed since
    assert {name: now[name].call for name in alike} == {name: then[name].call for name in alike}


def test_the_committed_study_is_judged_with_scope_and_fit_in_the_words() -> None:
    study, results, _ = store.read(ROOT / "results" / "reference" / "cifar10-six")
    found = judged(study, results)
    assert found["dropout_convergence"].label == "same direction at this scale [proxy]"
    assert found["activation_importance"].label == "opposite at this scale [proxy, underfitting]"
    assert found["pooling_overfitting"].reason == "underfits"
    assert found["lrn_imagenet"].call == INCONCLUSIVE


def test_an_unknown_rule_of_another_version_is_said() -> None:
    study, results = planned(["lrn"])
    newer = declare(replace(study, rule=Rule(version=3)), None, records=0, at="2026-11-23T10:00:00+00:00")
    assert post_hoc(newer, results) == ["The study was planned with version 3 of the rule; this is 2."]


def test_the_calls_are_six() -> None:
    assert set(CALLS) == {REPRODUCED, DIRECTION_ONLY, CONTRADICTED, NO_EFFECT, INCONCLUSIVE, NOT_TESTED}


def test_a_claim_of_the_users_own_is_judged_in_a_family_of_its_own() -> None:
    study, results = planned(["lrn"])
    mine = Claim(
        name="mine", component="lrn", level="off", statement="Mine.", source="me", metric="test_loss",
        published="no number given", direction=1, smallest_effect=0.001, family="mine",
    )  # fmt: skip
    verdict = judged(replace(study, claims=(*study.claims, mine)), results)["mine"]
    assert (verdict.comparisons, verdict.scope) == (1, "faithful")


def test_a_claim_on_steps_is_told_as_a_ratio() -> None:
    study, results, problems = store.read(ROOT / "results/reference/figure1")
    evidence = Findings(study=study, results=results, problems=problems)
    (verdict,) = evidence.verdicts
    steps = pd.read_csv(ROOT / "results/reference/figure1/table.csv").pivot(
        index="seed", columns="variant", values="steps_to_threshold"
    )
    ratios = np.log(steps["activation=tanh"] / steps["reference"])
    low, high = stats.ttest_1samp(ratios, 0).confidence_interval(0.95)
    middle = f"{np.exp(ratios.mean()):.2f} [{np.exp(low):.2f}, {np.exp(high):.2f}] times, n = 10"
    assert ours(verdict) == middle == "1.66 [1.58, 1.75] times, n = 10"
    assert published(verdict) == "6 times"  # the paper's words under figure 1
    assert verdict.label == "same direction at this scale, less than claimed [proxy]"
    assert changes_it(verdict) == "Nothing by more seeds: its direction holds, and a size of a factor of 2 is excluded."
    assert in_words(evidence, verdict) == (
        "With the change (tanh instead of ReLU) the steps to the threshold came out 1.66 times those without it on "
        "average, which is the claimed direction, and an effect of a factor of 2 is excluded."
    )
