"""The final weights of a trial: kept where that is asked for, those of the training, and nothing that needs pickle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ablations.core.subject import Place
from ablations.records.files import read_json
from ablations.records.store import kept_files, read_result, trial_path
from ablations.subjects.alexnet import trial as module
from ablations.subjects.alexnet.setting import budget_of, spec_of
from ablations.subjects.alexnet.training.train import train
from ablations.subjects.alexnet.trial import open_data
from tests.conftest import Planner
from tests.making import run_trial


@pytest.fixture
def asked(place: Place) -> Place:
    return replace(place, options={**place.options, "keep_weights": True})


def test_a_trial_that_is_asked_to_keeps_the_weights_that_its_training_ended_with(plan: Planner, asked: Place) -> None:
    departed = plan()[1][1]
    result = run_trial(departed, asked)
    assert result.artifacts == (f"weights/{departed.key}.pt",)
    read, _ = read_result(trial_path(asked.folder, departed.key))
    assert read is not None and read == result
    (path,) = kept_files(asked.folder, read)
    state = torch.load(path, weights_only=True)
    data = open_data(departed, asked, torch.device("cpu"))
    spec, budget = spec_of(departed.config), budget_of(departed.config)
    again = train(spec, seed=departed.seed, budget=budget, data=data).network.state_dict()
    assert state.keys() == again.keys()
    assert all(torch.equal(state[name], value) for name, value in again.items())


def test_without_being_asked_a_trial_keeps_none_and_its_record_is_as_it_was(plan: Planner, place: Place) -> None:
    departed = plan()[1][1]
    assert run_trial(departed, place).artifacts == ()
    assert "artifacts" not in read_json(trial_path(place.folder, departed.key))
    assert not (place.folder / "weights").exists()


def test_trials_that_choose_a_learning_rate_keep_none(plan: Planner, asked: Place) -> None:
    assert run_trial(plan()[1][1], replace(asked, predictions=False)).artifacts == ()


def test_a_full_disk_costs_the_weights_and_not_the_trial(
    plan: Planner, asked: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "replaced", full)
    result = run_trial(plan()[1][1], asked)
    assert (result.status, result.artifacts) == ("done", ())
    assert "weights were not kept: No space left on device" in result.notes


def test_a_record_leads_to_no_file_outside_of_its_study(plan: Planner, asked: Place) -> None:
    result = run_trial(plan()[1][1], asked)
    (asked.folder.parent / "secret").write_text("x")
    hostile = replace(result, artifacts=("../secret", str(asked.folder.parent / "secret"), "weights/gone.pt", "trials"))
    assert kept_files(asked.folder, hostile) == []
