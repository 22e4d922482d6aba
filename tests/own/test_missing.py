"""Comparisons of which trials are missing, or whose design cannot be made: what is told of them, and what is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ablations.analysis.doses import trends
from ablations.analysis.ranking import UNDECIDED, ranked
from ablations.analysis.verdicts import Findings
from ablations.core.errors import InputError
from ablations.core.result import DIVERGED, ERROR
from ablations.core.text import MINUS
from ablations.core.trial import Trial
from ablations.reporting import wording
from ablations.reporting.answer import answer
from ablations.reporting.exports import verdicts_table
from ablations.reporting.sections import doses
from tests.own import made_up

TEXT = """
subject = Subject(
    reference={"slope": 2.0, "width": 4, "bad": 0.0},
    components={"slope": 1.0, "width": 8},
    metrics={"score": Metric("higher", unit="points", chance=0.0)},
    claims=CLAIMS,
    sabotage={"bad": 1.0},
)
"""
EASY = (1, 4, 7, 12, 15)  # seeds under which every variant scores 10 points more


def score(trial: Trial) -> dict[str, float]:
    """The slope does nothing but to scatter, and the width costs five points."""
    values = trial.config["config"]
    wobble = (trial.seed * 7919 % 11 - 5) / 20 * (values["slope"] == 1.0 or bool(trial.config.get("salt")))
    cost = 5 * (values["width"] == 8) * (1 + trial.seed % 3 / 10)
    return {"score": 50 + 10 * (trial.seed in EASY) - 30 * values["bad"] + wobble - cost}


def found(path: Path, claims: str = "[]") -> Findings:
    """A study whose trials without the slope end in an error under the easy seeds: a quarter of its pairs."""
    judged = made_up.findings(path / "made_up_missing.py", TEXT.replace("CLAIMS", claims), score, seeds=20)
    results = [
        replace(one, status=ERROR, metrics={}, error="ValueError: too easy")
        if one.trial.variant.label == "slope=1.0" and one.trial.seed in EASY
        else one
        for one in judged.results
    ]
    return Findings(study=judged.study, results=results)


@pytest.mark.parametrize("claims", ["[]", '[Claim(change="slope", hurts="score", by=0.5)]'])
def test_a_change_whose_trials_of_easy_seeds_are_missing_neither_hurts_nor_helps(claims: str, tmp_path: Path) -> None:
    judged = found(tmp_path, claims)
    rows = {one.effect.component: one for one in ranked(judged)}
    slope = rows["slope"]
    assert abs(slope.effect.estimate) < 0.25 and slope.effect.n == 15  # the means of all trials differ by 2.5 points
    assert (slope.side, slope.missing, wording.reads_as(slope)) == (UNDECIDED, True, "missing pairs")
    assert wording.reads_as(rows["width"]) == "hurts"
    (sentence, *_) = answer(judged).sentences
    assert (
        "width 8 instead of 4 hurt (5.47 points); slope 1.0 instead of 2.0 cannot be judged yet, as too ma" in sentence
    )


def test_a_claim_that_was_not_tested_has_neither_a_size_nor_a_p(tmp_path: Path) -> None:
    table = verdicts_table(found(tmp_path, '[Claim(change="slope", hurts="score", by=5.0)]'))
    (row,) = table.to_dict("records")
    assert (row["verdict"], row["reason"], row["size"], row["p_holm"]) == ("not tested", "missing pairs", "open", None)


def test_all_changes_at_once_are_refused_where_they_cannot_be_combined(tmp_path: Path) -> None:
    text = """
subject = Subject(
    reference={"schedule": "cosine", "warmup": 1.0, "drop": 0.5},
    components={"schedule": "step", "warmup": Component(0.0, when={"schedule": "cosine"}), "drop": 0.0},
    metrics={"score": Metric("higher", unit="points")},
)
"""
    with pytest.raises(InputError, match="one_in trains all changes at once, and these cannot be combined: -warmup ch"):
        made_up.findings(tmp_path / "made_up_at_once.py", text, lambda trial: {"score": 1.0}, grid="one_in")


DOSES = """
subject = Subject(
    reference={"hidden": 64},
    components={"hidden": Component([16, 256], scale="log", unit="units")},
    metrics={"score": Metric("higher", unit="points", chance=0.0)},
)
"""


def test_a_trend_over_the_seeds_that_a_failed_training_left_is_not_told(tmp_path: Path) -> None:
    def rises(trial: Trial) -> dict[str, float]:
        dose, salt = trial.config["config"]["hidden"], bool(trial.config.get("salt"))
        return {"score": 40 + 2.0 * dose.bit_length() + (trial.seed * 7919 * (1 + salt) + dose) % 11 / 10}

    whole = made_up.findings(tmp_path / "made_up_failing.py", DOSES, rises, seeds=10, words=("hidden=all",))
    assert "The score rises with hidden" in " ".join(answer(whole).sentences)
    results = [
        replace(one, status=DIVERGED, metrics={}, error="it diverged")
        if one.trial.variant.label == "hidden=256" and one.trial.seed in (1, 4, 6)
        else one
        for one in whole.results
    ]
    judged = Findings(study=whole.study, results=results)
    (trend,) = trends(judged)
    assert (trend.failed, trend.seeds) == (3, 7) and trend.p < 0.001
    assert "rises" not in " ".join(answer(judged).sentences)
    section = doses.section(judged)
    assert section and section.blocks[0] == (
        "From 16 to 256 units of hidden no trend can be told: 3 trainings failed, and seeds without them may differ "
        "from the rest."
    )


BLOCKS = """
subject = Subject(
    reference={"slope": 2.0},
    components={"slope": 1.0},
    metrics={"score": Metric("higher", unit="points", chance={"a": 0.0, "b": 0.0, "c": 0.0})},
    claims=[Claim(change="slope", hurts="score", by=0.5)],
    data=["a", "b", "c"],
)
"""


def test_a_mean_of_opposite_effects_that_is_too_small_to_matter_names_the_data_sets(tmp_path: Path) -> None:
    def opposite(trial: Trial) -> dict[str, float]:
        wobble = (trial.seed * 7919 % 11 - 5) / 30 * len(trial.variant.departures)
        return {"score": 50 + {"a": -2, "b": -2, "c": 4}[trial.data] * bool(trial.variant.departures) + wobble}

    judged = made_up.findings(tmp_path / "made_up_opposite.py", BLOCKS, opposite, seeds=10)
    (sentence, *_) = answer(judged).sentences
    assert (
        "makes no difference that matters (less than 0.5 points, on average over the data sets, but more on a, b and c)"
        in sentence
    )
    assert MINUS not in sentence
