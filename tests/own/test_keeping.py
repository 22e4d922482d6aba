"""What trials leave in their folder is kept where --keep-files asks for it, and costs no trial if it cannot be."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ablations.analysis.verdicts import findings_in
from ablations.core.errors import InputError
from ablations.reporting.document import Table
from ablations.reporting.sections.background import failures
from ablations.subjects.own.keeping import check_patterns, keep
from tests.own.files import StudyFile
from tests.script.files import SCRIPT, STUDY, Study

TRIAL = """
def train(config, seed, folder):
    assert not list(folder.iterdir())
    (folder / "model.pt").write_text(f"slope {config['slope']}, seed {seed}")
    (folder / "more").mkdir()
    (folder / "more" / "log.txt").write_text("said")
    (folder / "large.bin").write_text("not asked for")
    if config["slope"] == -5.0 and seed:
        raise ValueError("no result, and so no files")
    return {"score": 50 + config["slope"] + seed, "loss": 1.0}
"""


def test_a_study_keeps_what_its_trials_leave_and_match_and_not_of_those_that_failed(tmp_path: Path) -> None:
    study = StudyFile(tmp_path / "here", "made_up_keeping")
    study.write(TRIAL)
    assert study.run("--keep-files", "*.pt", "**/*.txt", "--components", "slope", "--format", "csv") == 1  # one failed
    results = study.read()
    one = results["slope=1.0", 1]
    files = study.study / "files" / one.trial.key
    assert one.artifacts == (f"files/{files.name}/model.pt", f"files/{files.name}/more/log.txt")
    assert (files / "model.pt").read_text() == "slope 1.0, seed 1" and (files / "more" / "log.txt").is_file()
    assert not (files / "large.bin").exists() and not one.notes
    failed = results["sabotage=on", 1]
    assert failed.status == "error" and not failed.artifacts
    kept = {path.name for path in (study.study / "files").iterdir()}
    assert kept == {result.trial.key for result in results.values()} - {failed.trial.key}


def test_a_pattern_that_matches_nothing_is_told_once_after_the_trials_that_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = StudyFile(tmp_path / "here", "made_up_unmatched")
    study.write(TRIAL)
    assert study.run("--keep-files", "*.pth", "--components", "slope", "--format", "csv") == 1
    note = "no file of the trial's folder matches *.pth"
    # The reference, the slope, the placebo and the sabotage, two seeds each, and one of the sabotage's failed.
    assert [line for line in capsys.readouterr().out.splitlines() if note in line] == [f"note: 7 of 8 trials: {note}"]
    tables = [one for one in failures(findings_in(study.study)).blocks if isinstance(one, Table)]
    assert [row[:3] for row in tables[0].rows] == [("sabotage", "1", "error")]
    assert tables[1].rows == (("7 of 8 trials", note),)


def test_a_script_keeps_what_its_command_leaves_in_its_folder(tmp_path: Path) -> None:
    study = Study(tmp_path)
    script = SCRIPT.replace("args = asked", 'asked.add_argument("--out")\nargs = asked')
    save = 'open(args.out + "/last.txt", "w").write(str(args.slope))\n'
    study.write(STUDY.replace("--steps {steps}", "--steps {steps} --out {folder}"), f"{script}{save}")
    assert study.run("--components", "slope", "--keep-files", "*.txt", "*.none", "--format", "csv", seeds=1) == 0
    one = study.read()["slope=1.0", 0]
    assert [(study.folder / name).read_text() for name in one.artifacts] == ["1.0"]
    assert one.notes == ("no file of the trial's folder matches *.none",)
    assert not (study.folder / "folders").exists() or not any((study.folder / "folders").iterdir())


def test_a_full_disk_costs_the_files_and_an_earlier_try_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, study = tmp_path / "left", tmp_path / "study"
    left.mkdir()
    (left / "a.pt").write_text("new")
    old = study / "files" / "key" / "old.pt"
    old.parent.mkdir(parents=True)
    old.touch()
    assert keep(["*.pt", "a*"], left, study, "key") == (("files/key/a.pt",), ())
    assert not old.exists()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    assert keep(["*.pt"], left, study, "key") == ((), ("files were not kept: No space left on device",))
    assert not old.parent.exists()


@pytest.mark.parametrize("pattern", ["", "../*.pt", "/etc/*", "a/../../b", "**x"])
def test_a_pattern_that_names_no_files_of_the_folder_is_refused(pattern: str) -> None:
    with pytest.raises(InputError, match="it takes patterns of files in the trial's folder, such as"):
        check_patterns(["*.pt", pattern])
