"""Starts of study files: what is written can be opened, and nothing is written over."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablations import new
from ablations.core.load import load
from tests.script.files import SCRIPT, Study


def test_the_start_of_a_python_study_is_one_and_is_not_written_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "start_of_a_study.py"
    assert new.main([str(path)]) == 0
    assert [*load(str(path)).parts] == ["scale", "hidden", "alpha"]
    path.write_text("mine")
    assert new.main([str(path)]) == 2
    assert path.read_text() == "mine" and "is there already" in capsys.readouterr().err


def test_the_start_for_a_script_holds_its_options_and_runs(
    tmp_path: Path, sketches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study(tmp_path)
    study.path.unlink()
    monkeypatch.chdir(tmp_path)
    assert new.main(["study.toml", "train.py", "--width", "{3}", "--steps", "1"]) == 0
    text = study.path.read_text()
    assert "# slope = 2.0\n# width\n" in text and "# noisy\n" in text
    subject = load(str(study.path))
    assert subject.script.command.words == (
        "python",
        "train.py",
        "--width",
        "{{3}}",
        "--steps",
        "1",
        "--seed",
        "{seed}",
        "{changes}",
    )
    study.path.write_text(text.replace("{{3}}", "3"))
    assert study.run("--components", "slope", seeds=1) == 0
    assert new.main(["study.toml", "train.py"]) == 2
    assert study.path.read_text() == text.replace("{{3}}", "3")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit('no help here')", "Its --help names no options"),
        ("print('--[no-]fast  (default: True)')", "fast = false"),
        ("print('--a.b INT  (default: 3)  --folder X (default: 1)')", "a.b = 0"),
        ("print('--it\\'s {brace} --lr defaults to 1e-3')", "lr = 0.001"),
    ],
)
def test_any_help_gives_a_start_that_can_be_opened(tmp_path: Path, code: str, said: str) -> None:
    (tmp_path / "odd.py").write_text(code)
    path = tmp_path / "study.toml"
    assert new.main([str(path), str(tmp_path / "odd.py"), "it's"]) == 0
    assert said in path.read_text()
    assert load(str(path)).parts


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["study.yaml"], "ends in .py or .toml"),
        (["study.toml"], "which script?"),
        (["study.py", "train.py"], "is one word too many"),
        (["study.toml", "none.py"], "there is no script 'none.py'"),
        (["study.toml", "no-such-program"], "cannot be started"),
        (["none/study.py"], "there is no folder 'none'"),
    ],
)
def test_what_cannot_be_started_gets_one_sentence(
    tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(SCRIPT)
    assert new.main(words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]
