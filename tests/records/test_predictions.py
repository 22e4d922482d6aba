"""Predictions beside the records: written, read back, refused, and carried over from other machines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ablations.core.result import DONE
from ablations.core.subject import Place
from ablations.records.outcomes import unpack
from ablations.records.predictions import Predictions, packed, predictions_path, read_predictions, write_predictions
from tests.conftest import Planner
from tests.making import run_trial

SOME = Predictions(probabilities=np.array([[0.25, 0.75], [0.9, 0.1]]), labels=np.array([1, 1]))


def test_a_finished_trial_keeps_what_it_predicted_and_its_record_agrees(plan: Planner, place: Place) -> None:
    _, trials = plan(words=["ten_view"])
    for trial in trials[:2]:  # one view, ten views
        result = run_trial(trial, place)
        kept = read_predictions(place.folder, trial.key)
        assert kept is not None
        assert kept.probabilities.dtype == np.float16 and kept.probabilities.shape == (60, 3)
        np.testing.assert_allclose(kept.probabilities.astype(float).sum(axis=1), 1, atol=2e-3)
        right = kept.probabilities.argmax(axis=1) == kept.labels
        assert (right == unpack(result.outcomes, 60)).all()
    # What the ten views predict is not what the centre crop does.
    one, ten = (read_predictions(place.folder, trial.key) for trial in trials[:2])
    assert one and ten and np.abs(one.probabilities - ten.probabilities).max() > 0.001


def test_the_same_predictions_give_the_same_bytes() -> None:
    assert packed(SOME) == packed(SOME)


def pickled(path: Path) -> None:
    np.savez(path, probabilities=np.array([{"a": 1}], dtype=object), labels=np.array([0]))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: path.write_bytes(b""),
        lambda path: np.savez(path, probabilities=np.zeros((2, 3))),
        lambda path: np.savez(path, probabilities=np.zeros((2, 3)), labels=np.zeros(5)),
        pickled,
    ],
    ids=["missing", "cut off", "empty", "without labels", "of two sizes", "pickled"],
)
def test_what_cannot_be_read_is_none_and_nothing_is_unpickled(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    path = write_predictions(tmp_path, "key", packed(SOME))
    found = read_predictions(tmp_path, "key")
    assert found is not None and (found.labels == SOME.labels).all()
    spoil(path)
    assert read_predictions(tmp_path, "key") is None


def test_predictions_that_cannot_be_written_cost_a_sentence_and_not_the_trial(plan: Planner, place: Place) -> None:
    place.folder.mkdir()
    (place.folder / "predictions").write_text("a file where the folder should be")
    result = run_trial(plan()[1][1], place)
    assert (result.status, result.notes, result.error) == (DONE, ("predictions were not kept: File exists",), "")


def test_what_is_too_large_to_be_kept_leaves_no_older_file_behind(
    plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = plan()[1][1]
    write_predictions(place.folder, trial.key, packed(SOME))
    monkeypatch.setattr("ablations.subjects.alexnet.training.evaluate.MOST_PROBABILITIES", 10)
    assert run_trial(trial, place).status == DONE
    assert not predictions_path(place.folder, trial.key).exists()


def test_a_trial_that_is_asked_to_keep_none_keeps_none(plan: Planner, place: Place) -> None:
    run_trial(plan()[1][1], replace(place, predictions=False))
    assert not (place.folder / "predictions").exists()
