"""What a dry run says of a study file: all of it in a screen, and no list without an end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.own.files import FILE, TRIAL, StudyFile

SLOPES = '"slope": [s / 4 for s in range(40)], "noise"'


def test_lists_of_variants_end_and_say_how_many_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = StudyFile(tmp_path / "many", "many_levels")
    file.write(file=FILE.replace('"slope": 1.0, "noise"', SLOPES).replace("2.0,", "99.0,"))
    # The reference, forty slopes, a placebo and a sabotage: forty-three.
    assert file.run("--dry-run", "--components", "slope=all") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["study", "variants", "trial", "expected", "detects"]
    assert lines[1].endswith(" and 37 more")
    assert file.run("--power", "--components", "slope=all") == 0
    printed = capsys.readouterr().out
    assert len([line for line in printed.splitlines() if line.startswith(("slope ", "no slope"))]) == 29
    assert "... and 13 more" in printed
    assert not file.study.exists()


def test_it_refuses_an_edited_file_as_the_run_would(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = StudyFile(tmp_path / "edited", "edited_after_its_run")
    file.write()
    assert file.run("--grid", "reference", "--format", "csv", seeds=1) == 0
    file.write(TRIAL.replace("50 + 5", "50 + 6"))
    capsys.readouterr()
    said = []
    for words in ((), ("--dry-run",), ("--dry-run", "--retrain")):
        code = file.run("--grid", "reference", "--format", "csv", *words, seeds=1)
        said.append((code, capsys.readouterr().err))
    assert said[0] == said[1] and said[0][0] == 2
    assert "has changed since its first run: take another --name, or train its trials again" in said[0][1]
    assert said[2] == (0, "")
