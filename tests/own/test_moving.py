"""A project of a study file and its results can be moved, or cloned, as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablations import explain, report
from ablations.core.load import load
from ablations.records import store
from tests.own.files import StudyFile


def test_a_project_that_was_moved_is_read_and_reported_and_holds_no_path(tmp_path: Path) -> None:
    before = StudyFile(tmp_path / "before", "moved_study")
    before.write()
    assert before.run("--components", "slope") == 0
    texts = [path.read_text() for path in before.study.glob("**/*.json")]
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


def test_a_study_whose_file_is_gone_says_where_its_code_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = StudyFile(tmp_path, "study_that_goes")
    file.write()
    assert file.run("--grid", "reference", "--seeds", "1") == 0
    file.path.unlink()
    load.cache_clear()
    for command, words in ((report, ["--reports", str(tmp_path / "reports")]), (explain, [])):
        assert command.main([str(file.study), *words]) == 2
        said = capsys.readouterr().err
        assert "there is no study file any more" in said and str(file.study / "code") in said
        assert "Traceback" not in said
    assert list((file.study / "code").iterdir())
