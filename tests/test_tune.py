"""Tuning: the same budget for every arm, the best of the records, on images and seeds that the study does not use."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ablations import tune
from ablations.jobs import by_training
from ablations.run import main
from ablations.store import read, read_all
from ablations.threshold import LOOKED, REACHED, STEPS, TRAINED
from ablations.types import DIVERGED, DONE, ERROR, Attempt, Budget, Result, Study, Trial, Tuned, Variant
from tests.conftest import Planner

RACE = Budget(
    epochs=100,
    train_examples=90,
    batch_size=32,
    image_size=16,
    threshold_percent=25.0,
    threshold_every=10,
    stop_at_threshold=True,
)
Made = Callable[[Trial], Result]


@pytest.fixture
def raced(plan: Planner) -> tuple[Study, tuple[Trial, ...]]:
    """ReLU, tanh and the placebo, three seeds of each."""
    return plan(grid="figure1", words=[], preset="figure1", budget=RACE, seeds=3)


def arrival(best_rate: float) -> Made:
    """Steps that grow with the distance from the best rate, in powers of two; slower than the budget: censored."""

    def run(trial: Trial) -> Result:
        steps = 60.5 * (1 + abs(math.log2(trial.spec.learning_rate / best_rate)))
        reached = steps <= trial.budget.steps
        metrics = {REACHED: float(reached), TRAINED: min(steps, trial.budget.steps), LOOKED: 24.0 if reached else 40.0}
        return Result(trial=trial, status=DONE, metrics={**metrics, **({STEPS: steps} if reached else {})})

    return run


def searched(study: Study, trials: tuple[Trial, ...], count: int, run: Made) -> tuple[tune.Search, list[list[Trial]]]:
    """A whole search, and the trials of each of its rounds."""
    begun = tune.start(study, count, available=80)
    records: dict[str, Result] = {}
    rounds: list[list[Trial]] = []
    while (search := tune.advance(study, trials, begun, records)).missing:
        rounds.append(list(search.missing))
        records |= {trial.key: run(trial) for trial in search.missing}
    return search, rounds


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_every_arm_gets_the_same_number_of_trials(raced: tuple[Study, tuple[Trial, ...]], count: int) -> None:
    study, trials = raced
    search, rounds = searched(study, trials, count, arrival(3e-3))
    assert [(arm.variant.label, len(arm.attempts)) for arm in search.tuning.arms] == [
        ("reference", count),
        ("activation=tanh", count),
    ]
    run = [trial for one in rounds for trial in one]
    assert len({trial.key for trial in run}) == len(run) == 2 * count
    assert search.left == 0


def test_the_rates_are_coarse_then_refined_round_the_best(raced: tuple[Study, tuple[Trial, ...]]) -> None:
    # The best is at 5.3 times the preset's own .001: beyond 4, then between 4 and 16, and so on.
    search, rounds = searched(*raced, 7, arrival(5.3e-3))
    factors = [attempt.factor for attempt in search.tuning.arms[0].attempts]
    assert factors[:3] == [1, 0.25, 4]
    assert sorted(factors[3:5]) == [2, 16]
    assert sorted(factors[5:7]) == [2.83, 8]
    assert [len(one) for one in rounds] == [2, 4, 4, 4]  # of two arms, so two cores are always at work
    assert search.tuning.arms[0].factor == 4


def test_a_search_comes_within_a_quarter_octave_of_the_best_rate(raced: tuple[Study, tuple[Trial, ...]]) -> None:
    for best_rate in (2e-4, 9e-4, 3.7e-3, 2e-2):
        search, _ = searched(*raced, 11, arrival(best_rate))
        assert abs(math.log2(search.tuning.arms[0].factor * 1e-3 / best_rate)) <= 0.25


def test_the_chosen_rate_is_that_of_the_best_record_and_reaches_the_studys_trials(
    raced: tuple[Study, tuple[Trial, ...]],
) -> None:
    study, trials = raced
    fast, slow = arrival(4e-3), arrival(2.5e-4)
    search, _ = searched(study, trials, 5, lambda trial: (slow if trial.variant.departures else fast)(trial))
    for arm in search.tuning.arms:
        arrived = [attempt for attempt in arm.attempts if attempt.steps_to_threshold is not None]
        assert arm.factor == min(arrived, key=lambda one: one.steps_to_threshold or 0).factor
    tuned_study, tuned = tune.apply(study, trials, search.tuning)
    rates = {trial.variant.label: trial.spec.learning_rate for trial in tuned}
    # The placebo is not tuned: it is the reference with other draws.
    assert rates == {"reference": 4e-3, "activation=tanh": 2.5e-4, "placebo=salted": 4e-3}
    assert [replace(trial.spec, learning_rate=1e-3) for trial in tuned] == [trial.spec for trial in trials]
    assert tuned_study.keys == tuple(trial.key for trial in tuned)


def test_what_evaluation_alone_reads_is_no_arm_and_keeps_the_rate_and_the_training_of_its_arm(
    plan: Planner, budget: Budget
) -> None:
    study, trials = plan(grid="one_in", words=["lrn", "ten_view"], budget=budget)
    assert {trial.variant.label for trial in trials} >= {"-lrn ten_view=ten", "-lrn", "ten_view=ten"}
    assert [arm.variant.label for arm in tune.arms(study, trials)] == ["reference", "-lrn"]
    search, _ = searched(study, trials, 3, arrival(0.005))
    _, tuned = tune.apply(study, trials, search.tuning)
    groups = [{trial.variant.label for trial in job} for job in by_training(tuned)]
    assert {"-lrn", "-lrn ten_view=ten"} in groups and {"reference", "ten_view=ten"} in groups


def test_tuning_uses_no_test_image_and_no_seed_of_the_study(raced: tuple[Study, tuple[Trial, ...]]) -> None:
    study, trials = raced
    _, rounds = searched(study, trials, 5, arrival(4e-3))
    run = [trial for one in rounds for trial in one]
    assert {trial.budget.evaluate_on for trial in run} == {"validation"}
    assert {trial.budget.train_examples for trial in run} == {80}  # the others are held out
    assert not {trial.seed for trial in run} & {trial.seed for trial in trials}


def test_a_trial_that_is_slower_than_the_best_of_its_arm_ends_there(raced: tuple[Study, tuple[Trial, ...]]) -> None:
    _, rounds = searched(*raced, 5, arrival(1e-3))
    assert {trial.budget.max_steps for trial in rounds[0]} == {None}
    assert {trial.budget.max_steps for one in rounds[1:] for trial in one} == {61}  # the best took 60.5


def test_without_a_threshold_the_validation_error_decides(plan: Planner, budget: Budget) -> None:
    def run(trial: Trial) -> Result:
        error = 20 + abs(math.log2(trial.spec.learning_rate / 0.01 / 2))
        return Result(trial=trial, status=DONE, metrics={"validation_top1_error_percent": error})

    study, trials = plan(budget=budget)
    rate = trials[0].spec.learning_rate
    search, rounds = searched(study, trials, 7, run)
    errors = {one.factor: one.error_percent for one in search.tuning.arms[0].attempts}
    assert search.tuning.arms[0].factor == min(errors, key=lambda factor: errors[factor] or 0)
    assert search.tuning.arms[0].factor * rate == pytest.approx(0.02, rel=0.45)
    assert {trial.budget.max_steps for one in rounds for trial in one} == {None}


def attempt(factor: float, steps: float | None = None, error: float | None = 40.0) -> Attempt:
    return Attempt(factor=factor, key="", status=DONE, steps_to_threshold=steps, error_percent=error)


def test_an_arrival_beats_an_error_which_beats_a_divergence() -> None:
    diverged = Attempt(factor=0.1, key="", status=DIVERGED)
    assert tune.best([attempt(1, error=30), attempt(2, steps=500), diverged]).factor == 2
    assert tune.best([attempt(1, error=30), attempt(2, error=31), diverged]).factor == 1
    assert tune.best([attempt(4, error=None), diverged]).factor == 0.1  # of equals the lower rate


def test_a_best_rate_at_the_edge_is_said_aloud(raced: tuple[Study, tuple[Trial, ...]]) -> None:
    search, _ = searched(*raced, 3, arrival(8e-3))
    lines = tune.said(search.tuning)
    assert lines[0].startswith("tuned     reference: 4 times its own rate (")
    assert all("at the edge of what was tried" in line for line in lines)
    inside = Tuned(variant=Variant(), attempts=(attempt(0.5), attempt(1, steps=3), attempt(2)), factor=1)
    assert not tune.at_edge(inside)


def test_a_failed_trial_is_asked_for_again_and_nothing_is_chosen(raced: tuple[Study, tuple[Trial, ...]]) -> None:
    study, trials = raced
    begun = tune.start(study, 3, available=80)
    first = tune.advance(study, trials, begun, {}).missing
    records = {trial.key: Result(trial=trial, status=ERROR, error="boom") for trial in first}
    again = tune.advance(study, trials, begun, records)
    assert (again.missing, again.tuning.arms, again.left) == (first, (), 6)


@pytest.fixture
def race(blobs: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A small tuned race on the blobs."""
    monkeypatch.setenv("ABLATIONS_CACHE", str(cache))
    return [
        *("--grid", "figure1", "--name", "race", "--no-mlflow", "--executor", "serial"),
        *("--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")),
        *("--dataset", f"folder:{blobs}", "--image-size", "16", "--batch-size", "16"),
        *("--epochs", "6", "--threshold", "40", "--threshold-every", "3", "--tune", "3", "--seeds", "1"),
    ]


def test_a_tuned_study_goes_on_where_it_was_and_trains_nothing_twice(
    race: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(race) == 0
    first = capsys.readouterr().out
    assert "grid      figure1 chose --preset figure1 --stop-at-threshold" in first
    assert "tuning    3 trials for the learning rate of each of 2 arms" in first
    folder = tmp_path / "results" / "race"
    study, results, problems = read(folder)
    tuned, _ = read_all(folder / "tuning")
    assert (len(results), len(tuned), problems) == (3, 6, [])
    assert study.tuning is not None
    for arm in study.tuning.arms:
        assert {one.key for one in arm.attempts} <= tuned.keys()
        (result,) = (one for one in results if one.trial.variant == arm.variant)
        assert result.trial.spec.learning_rate == 1e-3 * arm.factor
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("trials/*.json")}
    # What was interrupted in the second round of one arm goes on there.
    lost = folder / "tuning" / "trials" / f"{study.tuning.arms[1].attempts[2].key}.json"
    lost.unlink()
    assert main(race) == 0
    assert "1 of them to go" in capsys.readouterr().out
    assert {path for path, when in written.items() if path.stat().st_mtime_ns != when} == {lost}
    assert read(folder)[0] == study


def test_a_study_that_was_tuned_refuses_to_go_on_untuned(race: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(race) == 0
    assert main([*race, "--tune", "0"]) == 2
    assert "has tuning 3 trials an arm, and this run none" in capsys.readouterr().err


def test_a_dry_run_says_what_tuning_costs_and_trains_nothing(
    race: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*race, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "6 of them to go" in printed
    assert "expected  at most" in printed
    assert "of it for tuning)" in printed
    assert not list((tmp_path / "results").iterdir())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--tune", "-1"], "--tune is -1; it must be 0 or more."),
        (["--threshold", "100"], "--threshold is 100; it is a percentage of 0 or more and below 100."),
        (
            ["--grid", "smoke", "--threshold", "nan"],
            "--threshold is nan; it is a percentage of 0 or more and below 100.",
        ),
        (["--threshold-every", "0"], "--threshold-every is 0; it must be 1 or more."),
    ],
)
def test_wrong_options_get_one_sentence(
    words: list[str], sentence: str, race: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*race, *words]) == 2
    assert capsys.readouterr().err.strip() == f"error: {sentence}"


def test_stopping_needs_somewhere_to_stop(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--stop-at-threshold"]) == 2
    assert "--stop-at-threshold needs a --threshold, such as 25." in capsys.readouterr().err
