"""What a person sees while a study runs, and how long it says that will take."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from ablations.cli import progress
from ablations.cli.progress import Progress
from ablations.core.labels import short_names
from ablations.core.result import DONE, ERROR, Result
from ablations.core.subject import Seconds
from ablations.core.text import MISSING, duration
from ablations.models.spec import Spec
from ablations.planning.cost import seconds_of
from ablations.subjects.alexnet import timing
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.setting import Budget, spec_of
from ablations.subjects.alexnet.timing import Pace, seconds
from tests.conftest import Planner
from tests.making import seconds_a_trial


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0.4 s"), (99, "99 s"), (100, "2 min"), (3600, "60 min"), (12000, "3 h 20 min"), (math.nan, MISSING)],
)
def test_durations_are_said_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


class Clock:
    """A monotonic clock that stands still until it is set."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_every_result_gets_a_line_with_its_error_the_failures_and_the_time_left(
    plan: Planner, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    study, trials = plan()
    handed_on: list[Result] = []
    rows = ({"epoch": 1, "test_top1_error_percent": 60.0}, {"epoch": 2, "test_top1_error_percent": 50.0})
    done = Result(trial=trials[0], status=DONE, metrics=rows[-1], curve=rows, seconds=30)
    failed = Result(trial=trials[1], status=ERROR, error="Traceback\nRuntimeError: boom")
    watch = Progress(
        4, already=0, trainings=4, setting=study.setting, names=short_names(study), expected=100, then=handed_on.append
    )
    with watch:
        clock.now = 10
        watch.epoch(trials[0], rows[0])
        clock.now = 20
        watch.epoch(trials[0], rows[1])
        watch.result(done)
        watch.result(failed)
    first, second = capsys.readouterr().out.splitlines()
    # Six of eight epochs are left: 60 s at the pace of two in 20 s, trusted 2 in 20 against 75 of the 100 s expected.
    assert first == "[1/4] reference, seed 0: 50.0% test error in 30 s, about 74 s left"
    assert second.startswith("[2/4] no LRN, seed 0: error (RuntimeError: boom), 1 failed, about ")
    assert handed_on == [done, failed]


def test_epochs_between_rows_have_passed_too(
    plan: Planner, budget: Budget, clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "TRUSTED", 1)
    study, trials = plan(budget=replace(budget, epochs=100))
    with Progress(2, already=0, trainings=2, setting=study.setting, names=short_names(study), expected=0) as watch:
        row: dict[str, float] = {}
        for epoch in (1, 50, 100):
            clock.now, row = float(epoch), {"epoch": epoch, "test_top1_error_percent": 50.0}
            watch.epoch(trials[0], row)
        watch.result(Result(trial=trials[0], status=DONE, metrics=row, curve=(row,), seconds=100))
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == "[1/2] reference, seed 0: 50.0% test error in 2 min, about 2 min left"


def test_where_no_time_was_expected_the_pace_so_far_tells_it_and_before_that_nothing_does(
    plan: Planner, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    study, trials = plan()
    row = {"epoch": 1, "test_top1_error_percent": 60.0}
    with Progress(4, already=0, trainings=4, setting=study.setting, names=short_names(study), expected=0) as watch:
        watch.result(Result(trial=trials[1], status=ERROR, error="boom"))
        clock.now = 40.0
        watch.epoch(trials[0], row)
    first, second = capsys.readouterr().out.splitlines()
    assert "left" not in first
    # The failed training's two epochs never come: of the other six one took 40 s.
    assert "epoch 1/2" in second and second.endswith(f"about {duration(5 * 40)} left")


def test_an_epoch_counted_from_0_tells_no_time_as_it_has_not_passed_and_all_have_at_the_end(
    plan: Planner, budget: Budget, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    study, trials = plan(budget=replace(budget, epochs=20))
    rows = tuple({"epoch": epoch, "test_top1_error_percent": 50.0} for epoch in range(20))
    with Progress(3, already=0, trainings=3, setting=study.setting, names=short_names(study), expected=0) as watch:
        clock.now = 40.0  # most of it until the first worker is up
        for row in rows:
            watch.epoch(trials[0], row)
        watch.result(Result(trial=trials[0], status=DONE, metrics=rows[-1], curve=rows, seconds=1))
    first, last = capsys.readouterr().out.splitlines()
    assert "epoch 0/20" in first and "left" not in first
    assert last.endswith("about 80 s left")  # two more of 20 epochs, after 20 in 40 s


def test_epochs_of_a_training_that_went_on_where_it_was_are_owed_no_more(
    plan: Planner, budget: Budget, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    study, trials = plan(budget=replace(budget, epochs=10))
    rows = tuple({"epoch": epoch, "test_top1_error_percent": 50.0} for epoch in range(1, 11))
    with Progress(2, already=0, trainings=2, setting=study.setting, names=short_names(study), expected=100) as watch:
        for trial, epochs in ((trials[0], rows[8:]), (trials[1], rows)):  # the first eight were there
            for row in epochs:
                clock.now += 5.0
                watch.epoch(trial, row)
            watch.result(Result(trial=trial, status=DONE, metrics=rows[-1], curve=rows, seconds=30))
    first, last = [line for line in capsys.readouterr().out.splitlines() if "error in" in line]
    assert first.endswith("about 50 s left") and "left" not in last


def test_a_training_that_told_one_row_of_its_sixty_steps_has_done_them_all(
    plan: Planner, budget: Budget, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    study, trials = plan(budget=replace(budget, epochs=60))
    row = {"epoch": 1, "test_top1_error_percent": 50.0}
    with Progress(3, already=0, trainings=3, setting=study.setting, names=short_names(study), expected=0) as watch:
        clock.now = 10.0
        watch.epoch(trials[0], row)
        watch.result(Result(trial=trials[0], status=DONE, metrics=row, curve=(row,), seconds=10))
    assert capsys.readouterr().out.rstrip().endswith("about 20 s left")


def test_the_first_epoch_of_a_training_that_goes_on_says_how_many_are_left(
    plan: Planner, budget: Budget, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    study, trials = plan(budget=replace(budget, epochs=100))
    with Progress(2, already=0, trainings=2, setting=study.setting, names=short_names(study), expected=2000) as watch:
        clock.now = 60.0
        watch.epoch(trials[0], {"epoch": 91, "test_top1_error_percent": 50.0})
        for epoch in range(92, 101):
            watch.epoch(trials[0], {"epoch": epoch, "test_top1_error_percent": 50.0})
        clock.now = 100.0
        watch.epoch(trials[1], {"epoch": 1, "test_top1_error_percent": 50.0})
    first, second = capsys.readouterr().out.splitlines()
    # 9 and 100 are left: of 10 s each by the estimate, to one part in twenty at the pace of 60.
    assert "epoch 91/100" in first and first.endswith(f"about {duration(109 * (0.95 * 10 + 0.05 * 60))} left")
    assert "epoch 1/100" in second
    assert second.endswith(f"about {duration(99 * (9 / 20 * 10 + 11 / 20 * 100 / 11))} left")


def test_a_long_trial_says_now_and_then_how_far_it_is(
    plan: Planner, budget: Budget, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    study, trials = plan(budget=replace(budget, epochs=9))
    with Progress(1, already=0, trainings=1, setting=study.setting, names=short_names(study), expected=90) as watch:
        for epoch in range(1, 10):
            clock.now = 10.0 * epoch
            watch.epoch(trials[0], {"epoch": epoch, "test_top1_error_percent": 50.0})
    said = capsys.readouterr().out.splitlines()
    assert [line.partition("epoch ")[2].partition(",")[0] for line in said] == ["4/9", "8/9"]


def test_a_variant_of_two_departures_costs_the_product_of_their_ratios(
    plan: Planner, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, trials = plan(grid="pairs", words=["lrn", "grouping", "weight_decay"])

    def network(spec: Spec) -> object:
        return [(block.groups, block.norm) for block in spec.blocks]

    cost = {"reference": 10.0, "-lrn": 5.0, "grouping=full": 30.0}
    labelled = [
        (network(spec_of(trial.config)), cost[label]) for trial in trials if (label := trial.variant.label) in cost
    ]

    def pace(spec: Spec, budget: Budget, data: Data, device: torch.device) -> Pace:
        whole = next(seconds for one, seconds in labelled if one == network(spec))
        return Pace(step=whole / 12, image=whole / 360, images=60)

    # 6 steps and 180 evaluated images a trial, each half of its time.
    monkeypatch.setattr(timing, "_time", pace)
    found = {
        variant.label: expected.whole
        for variant, expected in seconds_a_trial(trials, data, threads=1, device=torch.device("cpu")).items()
    }
    assert found["reference"] == found["-weight_decay"] == found["placebo=salted"] == pytest.approx(10)
    assert found["grouping=full -lrn"] == pytest.approx(10 * 0.5 * 3)
    assert found["-lrn -weight_decay"] == pytest.approx(5)


def test_the_estimate_counts_training_and_evaluation_of_the_whole_budget(budget: Budget) -> None:
    # By hand: 2 epochs of 3 steps (32 + 32 + 26 images), and 60 + 60 evaluated images, and 60 of training at the end.
    pace = Pace(step=2.0, image=0.1, images=60)
    assert seconds(budget, pace, views=1) == pytest.approx((2 * 3 * 2.0 + 120 * 0.1, 60 * 0.1))
    few = replace(budget, train_examples=10)
    assert seconds(few, pace, views=1).whole == pytest.approx(2 * 1 * 2.0 + 130 * 0.1)
    # Ten views of the 60 images, which the epochs saw in one, and of the 60 of training.
    assert seconds(budget, pace, views=10) == pytest.approx((2 * 3 * 2.0 + 120 * 0.1, 10 * 120 * 0.1))


def test_trials_that_share_a_training_pay_for_it_once(plan: Planner) -> None:
    _, trials = plan(words=["ten_view"])
    expected = {trial.variant: Seconds(training=100, evaluation=index + 1) for index, trial in enumerate(trials)}
    assert [trial.variant.label for trial in trials[:2]] == ["reference", "ten_view=ten"]
    assert seconds_of(trials[:2], expected) == 100 + 1 + 2


def test_timing_a_few_steps_gives_every_variant_a_time(plan: Planner, data: Data) -> None:
    study, trials = plan()
    found = seconds_a_trial(trials, data, threads=1, device=torch.device("cpu"))
    assert set(found) == set(study.variants)
    assert all(expected.training > 0 and expected.evaluation > 0 for expected in found.values())


def test_a_study_that_ray_made_slow_is_told_so_and_no_other(plan: Planner, clock: Clock) -> None:
    study, trials = plan()
    row = {"epoch": 2, "test_top1_error_percent": 60.0}

    def told(seconds: float, took: float, executor: str = "ray") -> str:
        clock.now = 0
        with Progress(2, already=0, trainings=2, setting=study.setting, names=short_names(study), expected=0) as watch:
            for trial in trials[:2]:
                watch.result(Result(trial=trial, status=DONE, metrics=row, curve=(row,), seconds=seconds))
            clock.now = took
        return watch.advice(executor)

    assert told(0.2, 64) == (
        "hint: these trials took 64 s through Ray, and 0.4 s by themselves: --executor serial runs one after another "
        "and is faster for trials as short as these\n"
    )
    assert not told(0.2, 64, "serial")
    assert not told(0.2, 10)  # nobody waited long
    assert not told(20, 60)  # two at a time could save a third at most
