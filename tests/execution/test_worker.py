"""A trial: its record, its failures, its activity."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ablations.core.result import DIVERGED, DONE, ERROR, OUT_OF_MEMORY, Result
from ablations.core.subject import Place
from ablations.core.trial import Trial, by_training
from ablations.execution.executor import serial
from ablations.execution.worker import run_job
from ablations.records.measures import UNMEASURED, lacking, needed
from ablations.records.outcomes import pack, unpack
from ablations.records.store import read_result, trial_path
from ablations.subjects.alexnet import registry
from ablations.subjects.alexnet import trial as module
from ablations.subjects.alexnet.component import Activity
from ablations.subjects.alexnet.registry import components
from ablations.subjects.alexnet.setting import spec_of
from ablations.subjects.alexnet.training.train import training
from tests.conftest import Collect, Planner, without_times
from tests.making import run_trial, with_spec


def test_the_record_on_disk_is_the_result_that_is_returned(plan: Planner, place: Place) -> None:
    _, trials = plan()
    result = run_trial(trials[0], place)
    assert result.status == DONE, result.error
    assert read_result(trial_path(place.folder, trials[0].key)) == (result, "")


def test_two_runs_of_a_trial_differ_in_nothing_but_their_times(plan: Planner, place: Place, tmp_path: Path) -> None:
    _, trials = plan()
    one = run_trial(trials[1], place)
    two = run_trial(trials[1], replace(place, folder=tmp_path / "again"))
    assert without_times(one.to_dict()) == without_times(two.to_dict())


def test_outcomes_say_which_images_were_right(plan: Planner, place: Place) -> None:
    result = run_trial(plan()[1][0], place)
    right = unpack(result.outcomes, 60)
    assert 100 * (1 - right.mean()) == pytest.approx(result.metrics["test_top1_error_percent"])


def test_packed_bits_unpack_to_the_same(plan: Planner) -> None:
    bits = np.random.default_rng(0).random(1001) < 0.3
    assert (unpack(pack(torch.from_numpy(bits)), 1001) == bits).all()


def test_every_component_reports_its_activity_in_the_reference_and_only_there(plan: Planner, place: Place) -> None:
    _, trials = plan()
    reference, departed = (run_trial(trial, place) for trial in trials[:2])
    assert set(reference.activity) == set(components())
    assert departed.activity == {}
    assert all(np.isfinite(value) for value in reference.activity.values())
    # What the reference of this preset uses is seen to do something.
    for name in ("activation", "lrn", "pooling", "dropout", "pca_jitter", "crop_flip", "weight_decay"):
        assert reference.activity[name] > 0, name
    assert reference.activity["sabotage"] == pytest.approx(1 / 3, abs=0.15)  # half shuffled, 3 classes


def test_a_diverged_training_is_a_result_with_a_reason(plan: Planner, place: Place) -> None:
    _, trials = plan()
    hot = with_spec(trials[0], replace(spec_of(trials[0].config), learning_rate=1e12))
    result = run_trial(hot, place)
    assert (result.status, result.error) == (DIVERGED, "the training loss was not finite in epoch 1")
    assert read_result(trial_path(place.folder, hot.key))[0] == result


@pytest.mark.parametrize(
    ("raised", "status"), [(torch.OutOfMemoryError("CUDA out of memory"), OUT_OF_MEMORY), (RuntimeError("boom"), ERROR)]
)
def test_a_failure_is_a_result_with_a_word_and_a_reason(
    raised: Exception, status: str, plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise raised

    monkeypatch.setattr(module, "training", fail)
    result = run_trial(plan()[1][0], place)
    assert result.status == status
    assert str(raised) in result.error


def test_a_measure_that_fails_costs_its_number_and_not_the_training(
    plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(probe: object) -> float:
        raise RuntimeError("size mismatch for fc6\nand more")

    broken = replace(registry.component("lrn"), activity=Activity(measure=fail, unit=""))
    nothing = replace(registry.component("dropout"), activity=Activity(measure=lambda probe: math.nan, unit=""))
    monkeypatch.setattr(registry, "_COMPONENTS", {**registry.components(), "lrn": broken, "dropout": nothing})
    result = run_trial(plan()[1][0], place)
    assert result.status == DONE
    assert result.error == ""
    assert result.notes == (
        "activity of dropout was not measured: its measure gives nan",
        "activity of lrn was not measured: RuntimeError: size mismatch for fc6",
    )
    assert set(result.activity) == set(components()) - {"lrn", "dropout"}


class Killed(BaseException):
    """What ends a process."""


def stopped_while_measuring(trial: Trial, place: Place, monkeypatch: pytest.MonkeyPatch) -> Result:
    """The record that a process leaves which ends while the activity of lrn is measured."""

    def kill(probe: object) -> float:
        raise Killed

    with monkeypatch.context() as once:
        killer = replace(registry.component("lrn"), activity=Activity(measure=kill, unit=""))
        once.setattr(registry, "_COMPONENTS", {**registry.components(), "lrn": killer})
        with pytest.raises(Killed):
            run_trial(trial, place)
    result, problem = read_result(trial_path(place.folder, trial.key))
    assert result, problem
    return result


def test_the_record_is_on_disk_before_its_activities_are_measured_and_the_next_run_measures_them_without_training(
    plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    study, trials = plan()
    place = replace(place, measures=needed(study))
    left = stopped_while_measuring(trials[0], place, monkeypatch)
    assert left.status == DONE and "test_top1_error_percent" in left.metrics
    assert (left.activity, left.notes, left.error) == ({}, (UNMEASURED,), "")
    assert lacking(left, place.measures) == ("lrn",)
    with monkeypatch.context() as untrained:
        untrained.setattr(module, "training", None)
        later = run_trial(trials[0], place)
    whole = run_trial(trials[0], replace(place, folder=tmp_path / "whole"))
    assert later == replace(left, activity=whole.activity, notes=())  # also what depends on dropout's draws
    assert read_result(trial_path(place.folder, trials[0].key)) == (later, "")
    assert list((place.folder / "unfinished").iterdir()) == []
    assert lacking(later, place.measures) == ()


def test_a_reference_whose_network_is_gone_is_trained_again_and_its_numbers_stand(
    plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, trials = plan()
    place = replace(place, measures=needed(study))
    left = stopped_while_measuring(trials[0], place, monkeypatch)
    for path in (place.folder / "unfinished").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    with monkeypatch.context() as broken:
        broken.setattr(module, "training", None)  # fails: there is no such function
        failed = run_trial(trials[0], place)
    assert failed.status == DONE and failed.metrics == left.metrics
    assert failed.error == ""
    assert any("its training again, to measure activities, failed: TypeError" in note for note in failed.notes)
    assert read_result(trial_path(place.folder, trials[0].key)) == (failed, "")
    later = run_trial(trials[0], place)
    told = {"measured_on": "a second training of the same trial"}
    assert set(later.activity) == set(components())
    assert replace(later, activity={}, notes=()) == replace(left, notes=(), provenance={**left.provenance, **told})


def test_trials_that_share_the_training_of_a_reference_are_on_disk_before_it_is_measured(
    plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, trials = plan(words=["ten_view"])
    group = next(job for job in by_training(trials) if len(job) > 1)
    assert not group[0].variant.departures

    def kill(*arguments: object, **named: object) -> None:
        raise Killed

    monkeypatch.setattr(module, "activities", kill)
    with pytest.raises(Killed):
        list(run_job(group, place))
    assert all(trial_path(place.folder, trial.key).exists() for trial in group)


def test_only_references_of_this_version_lack_activities_and_only_those_without_a_recorded_reason(
    plan: Planner, place: Place
) -> None:
    reference, departed = (run_trial(trial, place) for trial in plan()[1][:2])
    assert lacking(reference, components()) == lacking(departed, components()) == ()
    assert lacking(reference, ["lrn", "invented"]) == ("invented",)
    assert lacking(replace(reference, activity={}), ["lrn", "dropout"]) == ("lrn", "dropout")
    told = replace(reference, activity={}, notes=("activity of lrn was not measured: ValueError: no",))
    assert lacking(told, ["lrn", "dropout"]) == ("dropout",)
    assert lacking(replace(reference, activity={}, training_version=1), ["lrn"]) == ()


def test_data_that_changed_since_the_plan_are_refused(plan: Planner, place: Place) -> None:
    _, trials = plan(fingerprint="0" * 16)
    result = run_trial(trials[0], place)
    assert result.status == ERROR
    assert "have changed since the study was planned" in result.error


def test_a_failing_trial_does_not_stop_the_ones_after_it(
    plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def fail_once(*arguments: object, **named: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("boom")
        return training(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "training", fail_once)
    watch = Collect()
    serial(by_training(plan()[1][:2]), place, watch)
    assert [result.status for result in watch.results] == [ERROR, DONE]
    assert watch.epochs == [(plan()[1][1].key, 1), (plan()[1][1].key, 2)]


def test_a_record_is_strict_json_with_its_schema_and_key(plan: Planner, place: Place) -> None:
    _, trials = plan()
    run_trial(trials[0], place)
    record = json.loads(trial_path(place.folder, trials[0].key).read_text())
    assert record["schema"] == 2
    assert record["key"] == trials[0].key
    assert {"commit", "versions", "hardware", "command", "threads", "device"} <= record["provenance"].keys()
