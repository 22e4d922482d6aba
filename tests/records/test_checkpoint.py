"""A training that is stopped goes on at its last step, and comes to what it would have come to."""

from __future__ import annotations

import errno
import itertools
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ablations.core.result import DIVERGED, DONE, ERROR
from ablations.core.subject import Place
from ablations.core.trial import by_training
from ablations.execution.executor import serial
from ablations.execution.turns import packed
from ablations.execution.worker import run_job
from ablations.models.presets import PRESETS
from ablations.records import checkpoint as module
from ablations.records.checkpoint import Checkpoint, Kept, sweep, unfinished_path
from ablations.records.provenance import code
from ablations.records.store import trial_path
from ablations.subjects.alexnet import trial as trial_module
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.setting import Budget, spec_of
from ablations.subjects.alexnet.training import optimizers
from ablations.subjects.alexnet.training.step import Step
from ablations.subjects.alexnet.training.train import Trained, Turns, evaluate_as, training
from tests.conftest import Collect, Planner, without_times
from tests.making import run_trial, with_spec

FOUR = Budget(epochs=4, train_examples=90, batch_size=32, image_size=16)
CIFAR = PRESETS["cifar_small"].spec  # with dropout, whose streams go on too


class Killed(BaseException):
    """What ends a process."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps every step."""
    monkeypatch.setattr(module, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(module, "WRITING_SHARE", 1e9)


def killing(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Ends the process in the step behind `after` of them, whichever trainings they are of."""
    whole, steps = Step.__call__, itertools.count()

    def step(self: Step) -> None:
        if next(steps) == after:
            raise Killed
        whole(self)

    monkeypatch.setattr(Step, "__call__", step)


def steps_of(path: Path, data: Data, budget: Budget, **changes: object) -> Turns[Trained]:
    """The training that is kept at `path`."""
    return training(
        replace(CIFAR, **changes),  # type: ignore[arg-type]
        seed=0,
        budget=budget,
        data=data,
        checkpoint=Checkpoint(path, code="same", as_read=torch.from_numpy),
    )


def killed(path: Path, data: Data, budget: Budget, *, after: int, **changes: object) -> None:
    """Leaves a training at `path` that was killed after so many steps of its process."""
    for _ in itertools.islice(steps_of(path, data, budget, **changes), after):
        pass


def ended(path: Path, data: Data, budget: Budget, **changes: object) -> tuple[int, Trained]:
    """The steps of a process that comes to the end of the training at `path`, and what it comes to."""
    turns, count = steps_of(path, data, budget, **changes), 0
    while True:
        try:
            next(turns)
        except StopIteration as end:
            return count, end.value
        count += 1


@pytest.mark.parametrize(
    ("changes", "budget"),
    [
        ({}, FOUR),
        (
            {"optimizer": "sgd_original", "schedule": "plateau"},
            replace(FOUR, train_examples=60, evaluate_on="validation"),
        ),
        ({"optimizer": "adam", "learning_rate": 1e-3}, FOUR),
        ({"pca_until": 0.5}, FOUR),
        ({}, replace(FOUR, threshold_percent=1.0, threshold_every=2, threshold_examples=30)),
        (
            {},
            replace(FOUR, threshold_percent=1.0, threshold_every=2, threshold_examples=30, stop_at_threshold=True),
        ),
    ],
    ids=["sgd", "plateau", "adam", "noise that ends", "looks", "a race"],
)
def test_a_training_that_is_killed_twice_ends_as_one_that_is_not(
    changes: dict[str, Any], budget: Budget, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimizers, "PATIENCE", 1)  # "plateau" divides within four epochs
    steps, expected = ended(tmp_path / "whole", data, budget, **changes)
    assert steps == budget.steps
    path = tmp_path / "part"
    killed(path, data, budget, after=4, **changes)  # within the second of the epochs of three steps
    killed(path, data, budget, after=3, **changes)
    steps, found = ended(path, data, budget, **changes)
    assert steps == budget.steps - 7
    assert found.curve[-1]["learning_rate"] < found.curve[0]["learning_rate"]
    weights = found.network.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in expected.network.state_dict().items())
    assert [row["epoch"] for row in found.curve] == [1, 2, 3, 4]
    assert found.looks == expected.looks and len(found.looks) == (6 if budget.threshold_percent else 0)
    rows = [
        [{name: value for name, value in row.items() if "second" not in name} for row in one.curve]
        for one in (found, expected)
    ]
    assert rows[0] == rows[1]


# In each of the three steps of the first epoch and before it, at the end of an epoch, and at the end of the last.
@pytest.mark.parametrize("stop", [0, 1, 2, 3, 4, 11, 12])
def test_wherever_a_training_is_killed_it_goes_on_at_that_step(stop: int, data: Data, tmp_path: Path) -> None:
    killed(tmp_path / "kept.npz", data, FOUR, after=stop)
    steps, found = ended(tmp_path / "kept.npz", data, FOUR)
    assert steps == 12 - stop
    assert len(found.curve) == 4


def test_an_epoch_that_was_gone_on_with_has_taken_the_time_of_both_processes(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))  # a second each time that it is asked
    _, whole = ended(tmp_path / "whole", data, FOUR)
    killed(tmp_path / "kept.npz", data, FOUR, after=4)
    _, found = ended(tmp_path / "kept.npz", data, FOUR)
    seconds = [[row["seconds_per_epoch"] for row in one.curve] for one in (whole, found)]
    assert seconds[0] == [4.0] * 4  # as its first step, its steps and its means end
    assert seconds[1] == [4.0, 4.0, 4.0, 4.0]
    assert [row["images_per_second"] for row in found.curve] == [90 / 4] * 4


def test_a_trial_that_is_killed_goes_on_and_its_record_says_so(
    plan: Planner, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = plan(budget=FOUR)[1][0]
    with monkeypatch.context() as patched, pytest.raises(Killed):
        killing(patched, after=7)
        run_trial(trial, place)
    kept = unfinished_path(place.folder, trial.training.key)
    assert kept.exists() and not trial_path(place.folder, trial.key).exists()
    watch = Collect()
    serial([(trial,)], place, watch)
    assert watch.epochs == [(trial.key, 3), (trial.key, 4)]
    (result,) = watch.results
    assert result.provenance["went_on_after_steps"] == [7]
    assert not kept.exists()
    whole = run_trial(trial, replace(place, folder=tmp_path / "whole"))
    assert "went_on_after_steps" not in whole.provenance
    assert without_times(result.to_dict()) == without_times(whole.to_dict())


def test_trials_that_took_turns_go_on_each_at_its_step(
    plan: Planner, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, trials = plan(words=["lrn", "dropout"])
    jobs = packed(by_training(trials[:3]), at_once=3, workers=1)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        killing(patched, after=5)  # two of the first and of the second, one of the third
        serial(jobs, replace(place, turns=3), Collect())
    watch = Collect()
    serial(jobs, replace(place, turns=3), watch)
    assert len(watch.results) == 3
    for result in watch.results:
        assert result.provenance["went_on_after_steps"] == [1 if result.trial == trials[2] else 2]
        alone = run_trial(result.trial, replace(place, folder=tmp_path / "alone"))
        assert without_times(result.to_dict()) == without_times(alone.to_dict())


def test_a_kill_in_the_last_evaluation_costs_no_step(
    plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trial = plan()[1][0]

    def kill(*arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(trial_module, "evaluate_as", kill)
        run_trial(trial, place)
    watch = Collect()
    with monkeypatch.context() as patched:
        killing(patched, after=0)
        serial([(trial,)], place, watch)
    assert watch.epochs == [(trial.key, 2)]  # whose evaluation is made again
    whole = run_trial(trial, replace(place, folder=tmp_path / "whole"))
    assert whole.status == DONE
    assert without_times(watch.results[0].to_dict()) == without_times(whole.to_dict())


def test_the_time_before_the_kill_counts(plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = plan(budget=FOUR)[1][0]
    hours = itertools.count(0, 1000)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(module, "time", SimpleNamespace(monotonic=lambda: float(next(hours))))
        killing(patched, after=1)
        run_trial(trial, place)
    # The clock was read as it began, as the step ended and as writing began.
    assert 2000 <= run_trial(trial, place).seconds < 2000 + 300


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a file", None])
def test_what_cannot_be_read_is_trained_anew(content: bytes | None, data: Data, tmp_path: Path) -> None:
    path = tmp_path / "kept.npz"
    killed(path, data, FOUR, after=7)
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    assert Checkpoint(path, code="same").read() is None
    assert ended(path, data, FOUR)[0] == 12


def test_other_code_trains_anew(data: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "kept.npz"
    killed(path, data, FOUR, after=7)
    other, same = Checkpoint(path, code="other"), Checkpoint(path, code="same")
    assert other.read() is None and (other.seconds, other.stops) == (0.0, [])
    assert caplog.messages == ["A training that other code had begun starts anew."]
    assert same.read() and same.stops == [7]
    assert len({code(torch.device("cpu"), 1), code(torch.device("cuda"), 1), code(torch.device("cpu"), 2)}) == 3


def test_a_training_that_failed_is_kept_and_one_that_diverged_is_not(
    plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = plan()[1][0]
    kept = unfinished_path(place.folder, trial.training.key)

    def fail(*arguments: object) -> None:
        raise OSError("the disk of the data is gone")

    with monkeypatch.context() as patched:
        patched.setattr(trial_module, "evaluate_as", fail)
        assert run_trial(trial, place).status == ERROR
    assert kept.exists()
    hot = with_spec(trial, replace(spec_of(trial.config), learning_rate=1e12))
    begun = unfinished_path(place.folder, hot.training.key)
    begun.write_bytes(b"of an epoch before")
    assert run_trial(hot, place).status == DIVERGED
    assert not begun.exists()
    assert run_trial(trial, place).status == DONE
    assert not kept.exists()


def test_a_full_disk_is_told_and_costs_no_training(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*arguments: object, **arrays: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    steps, found = ended(tmp_path / "kept.npz", data, replace(FOUR, epochs=1))
    assert steps == 3 and len(found.curve) == 1
    assert caplog.messages == ["An unfinished training was not kept: No space left on device."] * 3
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_written_once_a_minute_and_less_often_to_a_slow_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVERY_SECONDS", 60.0)
    monkeypatch.setattr(module, "WRITING_SHARE", 0.05)
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    checkpoint = Checkpoint(tmp_path / "kept.npz", code="same")
    written: list[float] = []

    def save(*arguments: object, **arrays: object) -> None:
        written.append(now[0])
        now[0] += 10 if len(written) == 2 else 0  # the second one takes so long

    monkeypatch.setattr(np, "savez", save)
    for step, second in enumerate((59.0, 60.0, 119.0, 120.0, 329.0, 330.0), start=1):
        now[0] = second
        if checkpoint.due():
            checkpoint.write(step, Kept(tensors={"weight": torch.ones(2)}, values={}))
    assert written == [60.0, 120.0, 330.0]


def test_nothing_of_a_training_is_looked_at_before_it_is_time(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state(self: Step) -> dict[str, Tensor]:
        raise AssertionError("on a GPU, this waits for the device")

    monkeypatch.setattr(module, "EVERY_SECONDS", 60.0)
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(Step, "state", state)
    assert ended(tmp_path / "kept.npz", data, FOUR)[0] == 12


def test_trials_that_share_a_training_keep_it_until_the_last_has_its_record(
    plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, trials = plan(words=["ten_view"])
    group = next(job for job in by_training(trials) if len(job) > 1)
    evaluated = iter([evaluate_as])

    def once(*arguments: Any) -> Any:
        if (evaluate := next(evaluated, None)) is None:
            raise Killed
        return evaluate(*arguments)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(trial_module, "evaluate_as", once)
        list(run_job(group, place))
    assert [trial_path(place.folder, trial.key).exists() for trial in group] == [True, False]
    watch = Collect()
    with monkeypatch.context() as patched:
        killing(patched, after=0)
        serial([group[1:]], place, watch)
    assert watch.results[0].status == DONE
    assert not unfinished_path(place.folder, group[1].training.key).exists()


def test_what_a_kill_left_behind_is_swept_away_but_for_what_goes_on(tmp_path: Path) -> None:
    sweep(tmp_path, ())  # where nothing is
    left = [unfinished_path(tmp_path, key) for key in ("goes_on", "has_its_record")]
    left[0].parent.mkdir()
    for path in (*left, left[0].with_name(".goes_on.npz.h4lf")):
        path.write_bytes(b"")
    sweep(tmp_path, {"goes_on"})
    assert list(left[0].parent.iterdir()) == [left[0]]
    sweep(tmp_path, ())
    assert list(tmp_path.iterdir()) == []
