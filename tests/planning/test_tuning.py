"""Tuning: the same budget for every arm, the best of the records, on images and seeds that the study does not use."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ablations.analysis.tuning import came_to, chosen, cost, fitted, tuned
from ablations.cli import stages
from ablations.core.labels import short_names
from ablations.core.result import DIVERGED, DONE, ERROR, LOOKED, REACHED, STEPS, TRAINED, Result
from ablations.core.study import Study
from ablations.core.trial import Trial, by_training
from ablations.core.tuning import Attempt, Tuned, TuningTrial, at_edge, best
from ablations.core.variant import Variant
from ablations.planning import tuning as tune
from ablations.records.store import read, read_all
from ablations.run import main
from ablations.subjects.alexnet.setting import Budget, budget_of, spec_of
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
    """Steps whose logarithm is a parabola of the rate's, twice as many two octaves off; beyond the budget: censored."""

    def run(trial: Trial) -> Result:
        steps = 60.5 * 2 ** ((math.log2(spec_of(trial.config).learning_rate / best_rate) / 2) ** 2)
        reached = steps <= budget_of(trial.config).steps
        metrics = {
            REACHED: float(reached),
            TRAINED: min(steps, budget_of(trial.config).steps),
            LOOKED: 24.0 if reached else 40.0,
        }
        return Result(trial=trial, status=DONE, metrics={**metrics, **({STEPS: steps} if reached else {})})

    return run


def searched(study: Study, trials: tuple[Trial, ...], count: int, run: Made) -> tuple[tune.Search, list[list[Trial]]]:
    """A whole search, and the trials of each of its rounds."""
    begun = tune.start(study, count)
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
        ("placebo=salted", count),
    ]
    run = [trial for one in rounds for trial in one]
    assert len({trial.key for trial in run}) == len(run) == 3 * 3 * count  # arms, seeds
    assert (search.left, search.total) == (0, 9 * count)


def test_the_rates_are_coarse_then_refined_round_the_best(raced: tuple[Study, tuple[Trial, ...]]) -> None:
    # The best is at 5.3 times the preset's own .001: beyond 4, then between 4 and 16, and so on.
    search, rounds = searched(*raced, 7, arrival(5.3e-3))
    factors = [attempt.factor for attempt in search.tuning.arms[0].attempts]
    assert factors[:3] == [1, 0.25, 4]
    assert sorted(factors[3:5]) == [2, 16]
    assert sorted(factors[5:7]) == [2.83, 8]
    assert [len(one) for one in rounds] == [9, 18, 18, 18]  # of three arms, three seeds each
    assert best(search.tuning.arms[0].attempts).factor == 4
    assert search.tuning.arms[0].factor == 5.3


@pytest.mark.parametrize("best_rate", [2e-4, 9e-4, 3.7e-3, 2e-2])
def test_the_rate_is_the_lowest_place_of_the_parabola_to_three_digits_though_it_was_not_tried(
    raced: tuple[Study, tuple[Trial, ...]], best_rate: float
) -> None:
    search, _ = searched(*raced, 8, arrival(best_rate))
    for arm in search.tuning.arms:
        assert arm.factor * 1e-3 == pytest.approx(best_rate, rel=0.01)
        assert arm.factor == float(f"{arm.factor:.3g}")
        assert came_to(search.tuning, arm) == pytest.approx(60.5, rel=1e-3)


def test_each_arm_is_tuned_by_itself_the_placebo_too_and_the_rates_reach_the_studys_trials(
    raced: tuple[Study, tuple[Trial, ...]],
) -> None:
    study, trials = raced
    made = {"reference": arrival(4e-3), "activation=tanh": arrival(2.5e-4), "placebo=salted": arrival(3e-3)}
    search, _ = searched(study, trials, 7, lambda trial: made[trial.variant.label](trial))
    tuned_study, rated = tune.apply(study, trials, search.tuning)
    rates = {trial.variant.label: spec_of(trial.config).learning_rate for trial in rated}
    assert rates == pytest.approx({"reference": 4e-3, "activation=tanh": 2.5e-4, "placebo=salted": 3e-3}, rel=0.01)
    again = [replace(spec_of(trial.config), learning_rate=1e-3) for trial in rated]
    assert again == [spec_of(trial.config) for trial in trials]
    assert tuned_study.keys == tuple(trial.key for trial in rated)


def test_what_evaluation_alone_reads_is_no_arm_and_keeps_the_rate_and_the_training_of_its_arm(
    plan: Planner, budget: Budget
) -> None:
    study, trials = plan(grid="one_in", words=["lrn", "ten_view"], budget=budget)
    assert {trial.variant.label for trial in trials} >= {"-lrn ten_view=ten", "-lrn", "ten_view=ten"}
    # The placebo draws anew and is an arm; the sabotage is to show its damage at the reference's rate.
    assert [arm.variant.label for arm in tune.arms(study, trials)] == ["reference", "-lrn", "placebo=salted"]
    search, _ = searched(study, trials, 3, arrival(0.005))
    _, rated = tune.apply(study, trials, search.tuning)
    groups = [{trial.variant.label for trial in job} for job in by_training(rated)]
    assert {"-lrn", "-lrn ten_view=ten"} in groups and {"reference", "ten_view=ten"} in groups
    rates = {trial.variant.label: spec_of(trial.config).learning_rate for trial in rated}
    assert rates["sabotage=half"] == rates["reference"]


def test_a_study_tells_of_each_departure_whether_its_arms_were_tuned(plan: Planner, budget: Budget) -> None:
    study, trials = plan(words=["lrn", "ten_view", "dropout"], budget=budget)
    search, _ = searched(study, trials, 3, arrival(0.005))
    after, _ = tune.apply(study, trials, search.tuning)
    asked = [("lrn", "off"), ("ten_view", "ten"), ("placebo", "salted"), ("sabotage", "half"), ("width", "half")]
    assert [tuned(after, one) for one in asked] == [True, True, True, False, False]
    assert not tuned(study, ("lrn", "off"))
    assert not tuned(replace(study, tuning=tune.start(study, 3)), ("lrn", "off"))
    some = [arm for arm in search.tuning.arms if arm.variant.label != "-lrn"]
    assert not tuned(replace(after, tuning=replace(search.tuning, arms=tuple(some))), ("lrn", "off"))


def test_in_a_factorial_every_arm_with_the_departure_counts(plan: Planner, budget: Budget) -> None:
    study, trials = plan(grid="full", words=["lrn", "dropout"], budget=budget)
    search, _ = searched(study, trials, 1, arrival(0.005))
    after, _ = tune.apply(study, trials, search.tuning)
    assert tuned(after, ("lrn", "off"))
    some = [arm for arm in search.tuning.arms if arm.variant.label != "-dropout -lrn"]
    assert not tuned(replace(after, tuning=replace(search.tuning, arms=tuple(some))), ("lrn", "off"))


def test_a_study_whose_rates_had_one_training_each_is_read_as_it_was_tuned(tmp_path: Path) -> None:
    # The plan of a study that was tuned so, in the first form of study.json.
    plan = Path(__file__).parents[1] / "golden" / "one_training_a_rate.json"
    (tmp_path / "study.json").write_bytes(plan.read_bytes())
    study, _, _ = read(tmp_path)
    tuning = study.tuning
    assert tuning is not None
    assert (tuning.rates, tuning.seeds, tuning.clearly, tuning.slower) == (8, 1, 0, 1)
    for arm in tuning.arms:
        assert arm.factor == best(arm.attempts).factor == chosen(arm.attempts, tuning.clearly)
        assert cost(tuning, arm) is None
    assert tuning.arms[0].attempts[0].trials[0].key == "e095ba7cb89d"
    assert tuned(study, ("activation", "tanh")) and not tuned(study, ("placebo", "salted"))
    assert Study.from_dict(json.loads(json.dumps(study.to_dict()))) == study


def test_tuning_uses_no_test_image_and_no_seed_of_the_study(raced: tuple[Study, tuple[Trial, ...]]) -> None:
    study, trials = raced
    _, rounds = searched(study, trials, 5, arrival(4e-3))
    run = [trial for one in rounds for trial in one]
    assert {budget_of(trial.config).evaluate_on for trial in run} == {"validation"}
    assert {budget_of(trial.config).train_examples for trial in run} == {80}  # the others are held out
    assert {trial.seed for trial in run} == {1_000_000, 1_000_001, 1_000_002}
    assert not {trial.seed for trial in run} & {trial.seed for trial in trials}


def test_a_trial_that_takes_twice_the_steps_of_the_best_of_its_arm_ends_there(
    raced: tuple[Study, tuple[Trial, ...]],
) -> None:
    _, rounds = searched(*raced, 5, arrival(1e-3))
    assert {budget_of(trial.config).max_steps for trial in rounds[0]} == {None}
    assert {budget_of(trial.config).max_steps for one in rounds[1:] for trial in one} == {121}  # the best took 60.5


def test_a_rate_is_not_lost_by_one_trial_that_is_slower_than_the_best_rate(
    raced: tuple[Study, tuple[Trial, ...]],
) -> None:
    def run(trial: Trial) -> Result:
        by_seed = {1: (60, 60, 60), 4: (40, 40, 90)}  # times the arm's own rate; the second has the lower mean
        factor = round(spec_of(trial.config).learning_rate / 1e-3, 2)
        steps = by_seed.get(int(factor), (500,) * 3)[trial.seed - tune.SEED] if factor >= 1 else 500
        reached = steps <= budget_of(trial.config).steps
        metrics = {TRAINED: min(steps, budget_of(trial.config).steps), LOOKED: 24.0 if reached else 40.0}
        return Result(trial=trial, status=DONE, metrics={**metrics, **({STEPS: float(steps)} if reached else {})})

    search, _ = searched(*raced, 3, run)
    assert [best(arm.attempts).factor for arm in search.tuning.arms] == [4, 4, 4]


def test_where_trials_of_a_round_are_missing_the_others_count_and_the_search_waits(
    raced: tuple[Study, tuple[Trial, ...]],
) -> None:
    study, trials = raced
    begun, run = tune.start(study, 3), arrival(1e-3)
    first = tune.advance(study, trials, begun, {}).missing
    records = {trial.key: run(trial) for trial in first[:2]}  # two of the reference's three seeds
    search = tune.advance(study, trials, begun, records)
    assert (search.missing, search.left, search.total, search.tuning.arms) == (first[2:], 25, 27, ())


def test_without_a_threshold_the_validation_error_decides(plan: Planner, budget: Budget) -> None:
    def run(trial: Trial) -> Result:
        error = 20 + math.log2(spec_of(trial.config).learning_rate / 0.023) ** 2
        return Result(trial=trial, status=DONE, metrics={"validation_top1_error_percent": error})

    study, trials = plan(budget=budget)
    rate = spec_of(trials[0].config).learning_rate
    search, rounds = searched(study, trials, 7, run)
    assert search.tuning.arms[0].factor * rate == pytest.approx(0.023, rel=0.01)
    assert came_to(search.tuning, search.tuning.arms[0]) == pytest.approx(20, abs=1e-3)
    assert {budget_of(trial.config).max_steps for one in rounds for trial in one} == {None}


def errors(factor: float, *found: float | None) -> Attempt:
    """A rate whose trials came to these errors; None diverged."""
    trials = [TuningTrial(key="", status=DONE if one is not None else DIVERGED, error_percent=one) for one in found]
    return Attempt(factor=factor, trials=tuple(trials))


def steps(factor: float, *found: float | None) -> Attempt:
    """A rate whose trials arrived after these steps; None did not in 900."""
    trials = [
        TuningTrial(key="", status=DONE, steps_to_threshold=one, steps=int(one or 900), error_percent=24 if one else 40)
        for one in found
    ]
    return Attempt(factor=factor, trials=tuple(trials))


def test_more_arrivals_beat_fewer_then_the_mean_decides_and_an_error_beats_a_divergence() -> None:
    diverged = errors(0.1, None, None, None)
    assert best([errors(1, 30, 30, 30), steps(2, 500, None, None), diverged]).factor == 2
    assert best([steps(1, 800, 800, 800), steps(2, 300, 300, None)]).factor == 1
    # Steps are averaged in the logarithm: 100, 100 and 800 are 200, and not 333.
    assert best([steps(1, 100, 100, 800), steps(2, 210, 210, 210)]).factor == 1
    assert best([errors(1, 30, 30, 30), errors(2, 29, 29, 31), diverged]).factor == 2
    assert best([errors(1, 30, 30, 30), errors(2, 20, 20, None), diverged]).factor == 1
    assert best([errors(4, None, None, None), diverged]).factor == 0.1  # of equals the lower rate


def test_a_rate_at_which_a_trial_came_to_nothing_is_a_wall_for_the_parabola() -> None:
    sound = [errors(factor, error, error + 1, error - 1) for factor, error in ((0.25, 34), (0.5, 31), (1, 30), (2, 31))]
    found = fitted(sound)
    assert found is not None and math.exp(found.at) == pytest.approx(1, rel=0.1)
    # Behind it the curve may be another one.
    behind = fitted([*sound, errors(4, 40, None, 40), errors(16, 10, 90, 90)])
    assert behind == found
    assert fitted([errors(4, 20, None, None), errors(8, None, None, None)]) is None
    assert chosen([errors(4, 20, None, None), errors(8, None, None, None)]) == 4
    # Of the best rate itself a trial is missing, so that nothing is known of its mean.
    assert fitted([steps(0.5, 300, 300, None), steps(1, 200, 200, None), steps(2, 300, None, None)]) is None


def test_where_an_arm_never_arrives_its_errors_choose_and_are_not_taken_for_steps(
    raced: tuple[Study, tuple[Trial, ...]],
) -> None:
    def run(trial: Trial) -> Result:
        error = 40 + math.log2(spec_of(trial.config).learning_rate / 1.5e-3) ** 2
        return Result(trial=trial, status=DONE, metrics={TRAINED: float(budget_of(trial.config).steps), LOOKED: error})

    search, _ = searched(*raced, 5, run)
    for arm in search.tuning.arms:
        assert arm.factor == pytest.approx(1.5, rel=0.01)
        assert came_to(search.tuning, arm) is None and cost(search.tuning, arm) is None
    assert (
        "no rate at which all trials came to an outcome" in stages.tuning_lines(search.tuning, short_names(raced[0]))[0]
    )


def test_a_trial_that_was_ended_early_is_never_taken_for_an_outcome() -> None:
    tried = [steps(0.5, 300, 310, 290), steps(1, 200, 210, 190), steps(2, 250, 260, None)]
    assert chosen(tried) == 1


def test_a_best_rate_at_the_edge_is_said_aloud(raced: tuple[Study, tuple[Trial, ...]]) -> None:
    search, _ = searched(*raced, 3, arrival(8e-3))
    lines = stages.tuning_lines(search.tuning, short_names(raced[0]))
    assert lines[0].startswith("tuned     reference: 4 times its own rate (")
    assert {line.split(": ")[0] for line in lines[1:]} == {
        "tuned     tanh instead of ReLU",
        "tuned     placebo (other random draws)",
    }
    assert all("at the edge of the rates that were tried" in line for line in lines)
    inside = Tuned(variant=Variant(), attempts=(errors(0.5, 40), errors(1, 30), errors(2, 40)), factor=1)
    assert not at_edge(inside)
    assert not at_edge(replace(inside, factor=1.9)) and at_edge(replace(inside, factor=2))


def test_a_failed_trial_is_asked_for_again_and_nothing_is_chosen(raced: tuple[Study, tuple[Trial, ...]]) -> None:
    study, trials = raced
    begun = tune.start(study, 3)
    first = tune.advance(study, trials, begun, {}).missing
    records = {trial.key: Result(trial=trial, status=ERROR, error="boom") for trial in first}
    again = tune.advance(study, trials, begun, records)
    assert (again.missing, again.tuning.arms, again.left) == (first, (), 27)


@pytest.fixture
def race(blobs: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A small tuned race on the blobs."""
    monkeypatch.setenv("ABLATIONS_CACHE", str(cache))
    return [
        *("--grid", "figure1", "--name", "race", "--no-mlflow", "--executor", "serial", "--format", "csv"),
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
    assert "tuning    3 learning rates for each of 3 arms, with 3 trials at each, on validation images" in first
    assert "that they do not train on: 27 trials, 27 of them to go" in first
    folder = tmp_path / "results" / "race"
    study, results, problems = read(folder)
    tried, _ = read_all(folder / "tuning")
    assert (len(results), len(tried), problems) == (3, 27, [])
    assert study.tuning is not None
    for arm in study.tuning.arms:
        assert {trial.key for one in arm.attempts for trial in one.trials} <= tried.keys()
        (result,) = (one for one in results if one.trial.variant == arm.variant)
        assert spec_of(result.trial.config).learning_rate == 1e-3 * arm.factor
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("trials/*.json")}
    # What was interrupted in the second round of one arm goes on there.
    lost = folder / "tuning" / "trials" / f"{study.tuning.arms[1].attempts[2].trials[1].key}.json"
    lost.unlink()
    assert main(race) == 0
    assert "27 trials, 1 of them to go" in capsys.readouterr().out
    assert {path for path, when in written.items() if path.stat().st_mtime_ns != when} == {lost}
    assert read(folder)[0] == study


def test_a_study_that_was_tuned_refuses_to_go_on_untuned(race: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*race, "--tune", "1"]) == 0
    assert main([*race, "--tune", "0"]) == 2
    assert "has tuning 1 rate an arm, 3 trials at each, and this run none" in capsys.readouterr().err


def test_a_dry_run_says_what_tuning_costs_and_trains_nothing(
    race: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*race, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "27 trials, 27 of them to go" in printed
    assert "expected  at most" in printed
    assert "of it for tuning)" in printed
    assert not (tmp_path / "results").exists()


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
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {sentence}"


def test_stopping_needs_somewhere_to_stop(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--stop-at-threshold"]) == 2
    assert "--stop-at-threshold needs a --threshold, such as 25." in capsys.readouterr().err
