"""A study file without a sabotage of its own gets one from its budget; one that wants none is told what that costs."""

from __future__ import annotations

import random
from pathlib import Path

from ablations.core.load import SABOTAGE, load
from ablations.core.trial import Trial
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


def test_a_budget_of_one_has_no_tenth(tmp_path: Path) -> None:
    text = TEXT.format(more='budget="rounds"').replace('"rounds": 35', '"rounds": 1')
    found = made_up.findings(tmp_path / "made_up_one.py", text, outcome, seeds=3)
    assert SABOTAGE not in {name for one in found.results for name, _ in one.trial.variant.departures}
