"""What the report's Methods say of claims that were not tested is what was done with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ablations.analysis import obstacles
from ablations.analysis.rule import NOT_TESTED
from ablations.analysis.verdicts import Findings
from ablations.core.result import Result
from ablations.core.study import Study
from ablations.reporting.document import Table
from ablations.reporting.sections.verdicts import methods
from ablations.subjects.alexnet.metrics import FITTED
from tests import synthetic
from tests.analysis import test_time_to_target
from tests.analysis.test_verdicts import NAMED, is_, judged, planned, with_metrics
from tests.making import with_setting

Case = tuple[Study, list[Result]]


def row(case: Case) -> str:
    """When a claim is not tested, in the words of the report."""
    study, results = case
    (rule,) = [one for one in methods(Findings(study=study, results=results)).blocks if isinstance(one, Table)][1:2]
    (words,) = [words for verdict, words in rule.rows if verdict == NOT_TESTED]
    assert rule.rows[0][0] == NOT_TESTED and "the first line that holds decides" in rule.caption
    return str(words)


def of_lrn(change: Callable[[Result], Result] = lambda one: one, *, seeds: int = 10) -> Case:
    study, results = planned(["lrn"], seeds=seeds)
    return study, [change(one) for one in results]


def no_arm() -> Case:
    study, results = of_lrn()
    return replace(study, claims=(NAMED["dropout_overfitting"],)), results


def no_spread() -> Case:
    study, results = of_lrn()
    kept = {one.trial.seed: one.metrics for one in results if is_(one, "reference")}
    return study, [replace(one, metrics=kept[one.trial.seed]) if is_(one, "-lrn") else one for one in results]


def missing(pairs: int) -> Case:
    return of_lrn(lambda one: synthetic.failed(one) if is_(one, "-lrn") and one.trial.seed < pairs else one)


def failed(of_five: int) -> Case:
    diverges = synthetic.diverged
    return of_lrn(lambda one: diverges(one) if is_(one, "-lrn") and one.trial.seed < of_five else one, seeds=5)


def unfitted() -> Case:
    study, results = of_lrn()
    return study, with_metrics(results, lambda one: {FITTED: 80.0 + 0.01 * one.trial.seed})


def censored() -> Case:
    study, results = test_time_to_target.raced(5.7)
    study = with_setting(replace(study, claims=tuple(replace(one, tuned=False) for one in study.claims)), guessing=90.0)
    scatter = {"test_top1_error_percent", "gap_percent"}
    return study, with_metrics(results, lambda one: {name: 40 + int(one.trial.key, 16) % 17 / 50 for name in scatter})


# Why a claim was not tested -> the claim, a study in which it was not, and the words of the row.
CASES: dict[str, tuple[str, Callable[[], Case], str]] = {
    "gate": ("lrn_cifar", lambda: (of_lrn()[0], []), "a gate fails"),
    "no arm": ("dropout_overfitting", no_arm, "lacks an arm"),
    "one seed": ("lrn_cifar", lambda: of_lrn(seeds=1), "a second seed"),
    "too few distinct pairs": ("lrn_cifar", no_spread, "spread"),
    "inactive": ("lrn_cifar", lambda: of_lrn(lambda one: replace(one, activity={"lrn": 0.004})), "activity"),
    "unmeasured": ("lrn_cifar", lambda: of_lrn(lambda one: replace(one, activity={})), "activity"),
    "missing pairs": ("lrn_cifar", lambda: missing(3), "pairs: over 20% of them missing"),
    "not run": ("lrn_cifar", lambda: missing(10), "pairs"),
    "failed": ("lrn_cifar", lambda: failed(4), "fewer than two left where trainings failed"),
    "underfits": ("lrn_cifar", unfitted, "misses more of its own training images than 45% of what guessing misses"),
    "untuned": ("activation_speed", lambda: planned(["activation"]), "rates of their own"),
    "censored": ("activation_steps", censored, "ended before they arrived"),
}


@pytest.mark.parametrize("reason", obstacles.REASONS)
def test_every_reason_not_to_test_a_claim_stands_in_the_row(reason: str) -> None:
    claim, made, words = CASES[reason]
    case = made()
    verdict = judged(*case)[claim]
    assert (verdict.call, verdict.reason) == (NOT_TESTED, reason)
    assert words in row(case)


@pytest.mark.parametrize(("share", "most"), [(0.2, 2), (0.5, 5)])
def test_the_share_of_missing_pairs_in_the_row_is_the_one_that_counts(share: float, most: int) -> None:
    for pairs, reason in ((most, ""), (most + 1, "missing pairs")):
        study, results = missing(pairs)
        case = replace(study, rule=replace(study.rule, missing=share)), results
        assert f"over {share:.0%} of them missing" in row(case)
        assert judged(*case)["lrn_cifar"].reason == reason


def test_two_pairs_that_are_left_are_judged_and_one_is_not() -> None:
    assert judged(*failed(3))["lrn_cifar"].call != NOT_TESTED
    assert judged(*failed(4))["lrn_cifar"].call == NOT_TESTED


def test_a_report_without_races_or_tuned_claims_says_nothing_of_them() -> None:
    words = row(of_lrn())
    assert "rates of their own" not in words and "arrived" not in words
