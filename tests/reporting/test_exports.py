"""The report's numbers for other programs: CSV that pandas reads back, LaTeX that keeps names as they are, formats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ablations.analysis.verdicts import Findings
from ablations.core.errors import InputError
from ablations.report import render
from ablations.reporting.exports import write_csv, write_latex
from ablations.reporting.formats import formats_of
from ablations.reporting.pages import write_as
from ablations.reporting.sections.outcomes import front
from tests import synthetic
from tests.analysis.test_time_to_target import raced
from tests.making import with_budget
from tests.reporting.test_pages import stored


def made(seeds: int = 3) -> Findings:
    """A small study."""
    study, trials = synthetic.plan("one_out", ["lrn", "pooling"], seeds=seeds)
    return Findings(study=study, results=synthetic.results(trials))


def test_csv_holds_every_effect_and_verdict_in_full_precision(tmp_path: Path) -> None:
    evidence = made()
    effects, verdicts = (pd.read_csv(path) for path in write_csv(evidence, tmp_path))
    assert list(effects["estimate"]) == [one.estimate for one in evidence.effects]
    assert list(effects["component"]) == ["lrn", "pooling", "mild_sabotage", "placebo", "sabotage"]
    assert list(verdicts["claim"]) == [one.claim.name for one in evidence.verdicts]
    assert list(verdicts["verdict"]) == [one.call for one in evidence.verdicts]
    assert list(verdicts["low"]) == [one.low for one in evidence.verdicts]


def test_latex_is_a_booktabs_table_in_which_names_of_users_are_words(tmp_path: Path) -> None:
    evidence = made()
    hostile = replace(evidence.study.claims[0], statement=r"[50% of $x_1$ & \input{a} #1")
    evidence = replace(evidence, study=replace(evidence.study, claims=(hostile,)))
    effects, verdicts = (path.read_text() for path in write_latex(evidence, tmp_path))
    assert all(rule in effects for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    assert "non-overlapping pooling & one out & +" in effects
    assert r"{}[50\% of \$x\_1\$ \& \textbackslash input\{a\} \#1 & no LRN" in verdicts
    assert (effects + verdicts).isascii()
    assert "& $<$0.001" in effects and "& <" not in effects


def test_a_study_without_results_gives_empty_tables(tmp_path: Path) -> None:
    evidence = replace(made(), results=[])
    effects, _ = (pd.read_csv(path) for path in write_csv(evidence, tmp_path))
    assert effects["estimate"].isna().all()
    assert all(r"\bottomrule" in path.read_text() for path in write_latex(evidence, tmp_path))


def test_a_race_gives_its_ratios_of_steps_and_no_errors_of_trials_that_ended_at_one_error(tmp_path: Path) -> None:
    study, results = raced(3.0)
    evidence = Findings(study=study, results=results)
    csv, tex = write_csv(evidence, tmp_path), write_latex(evidence, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"speed.csv", "verdicts.csv", "speed.tex", "verdicts.tex"}
    table = pd.read_csv(csv[0])
    tanh = table[table["component"] == "activation"].iloc[0]
    assert tanh["ratio"] == pytest.approx(3.0, rel=0.2) and tanh["low"] < tanh["ratio"] < tanh["high"]
    assert tanh["n"] == study.seeds
    latex = tex[0].read_text()
    assert "tanh instead of ReLU & 3" in latex
    assert r"Steps to 25\% training error" in latex  # a bare per cent sign would comment the rest of the line out
    # A study with a threshold at which no trial ends has both.
    goes_on = replace(evidence, study=with_budget(study, stop_at_threshold=False))
    assert [path.name for path in write_csv(goes_on, tmp_path)] == ["effects.csv", "speed.csv", "verdicts.csv"]
    write_csv(evidence, tmp_path)
    assert not (tmp_path / "effects.csv").exists()  # of a report before, which this study does not have


@pytest.mark.usefixtures("sketches")
def test_the_formats_that_are_asked_for_are_written_and_no_other(tmp_path: Path) -> None:
    stored(tmp_path / "made_up")
    paths = render("made_up", tmp_path, tmp_path / "reports", formats_of("latex,csv"))
    assert {path.name for path in (tmp_path / "reports" / "made_up").iterdir()} == {path.name for path in paths}
    assert [path.name for path in paths] == ["effects.csv", "verdicts.csv", "effects.tex", "verdicts.tex", "paper.tex"]
    assert [path.name for path in write_as(("md",), made(2), tmp_path / "md")] == ["report.md", "paper.md"]


def test_an_unknown_format_costs_one_sentence() -> None:
    with pytest.raises(InputError, match=r"unknown format 'htm'; did you mean 'html'\? Allowed: csv, html, latex, md"):
        formats_of("csv,htm")
    with pytest.raises(InputError, match="no format is named"):
        formats_of("")


def test_the_front_holds_what_no_other_variant_beats_in_both() -> None:
    points = pd.DataFrame(
        {"macs": [1.0, 2.0, 2.0, 3.0, 4.0], "error": [30.0, 25.0, 20.0, 22.0, 19.0]},
        index=["small", "worse", "good", "dear", "best"],
    )
    assert front(points, "macs") == ["small", "good", "best"]
    right = points.assign(error=100 - points["error"])  # accuracies, of which higher is better
    assert front(right, "macs", worse=-1) == ["small", "good", "best"]
