"""The table of a paper says what the report says, also where trainings failed, are missing or are looked at in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ablations.analysis.ranking import BETTER, UNDECIDED, WORSE, ranked
from ablations.analysis.verdicts import Findings
from ablations.core.result import DIVERGED, ERROR, Result
from ablations.core.text import MINUS
from ablations.core.trial import Trial
from ablations.reporting import slide
from ablations.reporting.paper import FAILED, Paper, latex, paper
from tests.own import made_up

TEXT = """
subject = Subject(
    reference={"slope": 2.0, "width": 4, "bad": 0.0},
    components={"slope": 1.0, "width": 8},
    metrics={"score": Metric("higher", unit="points", chance=0.0), "loss": "lower"},
    claims=[Claim(change="slope", hurts="score", by=0.5), Claim(change="width", same="score", by=2)],
    sabotage={"bad": 1.0},
)
"""


def outcome(trial: Trial) -> dict[str, float]:
    """Noise differs between the trials of a seed, so that pairs differ; the slope costs two points."""
    values = trial.config["config"]
    order = ["reference", "slope=1.0", "width=8", "placebo=salted", "sabotage=on"].index(trial.variant.label)
    own = (trial.seed * (3, 5, 7, 11, 13)[order]) % 17 / 17
    score = 80 - 2 * (values["slope"] == 1.0) - 30 * values["bad"] + own
    return {"score": score, "loss": (100 - score) / 10}


def found(path: Path, ended: Callable[[Result], Result | None], text: str = TEXT, seeds: int = 10) -> Findings:
    """What is found where `ended` says how each trial ended; None: it has not run."""
    whole = made_up.findings(path / "made_up_paper.py", text, outcome, seeds=seeds)
    results = [one for one in map(ended, whole.results) if one is not None]
    return Findings(study=whole.study, results=results)


def failing(label: str, *seeds: int, status: str = DIVERGED) -> Callable[[Result], Result]:
    def ended(result: Result) -> Result:
        hit = result.trial.variant.label == label and result.trial.seed in seeds
        return Result(trial=result.trial, status=status, error="it failed") if hit else result

    return ended


def test_the_dagger_belongs_to_the_variant_whose_training_failed_and_n_to_its_means(tmp_path: Path) -> None:
    judged = found(tmp_path, failing("reference", 3))
    table = paper(judged)
    assert [row.name.endswith(FAILED) for row in table.rows] == [True, False, False]
    assert [row.n for row in table.rows] == ["9", "10", "10"]
    assert [row.difference.interval.endswith(", n = 9") for row in table.rows[1:]] == [True, True]
    for row, label in zip(table.rows, ("reference", "slope=1.0", "width=8"), strict=True):
        assert row.outcomes[0].value == f"{judged.mean('score', label):.2f}"
        assert not row.outcomes[0].interval.endswith(f"n = {row.n}")
    assert "Means over 9 to 10 seeds" in table.method and "of this variant failed" in table.method
    assert r"reference\dag{}" in latex(table, "x") and slide.method(judged).startswith("9 seeds, ")
    only = paper(found(tmp_path, failing("slope=1.0", 1, 4)))
    assert [(row.name.endswith(FAILED), row.n) for row in only.rows] == [(False, "10"), (True, "8"), (False, "10")]


def agree(judged: Findings, table: Paper) -> None:
    """Checks that no row has stars but those of which the report tells a direction, by the report's own p."""
    rows = {judged.called(one.effect): one for one in ranked(judged)}
    for row in table.rows[1:]:
        told = rows[row.name.removesuffix(FAILED)]
        marks = sum(told.p_holm < limit for limit in (0.05, 0.01, 0.001))
        assert row.difference.stars == ("*" * marks if told.side in (BETTER, WORSE) else "")


@pytest.mark.parametrize("label", ["reference", "slope=1.0", "width=8"])
def test_a_comparison_that_cannot_be_judged_as_trainings_failed_has_no_stars(tmp_path: Path, label: str) -> None:
    judged = found(tmp_path, failing(label, 1, 4, 6, 7))
    table = paper(judged)
    agree(judged, table)
    slope = next(one for one in ranked(judged) if one.effect.component == "slope")
    assert slope.effect.p < 0.001 and slope.side == (WORSE if label == "width=8" else UNDECIDED)
    assert table.rows[1].difference.stars == ("***" if label == "width=8" else "")


def test_a_sequential_table_has_the_p_of_its_look(tmp_path: Path) -> None:
    def ended(result: Result) -> Result | None:
        return None if result.trial.variant.label == "slope=1.0" and result.trial.seed >= 4 else result

    fixed = found(tmp_path, ended)
    rule = replace(fixed.study.rule, looks=(4, 7, 10))
    judged = Findings(study=replace(fixed.study, rule=rule), results=fixed.results)
    table = paper(judged)
    assert next(one for one in ranked(judged) if one.effect.component == "slope").effect.p < 0.01
    assert table.rows[1].difference.value.startswith(MINUS) and not table.rows[1].difference.stars
    agree(judged, table)
    assert [row.n for row in table.rows] == ["10", "4", "10"]
    assert "Means over 4 to 10 seeds" in table.method and "for the looks" in table.method


def test_a_difference_of_which_pairs_are_missing_says_how_many_it_has_and_has_no_stars(tmp_path: Path) -> None:
    judged = found(tmp_path, failing("slope=1.0", 1, 4, 6, 7, status=ERROR))
    table = paper(judged)
    assert judged.effects[0].p < 0.001 and judged.effects[0].n == 6
    assert (table.rows[1].n, table.rows[1].difference.stars) == ("6", "")
    assert "Means over 6 to 10 seeds" in table.method
    assert slide.method(judged).startswith("6 to 10 seeds, paired differences")


def test_pairs_that_are_all_equal_say_so_and_have_the_stars_of_flipped_signs(tmp_path: Path) -> None:
    def ended(result: Result) -> Result:
        values = result.trial.config["config"]
        salted = bool(result.trial.config.get("salt")) * (result.trial.seed % 3 - 1)
        score = 80 - 2.0 * (values["slope"] == 1.0) - (30 + result.trial.seed) * values["bad"] + salted
        return replace(result, metrics={"score": score, "loss": 1.0 + result.trial.seed})

    judged = found(tmp_path, ended, seeds=12)
    table = paper(judged)
    agree(judged, table)
    assert [row.difference.interval for row in table.rows[1:]] == ["all pairs equal"] * 2
    assert [row.difference.stars for row in table.rows[1:]] == ["***", ""]
