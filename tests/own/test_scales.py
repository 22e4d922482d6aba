"""Verdicts depend neither on what a metric is called, nor on its unit, nor on which way is better."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ablations.analysis.blocks import over_blocks
from ablations.analysis.gates import QUIET, SEEN, control_effect, learns, study_gates
from ablations.analysis.power import outlook
from ablations.analysis.ranking import WORSE, ranked
from ablations.analysis.reach import prior_spread
from ablations.analysis.rule import DIRECTION_ONLY
from ablations.analysis.sampling import interval_over_both
from ablations.analysis.verdicts import Findings
from ablations.cli.forecast import detects, power_lines
from ablations.core.claim import MAIN
from ablations.core.errors import InputError
from ablations.core.load import SABOTAGE
from ablations.core.text import MINUS
from ablations.core.trial import Trial
from ablations.planning.tuning import start
from ablations.records.outcomes import pack
from ablations.reporting import exports
from ablations.reporting.answer import answer
from ablations.reporting.document import Table
from ablations.reporting.sections.blocks import section as blocks_section
from ablations.reporting.sections.comparisons import effect_rows
from ablations.reporting.sections.results import results
from ablations.reporting.sections.sensitivity import sensitivity
from ablations.reporting.side_by_side import compose
from ablations.reporting.wording import reads_as
from ablations.subjects.own.subject import OwnSubject
from ablations.tracking.answers import Answers
from tests.own import made_up

TEXT = """
subject = Subject(
    reference={"a": 0, "b": 0, "harm": 0},
    components={"a": 1, "b": 1},
    metrics={METRICS},
    claims=[Claim(change="a", hurts=NAME, by=BY), Claim(change="b", same=NAME, by=BY)],
    sabotage={"harm": 1},
)
"""


def drawn(trial: Trial, spread: float = 1.0) -> float:
    """A number that only the seed and the variant decide."""
    values = trial.config["config"]
    return spread * float(np.random.default_rng([trial.seed, *values.values(), trial.config.get("salt", 0)]).normal())


def accuracy(trial: Trial) -> float:
    """Percent right: 80 or so, 5 less with the change `a`, 40 less with the sabotage; `b` does nothing."""
    values: dict[str, int] = trial.config["config"]
    return 80.0 - 5 * values["a"] - 40 * values["harm"] + drawn(trial)


def found(path: Path, name: str, metric: str, by: float, outcome: Callable[[Trial], float], **how: Any) -> Findings:
    text = TEXT.replace("METRICS", f'"{name}": {metric}').replace("NAME", f'"{name}"').replace("BY", repr(by))

    def outcomes(trial: Trial) -> Mapping[str, float]:
        return {name: outcome(trial)}

    return made_up.findings(path / "made_up_scales.py", text, outcomes, **{"seeds": 10, **how})


@pytest.mark.parametrize("name", ["recall@10", "mAP@0.5", "mAP@.5:.95", "pass@1"])
def test_a_metric_may_have_an_at_sign_in_its_name(tmp_path: Path, name: str) -> None:
    judged = found(tmp_path, name, '"higher"', 2.0, accuracy)
    assert [one.label for one in judged.verdicts] == ["reproduced", "reproduced"]
    one, two = judged.by_seed(name)["a=1"], judged.by_seed(name)["reference"]
    assert judged.effects[0].p == pytest.approx(stats.ttest_rel(one, two).pvalue)


def test_a_ratio_with_an_at_sign_in_its_name_is_a_ratio_in_tracking_too(tmp_path: Path) -> None:
    judged = found(tmp_path, "ppl@512", 'Metric("lower", ratio=True)', 1.02, lambda trial: 100 / accuracy(trial))
    assert judged.verdicts[0].label == "reproduced"
    assert Answers(judged).study_metrics()["ratio.ppl_512.a.1"] == pytest.approx(80 / 75, rel=0.01)


@pytest.mark.parametrize("grid", ["one_out", "full"])
@pytest.mark.parametrize("scale", [1e-12, 1e-9, 1e-3, 1e9, 1e12])
def test_a_verdict_is_the_same_at_every_scale(tmp_path: Path, scale: float, grid: str) -> None:
    judged = found(tmp_path, "mse", '"lower"', 2 * scale, lambda trial: scale * (100 - accuracy(trial)), grid=grid)
    assert [one.label for one in judged.verdicts] == ["reproduced", "reproduced"]
    plain = found(tmp_path, "mse", '"lower"', 2.0, lambda trial: 100 - accuracy(trial), grid=grid)
    for one, two in zip(judged.effects, plain.effects, strict=True):
        assert (one.p, one.estimate / scale, one.low / scale) == pytest.approx((two.p, two.estimate, two.low))
        assert one.correlation == pytest.approx(two.correlation)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("grid", ["one_out", "full"])
def test_equal_differences_tell_a_direction_and_no_size_at_any_scale_although_they_are_rounded(
    tmp_path: Path, scale: float, grid: str
) -> None:
    def memory(trial: Trial) -> float:
        values: dict[str, int] = trial.config["config"]
        own = 3.3333 + 0.1 * values["a"] + 0.0001 * values["b"] + 0.01 * trial.seed
        return scale * (
            own + values["harm"] + 0.001 * drawn(trial) * (values["harm"] + int(trial.config.get("salt", 0)))
        )

    judged = found(tmp_path, "memory", '"lower"', 0.01 * scale, memory, grid=grid)
    labels = ["reproduced (direction only, size open)", "not tested (too few distinct pairs)"]
    assert [one.label for one in judged.verdicts] == labels  # that two are the same needs an interval
    found_a = judged.verdicts[0].effect
    assert found_a and found_a.p == 2 / 2**10 and np.isnan(found_a.low)
    assert "the same" in found_a.method and "flipping" in found_a.method


COLLAPSED = {
    "points": ('Metric("higher", unit="points", chance=10.0)', 1.0, 10.0),
    "fractions": ('Metric("higher", chance=0.1)', 0.01, 0.1),
    "a correlation": ('Metric("higher", chance=0.0)', 0.01, 0.0),
    "a reward below zero": ('Metric("higher", chance=-200.0)', 1.0, -200.0),
    "nats": ('Metric("lower", unit="nats", chance=2.3)', 0.01, 2.3),
    "log density": ('Metric("lower", chance=-2.0)', 0.01, -2.0),
}


@pytest.mark.parametrize("kind", COLLAPSED)
def test_a_training_that_ends_at_guessing_has_failed_in_every_unit(tmp_path: Path, kind: str) -> None:
    metric, by, chance = COLLAPSED[kind]
    away = (-1 if '"lower"' in metric else 1) * (90 if "points" in metric else max(abs(chance), 1.0))

    def outcome(trial: Trial) -> float:
        if trial.config["config"]["a"] and trial.seed in (1, 4):
            return chance
        return chance + away * accuracy(trial) / 100

    judged = found(tmp_path, "score", metric, by, outcome)
    assert [(one.trial.variant.label, one.trial.seed) for one in judged.results if one.trial.key in judged.failed] == [
        ("a=1", 1),
        ("a=1", 4),
    ]
    assert judged.verdicts[0].unstable and not judged.verdicts[1].unstable
    # Eight pairs of one sign tell the direction, and the two trainings that failed point the same way.
    assert judged.verdicts[0].call == DIRECTION_ONLY
    row = next(one for one in ranked(judged) if one.effect.component == "a")
    assert (row.side, reads_as(row)) == (WORSE, "hurts, unstable")
    said = (
        "hurt, by an amount that failed trainings leave open (8 of 10 trained with the change and 10 of 10 without it)"
    )
    assert said in answer(judged).sentences[0]


@pytest.mark.parametrize(
    ("metric", "value", "passed"),
    [
        ('Metric("lower", chance=-2.0)', -1.6, False),  # worse than guessing
        ('Metric("lower", chance=-2.0)', -2.4, False),
        ('Metric("lower", chance=-2.0)', -2.6, True),
        ('Metric("lower", chance=2.0)', 1.6, False),
        ('Metric("lower", chance=2.0)', 1.4, True),
        ('Metric("higher", chance=-2.0)', -1.6, False),
        ('Metric("higher", chance=-2.0)', -1.4, True),
        ('Metric("higher", unit="points", chance=-20.0)', 5.0, False),  # 10 is a quarter of the way to 100
        ('Metric("higher", unit="points", chance=-20.0)', 15.0, True),
    ],
)
def test_a_reference_has_to_be_better_than_guessing_whatever_the_sign(
    tmp_path: Path, metric: str, value: float, passed: bool
) -> None:
    judged = found(tmp_path, "score", metric, 0.01, lambda trial: value + drawn(trial, 1e-4), seeds=3)
    rule = replace(judged.study.rule, beats_chance_by=0.25)
    gate = learns(replace(judged, study=replace(judged.study, rule=rule)))
    reached = [one for one in judged.results if not one.trial.variant.departures and one.trial.key in judged.failed]
    assert gate.passed is passed, gate
    assert bool(reached) is (value == -1.6 and '"lower"' in metric)


def test_small_numbers_are_shown_and_not_rounded_to_zero(tmp_path: Path) -> None:
    def outcome(trial: Trial) -> float:
        return 1e-11 * (100 - accuracy(trial))

    judged = found(tmp_path, "mse", '"lower"', 2e-11, outcome)
    effect = judged.effects[0]
    (row, *_) = results(judged, ranked(judged)).rows[1:]
    shown = [float(text.replace(MINUS, "-")) for text in (row[2], *row[3].strip("[]").split(", "), row[4])]
    assert shown == pytest.approx([effect.estimate, effect.low, effect.high, judged.mean("mse", "a=1")], rel=0.03)


def test_fractions_are_shown_with_the_digits_of_their_scatter(tmp_path: Path) -> None:
    def outcome(trial: Trial) -> float:
        return accuracy(trial) / 1000

    judged = found(tmp_path, "accuracy", 'Metric("higher", chance=0.01)', 0.002, outcome)
    (row, same) = outlook(judged.study, judged.results)
    _, line, *_ = power_lines(judged.study, judged.results)
    told = line.split()
    assert float(told[2]) == pytest.approx(row.spread, rel=0.05)
    assert float(told[4]) == pytest.approx(row.resolved, rel=0.05)
    (least,) = re.findall(r"above (\S+),", detects(judged.study, judged.results))
    assert float(least) == pytest.approx(max(row.resolved, same.resolved), rel=0.05)


def test_an_interval_over_new_examples_has_the_digits_of_its_metric(tmp_path: Path) -> None:
    judged = found(tmp_path, "accuracy", '"higher"', 0.02, lambda trial: accuracy(trial) / 100)
    right = {one.trial.key: np.random.default_rng(7).random(3000) < one.metrics["accuracy"] for one in judged.results}
    kept = [
        replace(
            one,
            outcomes=pack(right[one.trial.key]),
            metrics={"accuracy": float(right[one.trial.key].mean()), "evaluated_examples": 3000},
        )
        for one in judged.results
    ]
    judged = replace(judged, results=kept)
    for cells in effect_rows(judged, judged.effects[:1]):
        low, high = interval_over_both(judged, judged.effects[0])
        assert [float(one) for one in cells[3].replace(MINUS, "-").strip("[]").split(", ")] == pytest.approx(
            [low, high], abs=0.0006
        )


def test_the_spread_between_data_sets_has_the_digits_of_its_metric(tmp_path: Path) -> None:
    text = TEXT.replace("METRICS", '"score": "higher"').replace("NAME", '"score"').replace("BY", "0.02")
    each = {"one": 0.9984, "two": 1.0, "three": 1.0016}
    judged = made_up.findings(
        tmp_path / "made_up_spread.py",
        text.replace("sabotage", f"data={list(each)}, sabotage"),
        lambda trial: {"score": accuracy(trial) / 1000 + each[trial.data] * trial.config["config"]["a"]},
    )
    section = blocks_section(judged)
    assert section
    assert "so one with larger numbers moves them more" in str(section.blocks[0])
    tables = {one.caption: one for one in section.blocks if isinstance(one, Table)}
    apart = over_blocks(judged)[0].apart
    assert float(tables["Effects over all data sets."].rows[0][7]) == pytest.approx(apart, rel=0.05)


def test_two_studies_are_compared_on_one_metric_alone(tmp_path: Path) -> None:
    one = found(tmp_path, "accuracy", '"higher"', 2.0, accuracy)
    same = replace(one, study=replace(one.study, name="again"))
    compose(one, same)
    metrics = one.study.setting.metrics
    for other in (
        replace(one.study.setting, main="loss"),
        replace(one.study.setting, metrics={**metrics, "accuracy": replace(metrics["accuracy"], unit="points")}),
        replace(one.study.setting, metrics={**metrics, "accuracy": replace(metrics["accuracy"], lower_is_better=True)}),
    ):
        with pytest.raises(InputError, match="measure other things: one accuracy, where higher is better, the other"):
            compose(one, replace(one, study=replace(one.study, setting=other)))


def test_a_full_factorial_of_one_component_lacks_no_variant(tmp_path: Path) -> None:
    judged = found(tmp_path, "accuracy", '"higher"', 2.0, accuracy, grid="full", words=("a",))
    (effect,) = [one for one in judged.effects if one.kind == MAIN]
    assert effect.method == "paired t over 10 seeds, each with its own contrast of 2 variants"
    pairs = judged.by_seed("accuracy")
    assert effect.p == pytest.approx(stats.ttest_rel(pairs["a=1"], pairs["reference"]).pvalue)


def test_a_mild_sabotage_is_seen_if_it_makes_the_outcome_worse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = found(tmp_path, "accuracy", '"higher"', 2.0, accuracy)
    seen = control_effect(judged, SABOTAGE)
    monkeypatch.setattr("ablations.reporting.sections.sensitivity.control_effect", lambda *of: seen)
    assert sensitivity(judged).startswith("Sensitivity: this study would have seen")


def test_the_prior_for_the_scatter_is_the_same_for_errors_and_for_what_is_right(tmp_path: Path) -> None:
    spreads = []
    for better, chance in (("higher", 10.0), ("lower", 90.0)):
        metric = f'Metric("{better}", unit="points", chance={chance})'
        study = found(tmp_path, "score", metric, 1.0, accuracy).study
        study = replace(study, setting=replace(study.setting, examples=1000))
        spreads.append(prior_spread(study, study.claims[0]))
    assert spreads[0] == spreads[1] > 0


def test_a_chance_level_beyond_percentages_breaks_no_power(tmp_path: Path) -> None:
    metric = 'Metric("higher", unit="points", chance=-5.0)'
    judged = found(tmp_path, "score", metric, 1.0, accuracy)
    kept = [replace(one, metrics={**one.metrics, "evaluated_examples": 100}) for one in judged.results]
    assert all(row.piloted for row in outlook(judged.study, kept))


def test_a_search_for_the_lowest_is_refused_where_higher_is_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OwnSubject, "for_tuning", lambda self, setting: setting)
    assert start(found(tmp_path, "loss", '"lower"', 1.0, accuracy).study, 5).rates == 5
    with pytest.raises(InputError, match="the lowest accuracy, of which higher is better"):
        start(found(tmp_path, "accuracy", '"higher"', 1.0, accuracy).study, 5)


def test_the_second_half_of_a_claim_is_told_as_a_ratio_if_its_metric_is_one(tmp_path: Path) -> None:
    text = TEXT.replace("METRICS", '"score": "higher", "time": Metric("lower", ratio=True)').replace("NAME", '"score"')
    judged = made_up.findings(
        tmp_path / "made_up_also.py",
        text.replace("BY", "2.0"),
        lambda trial: {"score": accuracy(trial), "time": 100 / accuracy(trial)},
    )
    claims = tuple(replace(one, also="raises time") for one in judged.study.claims)
    row = exports.verdicts_table(replace(judged, study=replace(judged.study, claims=claims))).to_dict("records")[0]
    assert row["also_estimate"] == pytest.approx(80 / 75, rel=0.02) and 1 < row["also_low"] < row["also_high"]


@pytest.mark.parametrize(("seeds", "passed"), [(5, None), (6, True)])  # p is 2 / 2^n
def test_harm_that_is_the_same_in_every_pair_is_seen_by_flipped_signs(
    tmp_path: Path, seeds: int, passed: bool | None
) -> None:
    def solved(trial: Trial) -> float:
        values: dict[str, int] = trial.config["config"]
        wobble = drawn(trial) if values["a"] or values["b"] or trial.config.get("salt") else 0.0
        return 100.0 - 60 * values["harm"] + wobble

    judged = found(tmp_path, "solved", '"higher"', 1.0, solved, seeds=seeds)
    gate = next(one for one in study_gates(judged) if one.name == SEEN)
    assert gate.passed is passed
    exact = stats.permutation_test((np.full(seeds, -60.0),), np.mean, permutation_type="samples").pvalue
    assert gate.found.startswith(f"{MINUS}60.0") and f" in every pair, p {exact:.3f} by flipped signs" in gate.found
    turned = found(tmp_path, "solved", '"lower"', 1.0, solved, seeds=6)
    assert next(one for one in study_gates(turned) if one.name == SEEN).passed is False


@pytest.mark.parametrize(("trace", "passed"), [("", None), ("one", None), ("its own", True)])
def test_a_placebo_that_moves_no_outcome_is_quiet_if_it_moved_other_numbers(
    tmp_path: Path, trace: str, passed: bool | None
) -> None:
    def solved(trial: Trial) -> float:
        values: dict[str, int] = trial.config["config"]
        return 100.0 - 60 * values["harm"] - (30 + drawn(trial)) * values["a"] - abs(drawn(trial)) * values["b"]

    judged = found(tmp_path, "solved", '"higher"', 1.0, solved)
    kept = [replace(one, trace=one.trial.key if trace == "its own" else trace) for one in judged.results]
    judged = replace(judged, results=kept)
    gate = next(one for one in study_gates(judged) if one.name == QUIET)
    assert gate.passed is passed, gate
    assert judged.verdicts[0].label == ("reproduced" if passed else "not tested (gate)")


@pytest.mark.parametrize(
    ("metric", "scale", "bound"),
    [
        ('Metric("higher", unit="points", chance=85.0)', 1.0, 88.75),
        ('Metric("higher", chance=0.85, perfect=1.0)', 0.01, 0.8875),
        ('Metric("higher", chance=0.85)', 0.01, 1.0625),  # no best value is known: too much is asked
        ('Metric("higher", chance=0.1)', 0.01, 0.125),  # or too little
        ('Metric("lower", chance=-0.85, perfect=-1.0)', -0.01, -0.8875),
    ],
)
def test_a_share_of_right_answers_with_its_best_value_has_the_gate_of_percentages(
    tmp_path: Path, metric: str, scale: float, bound: float
) -> None:
    judged = found(tmp_path, "acc", metric, 2.0 * abs(scale), lambda trial: scale * (accuracy(trial) + 12))
    gate = learns(judged)
    assert judged.main_metric.after(judged.study.setting.guessing or 0.0, 0.25) == pytest.approx(bound)
    impossible = bound == 1.0625
    assert gate.passed is not impossible
    unknown = "perfect" not in metric and "points" not in metric
    assert ("Metric(perfect=1.0) measures from there" in gate.demand) == unknown


@pytest.mark.parametrize("best", ["0.1", "True", "float('inf')", "'1'"])
def test_a_best_value_is_a_number_that_is_better_than_guessing(tmp_path: Path, best: str) -> None:
    with pytest.raises(InputError, match="perfect= is a number that is better than its chance level"):
        found(tmp_path, "acc", f'Metric("higher", chance=0.5, perfect={best})', 0.1, accuracy)
