"""Studies that somebody else made: what they are called and what they say acts neither on a terminal nor in a page."""

from __future__ import annotations

import csv
import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ablations import report, sync
from ablations.analysis import tables
from ablations.core.errors import printable
from ablations.core.variant import Variant
from ablations.records import store
from ablations.reporting import terminal
from ablations.subjects.alexnet.registry import component, register
from ablations.tracking.address import database_of, default_uri
from tests import synthetic
from tests.making import with_setting

BAD = "=1+1\x1b]0;owned\x07<script>alert(1)</script><img src=x onerror=alert(1)>\u202e`*_|$[x](javascript:x)\r"
NO = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


class Tags(HTMLParser):
    """Every tag of a page, with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """The folder with results/hostile, a study all of whose texts are bad."""
    study, trials = synthetic.plan("one_out", ["lrn"], seeds=2, name=BAD)
    claims = tuple(
        replace(
            one, name=f"{BAD}{index}", statement=BAD, source=BAD, published=BAD, reason=BAD, confounds=BAD, family=BAD
        )
        for index, one in enumerate(study.claims)
    )
    study = with_setting(study, data=f"folder:{BAD}", note=BAD)
    study = replace(study, command=BAD, claims=claims, declared=())
    records = [
        replace(one, trial=replace(one.trial, data=f"folder:{BAD}"), provenance={**one.provenance, "command": BAD})
        for one in synthetic.results(trials)
    ]
    records[1] = replace(synthetic.failed(records[1]), error=BAD)
    folder = tmp_path / "results" / "hostile"
    store.write_study(folder, study)
    for one in records:
        store.write_result(folder, one)
    tables.write_table(folder, study, records)
    return tmp_path


def test_a_report_of_a_hostile_study_holds_its_words_and_nothing_that_acts(
    hostile: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(hostile)
    assert report.main(["hostile", "--format", "html,md,csv,latex"]) == 0
    printed = capsys.readouterr()
    assert not NO.search(printed.out + printed.err)
    made = [path for path in (hostile / "reports").rglob("*") if path.is_file()]
    assert {"report.html", "report.md", "verdicts.csv", "verdicts.tex"} <= {path.name for path in made}
    for path in made:
        assert not NO.search(path.read_text(encoding="utf-8")), path
    page = (hostile / "reports" / "hostile" / "report.html").read_text(encoding="utf-8")
    tags = Tags(page).found
    assert "alert(1)" in page and [tag for tag, _ in tags].count("script") == 1  # our own
    assert not [attrs for tag, attrs in tags if "onerror" in attrs or (tag == "img" and attrs.get("src") == "x")]
    text = (hostile / "reports" / "hostile" / "report.md").read_text(encoding="utf-8")
    assert "alert(1)" in text and not re.search(r"(?<!\\)<(script|img)|(?<!\\)\]\(javascript", text)


def test_no_cell_of_a_hostile_study_is_a_formula(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(hostile)
    assert report.main(["hostile", "--format", "csv"]) == 0
    for path in (hostile / "reports" / "hostile" / "verdicts.csv", hostile / "results" / "hostile" / "table.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        assert len(rows) > 1
        assert not [cell for row in rows for cell in row if re.match(r"[=+@\t\r]|-[^\d.\w]", cell)]
        assert any(cell.startswith("'=1+1") for row in rows for cell in row) or path.name == "table.csv"
    assert "-lrn" in {cell for row in rows for cell in row}  # a variant's label stays as programs look for it


def test_the_terminals_last_lines_hold_nothing_that_acts(hostile: Path) -> None:
    from ablations.analysis.verdicts import Findings

    folder = hostile / "results" / "hostile"
    study, found, problems = store.read(folder)
    text = terminal.terminal_lines(Findings(study=study, results=found, problems=problems, folder=folder))
    assert not NO.search(text) and "\\x1b]0;owned" in text


def test_a_dollar_in_a_name_is_a_dollar_in_every_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    level = "$\\alpha$"

    def named(variant: Variant) -> Variant:
        departures = ((name, level if name == "lrn" else other) for name, other in variant.departures)
        return replace(variant, departures=tuple(departures))

    study, planned = synthetic.plan("one_out", ["lrn", "dropout"], seeds=3, name="dollars")
    trials = [replace(trial, variant=named(trial.variant), data="folder:a$x^2$b") for trial in planned]
    study = replace(
        study,
        setting=replace(study.setting, data="folder:a$x^2$b"),
        components=tuple((name, level if name == "lrn" else other) for name, other in study.components),
        variants=tuple(map(named, study.variants)),
        claims=tuple(
            replace(one, name=f"$\\frac{{1$ {one.name}", statement="$\\frac{1$")  # were it a formula, one with an error
            for one in study.claims
        ),
        keys=tuple(trial.key for trial in trials),
        declared=(),
    )
    folder = tmp_path / "results" / "dollars"
    store.write_study(folder, study)
    for one in synthetic.results(trials):
        store.write_result(folder, one)
    assert report.main(["dollars", "--format", "html,md"]) == 0
    # matplotlib's words are text in its SVG; those of a formula are glyphs, and the formula stands in a comment.
    drawn = {
        path.stem: html.unescape(re.sub(r"<!--.*?-->", "", path.read_text(), flags=re.DOTALL))
        for path in (tmp_path / "reports").rglob("*.svg")
    }
    typed = {name for name, svg in drawn.items() if level in svg}
    assert typed >= {"cost", "curves", "effects", "gap"}
    assert not [name for name, svg in drawn.items() if "mathdefault" in svg]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.usefixtures("sketches")
def test_a_question_mark_in_the_path_of_the_results_does_not_move_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    results = tmp_path / "what?mode=ro&x %41#1"
    study, trials = synthetic.plan("one_out", ["lrn"], seeds=1)
    store.write_study(results / "made_up", study)
    for one in synthetic.results(trials):
        store.write_result(results / "made_up", one)
    assert sync.main(["--results", str(results)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reports", results.name]
    assert sorted(path.name for path in results.iterdir()) == ["made_up", "mlflow", "mlflow.db"]
    assert database_of(default_uri(results)) == results / "mlflow.db"
    client = MlflowClient(tracking_uri=default_uri(results))
    experiment = client.get_experiment_by_name("ablations")
    assert experiment and len(client.search_runs([experiment.experiment_id])) == len(trials) + len(study.variants) + 1


@pytest.mark.parametrize("name", ["", "a b", "=cmd", "a,b", "a=b", "\x1b[31m", "<b>", "../up", "-lrn"])
def test_a_component_has_a_name_that_can_be_typed(name: str) -> None:
    with pytest.raises(ValueError) as refused:
        register(replace(component("lrn"), name=name))
    assert printable(str(refused.value)) == str(refused.value)
    with pytest.raises(ValueError):
        register(replace(component("lrn"), name="other", levels={name: lambda spec: spec}))
