"""What a study says to do next if nothing of it was judged: a command only where it helps, and else what to mend."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ablations.analysis.verdicts import Findings
from ablations.core.result import DIVERGED, ERROR, Result
from ablations.core.trial import Trial
from ablations.reporting.answer import answer
from ablations.reporting.document import Answer
from tests.own import made_up

TEXT = """
subject = Subject(
    reference={"slope": 2.0, "bad": 0.0},
    components={"slope": 1.0},
    metrics={"score": Metric("higher", unit="points")},
    sabotage={"bad": 1.0},
)
"""
COMMAND = "python -m ablations.run study.py --seeds 10"
AGAIN = ("Once the error is mended, run it again", COMMAND)
MORE = "Train more seeds"


def outcome(trial: Trial) -> dict[str, float]:
    values = trial.config["config"]
    drawn = random.Random(str((trial.seed, trial.variant.label))).gauss()
    return {"score": 50 + trial.seed + values["slope"] - 30 * values["bad"] + drawn / 2}


def said(path: Path, lost: Callable[[str, int], str], made: Callable[[Trial], dict[str, float]] = outcome) -> Answer:
    """What is answered if trials ended as `lost` says of a variant and a seed: an error, diverged, or else done."""
    found = made_up.findings(path / "made_up_mend.py", TEXT, made, seeds=10)

    def ended(one: Result) -> Result:
        status = lost(one.trial.variant.label.partition("=")[0], one.trial.seed)
        error = "Traceback (most recent call last):\nValueError: boom"
        return replace(one, status=status, metrics={}, error=error) if status else one

    study = replace(found.study, command=COMMAND)
    return answer(Findings(study=study, results=[ended(one) for one in found.results]))


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        (
            lambda label, _: ERROR * (label == "placebo"),
            "10 trials ended in an error (placebo, seed 0: ValueError: boom)",
        ),
        (
            lambda label, _: ERROR * (label == "reference"),
            "10 trials ended in an error (reference, seed 0: ValueError: boom)",
        ),
        (lambda _, seed: ERROR * (seed > 0), "36 trials ended in an error (reference, seed 1: ValueError: boom)"),
        (lambda *_: ERROR, "40 trials ended in an error (reference, seed 0: ValueError: boom)"),
    ],
)
def test_errors_are_to_be_mended_before_the_same_command_runs_again(
    tmp_path: Path, lost: Callable[[str, int], str], told: str
) -> None:
    found = said(tmp_path, lost)
    assert found.sentences[1:] == (f"Mend an error first: {told}. The same command tries again.",)
    assert found.commands == (AGAIN,)  # neither more seeds nor longer trials, and nothing of the sabotage


@pytest.mark.parametrize(("label", "count"), [("placebo", 10), ("reference", 10), ("reference", 9)])
def test_a_control_or_reference_that_diverges_asks_for_a_recipe_and_no_seeds(
    tmp_path: Path, label: str, count: int
) -> None:
    found = said(tmp_path, lambda name, seed: DIVERGED * (name == label and seed < count))
    assert "too few pairs are left to compare" in found.sentences[0]
    words = f"Mend the recipe first: {count} of 10 trainings of the {label} failed, and more seeds would fail as often."
    assert found.sentences[1:] == (words,) and not found.commands


def test_a_placebo_that_is_loud_asks_for_no_more_seeds(tmp_path: Path) -> None:
    def loud(trial: Trial) -> dict[str, float]:
        return {"score": outcome(trial)["score"] + 3 * bool(trial.config.get("salt"))}

    found = said(tmp_path, lambda *_: "", loud)
    assert "the placebo, which changes nothing but random draws, had an effect" in found.sentences[0]
    (mend,) = found.sentences[1:]
    assert mend.startswith("Find out why other random draws alone change the outcome") and not found.commands


def test_a_placebo_that_changes_nothing_in_ten_pairs_asks_for_a_finer_metric(tmp_path: Path) -> None:
    def rounded(trial: Trial) -> dict[str, float]:
        return {"score": trial.seed - 30 * trial.config["config"]["bad"] * (1 + trial.seed / 10)}

    found = said(tmp_path, lambda *_: "", rounded)
    (mend,) = found.sentences[1:]
    assert "a finer metric" in mend and mend.endswith("the placebo changes nothing in any of 10 pairs.")
    assert not found.commands


def test_a_sabotage_that_clearly_helps_asks_for_another_and_no_seeds(tmp_path: Path) -> None:
    def helped(trial: Trial) -> dict[str, float]:
        return {"score": outcome(trial)["score"] + 60 * trial.config["config"]["bad"]}

    found = said(tmp_path, lambda *_: "", helped)
    (mend,) = found.sentences[1:]
    assert mend.startswith("Declare a sabotage that does clear harm") and not found.commands


def test_of_overlapping_splits_whose_sabotage_does_the_same_in_every_pair_no_number_is_asked(tmp_path: Path) -> None:
    def steady(trial: Trial) -> dict[str, float]:
        values, drawn = trial.config["config"], random.Random(trial.seed).gauss() * bool(trial.config.get("salt"))
        score = 80 + trial.seed + values["slope"] - 30 * values["bad"] + drawn
        return {"score": score, "train_size": 400, "test_size": 100}

    text = TEXT.replace('"bad": 1.0},', '"bad": 1.0}, replicate="split",')
    for seeds in (10, 40):
        found = answer(made_up.findings(tmp_path / "made_up_mend.py", text, steady, seeds=seeds))
        assert f"in every pair, which gives no p where splits overlap, n = {seeds}" in found.sentences[0]
        (mend,) = found.sentences[1:]
        assert "the sabotage does the same in every pair" in mend and not found.commands
    text = text.replace('replicate="split",', "")
    found = answer(made_up.findings(tmp_path / "made_up_mend.py", text, steady, seeds=4))
    assert [what for what, _ in found.commands] == [MORE]  # of independent seeds, more of them tell
