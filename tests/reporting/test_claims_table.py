"""One table of all published claims, from the records of several studies."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from ablations import claims
from ablations.analysis.rule import NOT_TESTED
from ablations.analysis.verdicts import Findings, findings_in
from ablations.core.load import FIRST
from ablations.records.claims import published
from ablations.reporting import claims_table

REFERENCE = Path(__file__).parents[2] / "results" / "reference"


@pytest.fixture(scope="module")
def studies() -> list[Findings]:
    """A race that tests one claim, a study of other networks, and one of another subject."""
    return [findings_in(REFERENCE / name) for name in ("figure1", "cifar10-gist", "cora-gcn")]


def test_every_claim_has_a_row_and_every_study_that_tested_it_another(studies: list[Findings]) -> None:
    tested = [
        (one.claim.statement, study.study.name)
        for study in studies[:2]
        for one in study.verdicts
        if one.call != NOT_TESTED
    ]
    every = claims_table.every_row(FIRST, studies[:2])
    assert sorted((row[0].rpartition(" (")[0], row[4]) for row in every) == sorted(tested)
    rows = claims_table.best_rows(FIRST, studies[:2])
    assert [row[0].rpartition(" (")[0] for row in rows] == [claim.statement for claim in published(FIRST)]
    (steps,) = [row for row in rows if row[0].startswith("Rectified units reach 25% training error")]
    assert steps[1:3] == ("6 times", "1.66 [1.58, 1.75] times, n = 10")  # as the README says of figure 1
    assert steps[4] == "figure1"
    (width,) = [row for row in rows if row[0].startswith("Spreading twice the kernels")]
    assert width[3] == "not tested (in no study)"


@pytest.mark.parametrize("turned", [False, True])
def test_the_row_of_a_claim_is_of_the_study_that_does_not_underfit_then_of_the_larger_one(turned: bool) -> None:
    both = [findings_in(REFERENCE / name) for name in ("cifar10-six", "cifar10-factorial")]
    rows = claims_table.best_rows(FIRST, both[::-1] if turned else both)
    (pooling,) = [row for row in rows if row[0].startswith("Overlapping pooling windows lower")]
    assert pooling[4] == "cifar10-factorial" and "underfitting" not in pooling[3]
    (alone,) = [row for row in rows if row[0].startswith("Dropout roughly doubles")]  # the other study cannot test it
    assert alone[4] == "cifar10-six"


def test_a_study_of_something_else_is_named_as_left_out(studies: list[Findings]) -> None:
    said = " ".join(claims_table.compose(FIRST, studies).answer.sentences)
    assert said.startswith("1 study judged 1 of ") and said.endswith("something else: cora-gcn.")
    assert "None of these claims was tested in cifar10-gist." in said  # no study is counted that judged nothing


def test_a_study_that_was_read_without_its_study_file_is_told_on_the_page_and_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "results" / "cora-gcn"
    shutil.copytree(REFERENCE / "cora-gcn", moved)
    plan = json.loads((moved / "study.json").read_text())
    plan["subject"] = str(tmp_path / "gone" / "study.py")
    (moved / "study.json").write_text(json.dumps(plan))
    assert claims.main([str(moved), "--reports", str(tmp_path / "reports")]) == 0
    page = (tmp_path / "reports" / "claims" / "report.md").read_text()
    for said in (page, capsys.readouterr().err):
        assert re.search(r"cora-gcn: study file .*study\.py\W* is gone", said)


def test_the_command_writes_the_table_and_refuses_what_is_no_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ["--results", str(REFERENCE), "--reports", str(tmp_path / "reports")]
    assert claims.main(["figure1", *places]) == 0
    page = (tmp_path / "reports" / "claims" / "report.md").read_text()
    assert "1 study judged 1 of" in page and "1.66" in page
    capsys.readouterr()
    assert claims.main(["figure", *places]) == 2
    assert "did you mean 'figure1'" in capsys.readouterr().err
    assert claims.main(["--results", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
