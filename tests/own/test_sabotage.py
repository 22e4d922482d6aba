"""A study file without a sabotage of its own gets one from its budget; one that wants none is told what that costs."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from ablations.analysis.verdicts import Findings
from ablations.core.load import SABOTAGE, load
from ablations.core.result import ERROR
from ablations.core.trial import Trial
from ablations.reporting.answer import answer
from ablations.reporting.next_commands import next_commands
from ablations.subjects.own.harm import harm
from tests.own import made_up

TEXT = """
subject = Subject(
    reference={{"width": 4, "on": True, "rounds": 35}},
    components={{"width": [2, 8], "on": False}},
    metrics={{"score": "higher"}},
    claims=[Claim(change="on", same="score", by=0.5), Claim(change="width=8", hurts="score", by=1.0)],
    {more}
)
"""


def outcome(trial: Trial) -> dict[str, float]:
    values = trial.config["config"]
    own = (trial.seed, values["width"], values["on"], values["rounds"], trial.config.get("salt", 0))
    drawn = random.Random(str(own)).gauss()
    return {"score": 1 - 0.9 * (values["rounds"] < 35) + drawn / 20}


def test_it_is_a_tenth_of_the_first_budget_field_as_set_leaves_it(tmp_path: Path) -> None:
    found = made_up.findings(tmp_path / "made_up_tenth.py", TEXT.format(more='budget="rounds"'), outcome, seeds=10)
    rounds = {one.trial.variant.label: one.trial.config["config"]["rounds"] for one in found.results}
    assert rounds["sabotage=on"] == 3 and rounds["reference"] == 35
    subject = load(found.study.subject)
    setting = found.study.setting
    longer = {**setting.config, "config": {**setting.config["config"], "rounds": 60}}
    assert subject.configure(setting, ((SABOTAGE, "on"),))["config"]["rounds"] == 3
    assert harm(subject.subject, subject.reference, longer["config"]) == {"rounds": 6}
    assert "a tenth of rounds, as no sabotage is declared" in subject.sabotage
    assert [one.label for one in found.verdicts] == ["reproduced", "contradicted (no effect of interest)"]


def test_without_one_a_finding_of_no_effect_is_marked_as_perhaps_insensitive(tmp_path: Path) -> None:
    text = TEXT.format(more='budget="rounds", sabotage={}')
    found = made_up.findings(tmp_path / "made_up_blind.py", text, outcome, seeds=10)
    assert SABOTAGE not in {name for one in found.results for name, _ in one.trial.variant.departures}
    assert [one.label for one in found.verdicts] == [
        "reproduced [insensitive?]",
        "contradicted (no effect of interest) [insensitive?]",
    ]


def test_claims_on_a_metric_called_test_need_no_error_on_training_data_which_a_study_file_does_not_give(
    tmp_path: Path,
) -> None:
    text = TEXT.format(more='budget="rounds"').replace('"score"', '"test_score"')

    def renamed(trial: Trial) -> dict[str, float]:
        return {"test_score": outcome(trial)["score"]}

    found = made_up.findings(tmp_path / "made_up_test.py", text, renamed, seeds=10)
    assert [one.label for one in found.verdicts] == ["reproduced", "contradicted (no effect of interest)"]


def test_where_the_sabotage_changes_nothing_no_seeds_are_advised(tmp_path: Path) -> None:
    found = made_up.findings(tmp_path / "made_up_unharmed.py", TEXT.format(more='budget="rounds"'), outcome, seeds=3)
    harmed = {one for one in found.study.variants if SABOTAGE in dict(one.departures)}
    assert len(harmed) == 1
    variants = tuple(one for one in found.study.variants if one not in harmed)
    results = [one for one in found.results if one.trial.variant not in harmed]
    keys = tuple(one.trial.key for one in results)
    without = replace(found, study=replace(found.study, variants=variants, keys=keys), results=results)
    assert not answer(without).judged and next_commands(without) == ()


def test_a_budget_of_one_has_no_tenth(tmp_path: Path) -> None:
    text = TEXT.format(more='budget="rounds"').replace('"rounds": 35', '"rounds": 1')
    found = made_up.findings(tmp_path / "made_up_one.py", text, outcome, seeds=3)
    assert SABOTAGE not in {name for one in found.results for name, _ in one.trial.variant.departures}


def broken(found: Findings, most: int) -> Findings:
    """The same study, had the sabotage's first `most` trials raised an error."""
    error = "Traceback (most recent call last):\nZeroDivisionError: division by zero"
    results = [
        replace(one, status=ERROR, metrics={}, error=error)
        if SABOTAGE in dict(one.trial.variant.departures) and one.trial.seed < most
        else one
        for one in found.results
    ]
    return Findings(study=found.study, results=results)


@pytest.mark.parametrize(("seeds", "most", "count"), [(5, 5, "5 of 5 trials"), (2, 1, "1 of 2 trials")])
def test_a_sabotage_whose_trials_fail_is_told_with_their_error_and_what_to_mend(
    tmp_path: Path, seeds: int, most: int, count: str
) -> None:
    text = TEXT.format(more='sabotage={"rounds": 0}')
    found = made_up.findings(tmp_path / "made_up_broken.py", text, outcome, seeds=seeds)
    said = answer(broken(found, most))
    assert not said.judged
    assert f"{count} of the sabotage failed: ZeroDivisionError: division by zero" in said.sentences[0]
    assert said.sentences[1].startswith("Mend the sabotage, or declare one that runs: sabotage={...} in made_up_broken")
    assert not said.commands  # more seeds would fail as well


def test_a_sabotage_that_does_no_visible_harm_is_to_be_declared_in_the_study_file(tmp_path: Path) -> None:
    def unharmed(trial: Trial) -> dict[str, float]:
        drawn = random.Random(str((trial.seed, trial.variant.label))).gauss()
        return {"score": drawn}

    for name, more, made in (("tenth", 'budget="rounds"', unharmed), ("same", 'sabotage={"rounds": 1}', same)):
        found = made_up.findings(tmp_path / f"made_up_{name}.py", TEXT.format(more=more), made, seeds=4)
        said = answer(found)
        assert not said.judged
        assert f"does clear harm: sabotage={{...}} in made_up_{name}.py, with fields" in said.sentences[1]
        assert [purpose for purpose, _ in said.commands] == ([] if made is same else ["Train more seeds"])


def same(trial: Trial) -> dict[str, float]:
    """An outcome that the sabotage does not change at all."""
    sabotaged = trial.config["config"]["rounds"] < 35
    return {"score": random.Random(str((trial.seed, sabotaged or trial.variant.label == "reference"))).gauss()}
