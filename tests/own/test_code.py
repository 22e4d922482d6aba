"""What of a study file is in the key of a trial: the code that decides its result, and not what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablations.core.load import load
from tests.own.files import FILE, TRIAL, StudyFile


def digest_with(file: StudyFile, *changes: tuple[str, str]) -> str:
    text = FILE + TRIAL
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file.write("", text)
    load.cache_clear()
    return str(load(str(file.path)).digest())


def test_what_a_study_file_declares_is_no_code(tmp_path: Path) -> None:
    file = StudyFile(tmp_path, "declares")
    first = digest_with(file)
    for change in (
        ('"noise": 0.0', '"noise": 0.0, "rounds": 7'),  # one more component
        ('"slope": 1.0', '"slope": [1.0, 0.5]'),
        ("chance=0.0", "chance=1.0, words='points won'"),
        ("claims=Claim(", "claims=Claim(by=3.0, "),
        ("says=", "source='A book', says="),
        ('"slope": -5.0', '"slope": -6.0'),
    ):
        assert digest_with(file, change) == first, change
    others = [
        digest_with(file, *changes)
        for changes in (
            [("50 +", "51 +")],
            [("chance=0.0", "chance=0.0, take='best'")],
            [("chance=0.0", "chance=0.0, take='best'"), ('Metric("higher"', 'Metric("lower"')],
            [('"loss": "lower"', '"loss": "lower", "steps": "lower"')],
            [("subject = Subject(", "LIMIT = 3\nsubject = Subject(")],
        )
    ]
    assert len({first, *others}) == 6


def test_a_change_that_is_added_later_costs_its_own_trials_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = StudyFile(tmp_path, "grows")
    file.write()
    assert file.run("--components", "slope", "--format", "csv") == 0
    before = {path.name: path.read_bytes() for path in (file.study / "trials").iterdir()}
    file.write(file=FILE.replace('"noise": 0.0', '"noise": 0.0, "longer": {"on": {"rounds": 7}}'))
    capsys.readouterr()
    assert file.run("--components", "slope,longer", "--format", "csv") == 0
    after = {path.name: path.read_bytes() for path in (file.study / "trials").iterdir()}
    assert before.items() <= after.items() and len(after) == len(before) + 2
    assert len({label for label, _ in file.read()}) == len(before) // 2 + 1
    capsys.readouterr()
    file.write(TRIAL.replace("50 +", "51 +"))
    assert file.run("--components", "slope", "--format", "csv") == 2
    assert "another --name" in capsys.readouterr().err
