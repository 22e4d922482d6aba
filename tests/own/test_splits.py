"""Seeds that are splits of one data set: every error is corrected for their overlap, or nothing is judged."""

from __future__ import annotations

from math import isnan, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ablations.analysis.doses import trends
from ablations.analysis.effects import main_effects, mean_interval
from ablations.analysis.factorial import interactions
from ablations.analysis.gates import study_gates
from ablations.analysis.obstacles import NO_SPREAD
from ablations.analysis.statistics import detectable, seeds_to_detect, seeds_to_exclude
from ablations.analysis.verdicts import Findings
from ablations.calibration.splits import simulate
from ablations.core.errors import InputError
from ablations.core.load import load
from ablations.core.trial import Trial
from ablations.reporting import compose, exports, paper
from ablations.reporting.document import Table
from ablations.reporting.sections.remedies import changes_it
from tests.own import made_up

TEXT = """
subject = Subject(
    reference={"scale": True, "width": 4},
    components={"scale": False, "width": [2, 8]},
    metrics={"score": Metric("higher", unit="points")},
    claims=[Claim(change="scale", hurts="score", by=0.1)],
    sabotage={"width": -90},
    replicate="split",
)
"""
CHANGE = [-1.6, -0.4, -1.0, -2.0, -0.6]  # of the score without scaling, split by split
TRAIN, TEST = 120, 30
OVERLAP = TEST / TRAIN


def outcome(trial: Trial) -> dict[str, float]:
    values, wobble = trial.config["config"], [0.3, -0.2, 0.5, -0.4, 0.1]
    score = 50 + trial.seed + 0 if values["scale"] else 50 + trial.seed + CHANGE[trial.seed]
    salted = wobble[trial.seed] * bool(trial.config.get("salt"))
    return {
        "score": score + salted + (values["width"] - 4) * (1 + wobble[-trial.seed]),
        "train_size": TRAIN,
        "test_size": TEST,
    }


@pytest.fixture
def found(tmp_path: Path) -> Findings:
    return made_up.findings(tmp_path / "made_up_splits.py", TEXT, outcome)


def corrected(values: Any) -> tuple[float, float, float]:
    """Mean, standard error and p by the formula of Nadeau and Bengio, written out."""
    n, mean = len(values), float(np.mean(values))
    error = sqrt((1 / n + OVERLAP) * float(np.var(values, ddof=1)))
    return mean, error, float(2 * stats.t.sf(abs(mean) / error, n - 1))


def test_an_effect_has_the_corrected_error_and_its_verdict_the_corrected_interval(found: Findings) -> None:
    mean, error, p = corrected(CHANGE)
    (effect,) = [one for one in found.effects if one.component == "scale"]
    half = stats.t.ppf(0.975, 4) * error
    assert (effect.estimate, effect.error, effect.p) == pytest.approx((mean, error, p))
    assert (effect.low, effect.high) == pytest.approx((mean - half, mean + half))
    assert effect.spread == pytest.approx(np.std(CHANGE, ddof=1))  # of single pairs, which no overlap changes
    (verdict,) = found.verdicts
    assert (verdict.low, verdict.high) == pytest.approx((mean - half, mean + half))
    assert verdict.p_holm == pytest.approx(p)
    plain = stats.ttest_1samp(CHANGE, 0).pvalue
    assert plain < 0.05 < p  # the plain t would have told a direction
    assert verdict.call == "inconclusive"


def test_controls_means_and_doses_are_corrected_too(found: Findings) -> None:
    placebo = next(one for one in found.effects if one.component == "placebo")
    assert placebo.p == pytest.approx(corrected([0.3, -0.2, 0.5, -0.4, 0.1])[2])
    (trend,) = trends(found)
    slopes = [1 + [0.3, 0.1, -0.4, 0.5, -0.2][seed] for seed in range(5)]
    mean, error, p = corrected(slopes)
    assert (trend.slope, trend.p) == pytest.approx((mean, p))
    assert trend.high - trend.slope == pytest.approx(stats.t.ppf(0.975, 4) * error)
    scores = [50.0, 51, 52, 53, 54]
    assert mean_interval(scores, OVERLAP)[2] == pytest.approx(52 + stats.t.ppf(0.975, 4) * corrected(scores)[1])


def test_main_effects_and_interactions_of_a_factorial_are_corrected(tmp_path: Path) -> None:
    text = TEXT.replace('"width": [2, 8]', '"width": 2')
    found = made_up.findings(tmp_path / "made_up_factorial.py", text, outcome, grid="full")
    main = {one.component: one for one in main_effects(found.study, found.outcomes, "score")}
    mean, error, p = corrected(CHANGE)
    assert (main["scale"].estimate, main["scale"].error, main["scale"].p) == pytest.approx((mean, error, p))
    assert main["scale"].spread == pytest.approx(np.std(CHANGE, ddof=1))
    assert "corrected for the overlap" in main["scale"].method
    assert all(one.overlap == OVERLAP for one in interactions(found.study, found.outcomes, "score"))


def test_more_splits_do_not_help_below_the_floor_of_the_error() -> None:
    assert seeds_to_detect(1.0, 1.0, 0.05) == 10
    more = seeds_to_detect(1.0, 1.0, 0.05, 0.05)
    assert more is not None and more > 10
    assert seeds_to_detect(1.0, 1.0, 0.05, 0.25) is None  # 1 / sqrt(.25) is 2 standard errors at the most
    assert seeds_to_exclude(1.0, 1.0, 0.05, 0.25) is None
    assert detectable(1.0, 10, 0.05, 0.25) == pytest.approx(detectable(1.0, 10, 0.05) * sqrt(1 + 10 * 0.25))


def test_the_report_says_how_it_was_corrected_and_shows_no_exact_test_of_splits(found: Findings) -> None:
    report = compose.compose(found)
    by_title = {section.title: section for section in report.sections}
    (said,) = [one for one in by_title["Methods"].blocks if isinstance(one, str) and "Nadeau and Bengio" in one]
    assert "120 are trained on and 30 tested on: n_test / n_train = 0.25" in said
    words, *_ = by_title["Effects"].blocks
    assert "√(1 / n + n_test / n_train)" in str(words)
    tables = [one for one in by_title["Effects"].blocks if isinstance(one, Table)]
    assert all("p, sign flips" not in table.head for table in tables)
    assert "Seeds change which examples" in str(by_title["How it was run"].blocks)
    assert set(exports.effects_table(found)["overlap"]) == {OVERLAP}
    assert "more splits of these would hardly" in str(by_title["Claims"].blocks)
    assert "corrected for their overlap (Nadeau and Bengio 2003)" in paper.paper(found).method
    assert report.label.endswith("(5 splits)") and "of single splits" in str(report.lead)
    assert ", 5 splits)." in str(by_title["Doses"].blocks)


def test_the_report_of_splits_speaks_of_no_interval_over_new_examples(tmp_path: Path) -> None:
    def with_examples(trial: Trial) -> dict[str, float]:
        return {**outcome(trial), "evaluated_examples": TEST}

    said = str(compose.compose(made_up.findings(tmp_path / "made_up_examples.py", TEXT, with_examples)))
    assert "120 are trained on" in said
    assert "no number of seeds removes it" not in said and "two-way random" not in said
    assert "effects' table has" not in said


@pytest.mark.parametrize("seed", [0, 3])
def test_sizes_that_differ_stop_every_verdict(tmp_path: Path, seed: int) -> None:
    def uneven(trial: Trial) -> dict[str, float]:
        return outcome(trial) | ({"test_size": 31} if trial.seed == seed else {})

    found = made_up.findings(tmp_path / "made_up_uneven.py", TEXT, uneven)
    gate = next(one for one in study_gates(found) if one.name == "splits are of one size")
    assert gate.passed is False and "120 and 30" in gate.found and "120 and 31" in gate.found
    assert all(isnan(one.low) and isnan(one.p) for one in found.effects)
    assert [one.reason for one in found.verdicts] == ["gate"]


def test_a_trial_that_does_not_report_its_sizes_is_told_what_is_missing(tmp_path: Path) -> None:
    said = made_up.failure(tmp_path / "made_up_sizes.py", TEXT, '{"score": 1.0, "train_size": 5}')
    assert "a trial reports train_size and test_size" in said
    assert "test_size is missing" in said


def test_another_word_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "made_up_examples.py"
    path.write_text(f"{made_up.HEAD}{TEXT.replace('split', 'splits')}{made_up.TRIAL}")
    load.cache_clear()
    with pytest.raises(InputError, match="it is 'training' or 'split'"):
        load(str(path))


def test_the_plain_t_is_far_too_sure_of_splits_and_the_corrected_one_keeps_its_level() -> None:
    tally = simulate("equally good", share=0.5, studies=120)
    assert tally.plain > 30  # a quarter at the least, where one in twenty was promised
    assert stats.binom.sf(tally.corrected - 1, tally.studies, 0.05) > 0.001
    assert tally.held_corrected > 0.88 * tally.studies > tally.held_plain


@pytest.mark.parametrize("grid", ["one_out", "full"])
def test_splits_whose_pairs_are_all_equal_are_told_no_number_that_would_tell_a_direction(
    tmp_path: Path, grid: str
) -> None:
    def steady(trial: Trial) -> dict[str, float]:
        values = trial.config["config"]
        wobble = [0.3, -0.2, 0.5, -0.4, 0.1, 0.2, -0.1, -0.3][trial.seed]
        drawn = wobble * bool(trial.config.get("salt")) + (values["width"] - 4) * (1 + wobble)
        score = 50 + trial.seed + 2 * values["scale"] + drawn
        return {"score": score, "train_size": TRAIN, "test_size": TEST}

    text = TEXT.replace('"width": [2, 8]', '"width": 2')
    found = made_up.findings(tmp_path / "made_up_steady.py", text, steady, seeds=8, grid=grid)
    effect = next(one for one in found.effects if one.component == "scale")
    assert effect.constant and isnan(effect.p)
    assert "paired t" not in effect.method and "no p, as" in effect.method and "overlap" in effect.method
    (verdict,) = found.verdicts
    assert verdict.reason == NO_SPREAD
    assert verdict.because.endswith("flipping their signs tells no direction, as these splits overlap")
    assert "more pairs" not in changes_it(verdict) and "finer metric" in changes_it(verdict)
    assert "too few to tell" not in str(compose.compose(found))
