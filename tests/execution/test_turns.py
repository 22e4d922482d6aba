"""Several trials that take turns in one process: each one's result is that of training it alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ablations.cli.limits import pack_of
from ablations.cli.options import check, request_of
from ablations.core.errors import InputError
from ablations.core.result import DIVERGED, DONE, ERROR
from ablations.core.subject import Place
from ablations.core.trial import Packing, by_training
from ablations.execution.executor import serial
from ablations.execution.turns import ROUNDS, in_turns, packed
from ablations.execution.worker import run_job
from ablations.planning.resources import packing
from ablations.records.store import read_result, trial_path
from ablations.subjects.alexnet import trial as trial_module
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.packing import COUNTS, TIMED, WORTH, Timed, best, steps_a_second
from ablations.subjects.alexnet.setting import budget_of, spec_of
from ablations.subjects.alexnet.training import train as training_module
from ablations.subjects.alexnet.training.step import Step
from ablations.subjects.alexnet.training.streams import CPU
from ablations.subjects.alexnet.training.train import Turns, training
from tests.conftest import Collect, Planner, without_times
from tests.making import config_from, with_budget, with_spec


def test_turns_go_round_and_the_next_task_takes_the_place_of_one_that_ended() -> None:
    started: list[str] = []

    def task(name: str, turns: int) -> Iterator[str | None]:
        started.append(name)
        for number in range(turns):
            yield None if number % 2 else f"{name}{number}"

    found = list(in_turns((task(name, turns) for name, turns in (("a", 1), ("b", 3), ("c", 1))), at_once=2))
    assert found == ["a0", "b0", "c0", "b2"]
    assert started == ["a", "b", "c"]
    assert list(in_turns([], at_once=3)) == []


@pytest.mark.parametrize(
    ("jobs", "at_once", "workers", "sizes"),
    [
        (10, 1, 2, [1] * 10),
        (10, 8, 2, [5, 5]),  # no worker is left without
        (3, 4, 8, [1, 1, 1]),
        (7, 2, 1, [7]),  # fewer than four rounds of two
        (20, 2, 1, [6, 7, 7]),
        (0, 4, 2, []),
    ],
)
def test_packs_are_even_and_leave_no_worker_idle(
    jobs: int, at_once: int, workers: int, sizes: list[int], plan: Planner
) -> None:
    trials = [replace(plan()[1][0], seed=seed) for seed in range(jobs)]
    made = packed(by_training(trials), at_once=at_once, workers=workers)
    assert [len(pack) for pack in made] == sizes
    assert [trial for pack in made for trial in pack] == trials
    assert at_once == 1 or max(map(len, made), default=0) <= ROUNDS * at_once


def test_packed_trials_are_those_trained_alone_bit_for_bit(plan: Planner, place: Place, tmp_path: Path) -> None:
    _, trials = plan(words=["lrn", "dropout"])  # five networks and recipes under one seed
    pack, alone = Collect(), Collect()
    jobs = packed(by_training(trials), at_once=3, workers=1)
    assert len(jobs) == 1
    serial(jobs, replace(place, turns=3), pack)
    serial(by_training(trials), replace(place, folder=tmp_path / "alone"), alone)
    assert {result.status for result in pack.results} == {DONE}
    by_key = {result.trial.key: result for result in pack.results}
    for result in alone.results:
        assert without_times(by_key[result.trial.key].to_dict()) == without_times(result.to_dict())
        assert by_key[result.trial.key].provenance["pack"] == 3
        assert "pack" not in result.provenance
    # They did take turns: the epochs of three trials come side by side.
    assert len({key for key, _ in pack.epochs[:3]}) == 3
    assert len({key for key, _ in alone.epochs[:3]}) == 2


def test_a_trial_that_fails_or_diverges_takes_no_other_down_and_records_come_as_trials_end(
    plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, (reference, without, placebo, *_) = plan()
    hot = with_spec(without, replace(spec_of(without.config), learning_rate=1e12))
    broken = replace(placebo, seed=9)

    def failing(spec: Any, *, seed: int, **named: Any) -> Turns[Any]:
        turns = training(spec, seed=seed, **named)
        for _ in range(2):
            yield next(turns)
        if seed == 9:
            raise RuntimeError("boom")
        return (yield from turns)

    monkeypatch.setattr(trial_module, "training", failing)
    longer = with_budget(reference, epochs=3)
    statuses = {}
    for result in run_job((longer, hot, broken, placebo), replace(place, turns=4)):
        statuses[result.trial.key] = result.status
        assert read_result(trial_path(place.folder, result.trial.key))[0] == result
        assert trial_path(place.folder, longer.key).exists() == (longer.key in statuses)
    assert list(statuses.values()) == [ERROR, DIVERGED, DONE, DONE] or list(statuses.values()) == [
        DIVERGED, ERROR, DONE, DONE,
    ]  # fmt: skip
    assert list(statuses)[-2:] == [placebo.key, longer.key]  # the shorter one is not held up


def test_a_pack_that_is_stopped_keeps_the_records_of_what_had_ended(
    plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, (reference, *others) = plan()
    longer = with_budget(reference, epochs=3)
    results = run_job((longer, others[0]), replace(place, turns=2))
    first = next(results)
    results.close()  # type: ignore[attr-defined]
    assert first.trial == others[0]
    assert read_result(trial_path(place.folder, first.trial.key))[0] == first
    assert not trial_path(place.folder, longer.key).exists()


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([100, 190, 350, 355], (4, 3.5)),  # the fourth is not worth it
        ([100, 190, None], (2, 1.9)),  # no room for four
        ([None], (1, 1.0)),
        ([100, 99], (1, 1.0)),
        ([10 * WORTH**number * 1.001**number for number in range(len(COUNTS))], (COUNTS[-1], 1.001**5 * WORTH**5)),
    ],
)
def test_a_pack_grows_while_it_is_worth_it_and_there_is_room(
    rates: list[float | None], expected: tuple[int, float]
) -> None:
    asked: list[int] = []

    def rate(count: int) -> float | None:
        asked.append(count)
        return rates[len(asked) - 1]

    count, gain = best(rate)
    assert count == expected[0] and gain == pytest.approx(expected[1])
    assert asked == list(COUNTS[: len(asked)])


def test_the_steps_that_are_timed_are_those_of_trainings(
    plan: Planner, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    (trial, *_) = plan()[1]
    pack = [Timed(trial, data, CPU, seed=seed) for seed in range(2)]
    before = [one.step.warm for one in pack]
    assert steps_a_second(pack, CPU) > 0
    assert [one.step.warm - past for one, past in zip(pack, before, strict=True)] == [TIMED + 1, TIMED + 1]
    # Epochs go on as they do in a training: the same steps lead to the same weights.
    steps = pack[0].step.warm
    weights = {name: value.clone() for name, value in pack[0].step.network.state_dict().items()}
    made: list[Step] = []

    def kept(*arguments: Any, **named: Any) -> Step:
        made.append(Step(*arguments, **named))
        return made[-1]

    monkeypatch.setattr(training_module, "Step", kept)
    turns = training(spec_of(trial.config), seed=0, budget=replace(budget_of(trial.config), epochs=2), data=data)
    short = Timed(trial, data, CPU, seed=0)
    next(turns)
    while made[0].warm < short.step.warm:
        next(turns)
    assert steps > short.step.warm
    for name, value in made[0].network.state_dict().items():
        assert torch.equal(value, short.step.network.state_dict()[name]), name
        assert not torch.equal(value, weights[name]) or value.numel() < 2, name


def test_on_processor_cores_auto_is_one_and_says_why_and_a_number_is_taken_at_its_word(
    plan: Planner, place: Place
) -> None:
    def packed_as(place: Place, **changes: Any) -> Packing:
        request = request_of(config_from("--gpus-per-trial", "0"), command="")
        return packing(replace(request, **changes), plan()[1][0], place, any_missing=True)

    auto = packed_as(place, pack=pack_of("auto"))
    assert auto.at_once == 1 and "one trial fills a core" in auto.words
    three = packed_as(place, pack=pack_of("3"))
    assert three.at_once == 3 and "no more of them an hour" in three.words
    assert packed_as(place).words == ""
    with pytest.raises(InputError, match="for a cluster give a number"):
        packed_as(replace(place, gpus=1.0), pack=pack_of("auto"), cluster=True)


@pytest.mark.parametrize("word", ["0", "-1", "many", "1.5", ""])
def test_another_word_than_auto_or_a_number_is_refused(word: str, tmp_path: Path) -> None:
    places = {"results": tmp_path, "reports": tmp_path}
    with pytest.raises(InputError, match="--pack is"):
        check(replace(config_from(), pack=word, **places))
    check(replace(config_from(), pack="8", **places))
