"""A project of a study file and its results can be moved, or cloned, as a whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ablations import explain, report
from ablations.core.load import load
from ablations.records import store
from tests.own.files import FILE, StudyFile


@pytest.mark.usefixtures("sketches")
def test_a_project_that_was_moved_is_read_and_reported_and_holds_no_path(tmp_path: Path) -> None:
    before = StudyFile(tmp_path / "before", "moved_study")
    before.write()
    assert before.run("--components", "slope") == 0
    no_records = ("subject.json", "findings.json")
    texts = [path.read_text() for path in before.study.glob("**/*.json") if path.name not in no_records]
    assert len(texts) > 5
    after = StudyFile(tmp_path / "after", before.name)
    before.folder.rename(after.folder)
    load.cache_clear()
    assert store.read_study(after.study).subject == str(after.path)
    assert {one.trial.subject for one in after.read().values()} == {str(after.path)}
    assert report.main([str(after.study), "--reports", str(after.report.parent)]) == 0
    for text in texts:
        assert '"subject": "../../moved_study.py"' in text


def test_a_study_file_that_shares_no_folder_with_its_results_keeps_its_whole_path(tmp_path: Path) -> None:
    assert store._from(tmp_path / "results", "/elsewhere/study.py") == "/elsewhere/study.py"
    assert store._found(tmp_path / "results", "/elsewhere/study.py") == "/elsewhere/study.py"
    assert store._from(tmp_path, "alexnet") == store._found(tmp_path, "alexnet") == "alexnet"


def test_a_study_whose_file_is_gone_is_not_explained_but_says_where_its_code_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = StudyFile(tmp_path, "study_that_goes")
    file.write()
    assert file.run("--grid", "reference", seeds=1) == 0
    file.path.unlink()
    load.cache_clear()
    assert explain.main([str(file.study)]) == 2
    said = capsys.readouterr().err
    assert "there is no study file any more" in said and str(file.study / "code") in said
    assert list((file.study / "code").iterdir())


def report_of(file: StudyFile, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What `report` says on standard error, and the report, without the sentence on the file that is gone."""
    load.cache_clear()
    capsys.readouterr()
    assert report.main([str(file.study), "--reports", str(file.report.parent), "--format", "md"]) == 0
    text = (file.report / "report.md").read_text()
    lines = [line for line in text.splitlines() if line and "none of the file" not in line]
    return capsys.readouterr().err, "\n".join(lines)


DOSES = FILE.replace('"slope": 1.0', '"slope": [1.0, 1.5]')


@pytest.mark.usefixtures("sketches")
def test_a_report_needs_no_study_file_and_runs_none_of_its_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = StudyFile(tmp_path, "study_that_ends")
    file.write(file=DOSES)
    assert file.run("--components", "slope=all,noise", seeds=3) == 0
    _, before = report_of(file, capsys)
    ways: dict[str, Callable[[], object]] = {
        "is gone": file.path.unlink,
        "RuntimeError: boom": lambda: file.path.write_text("raise RuntimeError('boom')"),
        "no longer has slope=1.5": file.write,
    }
    for reason, change in ways.items():
        change()
        told, after = report_of(file, capsys)
        assert after == before  # doses, what components are, verdicts: all of it
        (line,) = told.splitlines()
        assert reason in line and "none of the file's code was run" in line and str(file.study / "code") in line
        assert "none of the file's code was run" in (file.report / "report.md").read_text()
    file.path.unlink()
    (file.study / "code" / next((file.study / "code").iterdir()).name).write_bytes(b"no archive")  # is not even read
    assert report_of(file, capsys)[1] == before


@pytest.mark.usefixtures("sketches")
def test_an_older_study_whose_file_is_gone_lacks_words_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = StudyFile(tmp_path, "study_of_old")
    file.write(file=DOSES)
    assert file.run("--components", "slope=all,noise", seeds=3) == 0
    _, before = report_of(file, capsys)
    (file.study / "subject.json").unlink()
    file.path.unlink()
    told, after = report_of(file, capsys)
    assert "what its components are in words was not recorded" in told
    lost = {*before.splitlines()} - {*after.splitlines()}
    words = ("| noise |", "| placebo |", "| sabotage |", "| slope |", "6 variants of")
    ends = ("? 3 rounds; draft (3 seeds)",)  # the unit of the work is not recorded
    known = [line.startswith(words) or line.endswith(ends) or "must do harm" in line for line in lost]
    assert all(known), "\n".join(lost)
    assert " 1.5" in after and "dose" in after.lower()
