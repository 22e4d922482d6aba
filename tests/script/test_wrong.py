# ruff: noqa: E501  a wrong file a line
"""A TOML file that cannot be used gets one sentence, and nothing is made."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ablations import check, run
from tests.script.files import STUDY, Study

HEAD = 'command = "python train.py {seed} {changes}"\n'
BODY = "[reference]\na = 1\nb = 'x'\n[components]\na = 2\n[metrics]\nscore = 'higher'\n"

# What is wrong -> the file, and what its sentence says.
WRONG = {
    "no TOML": ("title = ", "it is no TOML"),
    "empty": ("", "it has no command"),
    "unknown key": (f"titel = 'x'\n{STUDY}", "did you mean 'title'?"),
    "unknown table": (f"{STUDY}\n[metric]\nx = 1", "did you mean 'metrics'?"),
    "command of no words": (STUDY.replace('"python train.py --seed {seed} --steps {steps} {changes}"', "[]"), "command is []"),
    "a quote that stays open": (STUDY.replace("{changes}", "{changes} 'x"), "cannot be split into words: No closing quotation"),
    "unknown placeholder": (STUDY.replace("{seed}", "{sed}"), "placeholder {sed}; did you mean 'seed'?"),
    "seed goes nowhere": (STUDY.replace("{seed}", "0"), "the seed goes nowhere"),
    "two ways to seed": (f"seed = {{ env = 'A', reseed = true }}\n{STUDY}", "it is { env = 'SEED' } or { reseed = true }"),
    "an unknown way to seed": (f"seed = {{ envv = 'A' }}\n{STUDY}", "did you mean 'env'?"),
    "no variable": (f"seed = {{ env = 'A B' }}\n{STUDY}", "it is the name of a variable"),
    "reseed of no Python": (f"seed = {{ reseed = true }}\n{STUDY.replace('python train.py', 'bash train.py')}", "reseed works within a Python script alone"),
    "no such program": (STUDY.replace("python train", "pyton train"), "'pyton', and there is no such program"),
    "no such script": (STUDY.replace("train.py", "trian.py"), "runs 'trian.py', and there is no"),
    "a script elsewhere": (f"cwd = '{{folder}}'\n{STUDY}", "write {here}/train.py"),
    "budget without a place": (STUDY.replace("--steps {steps}", ""), "no place for the budget steps"),
    "no place for changes": (STUDY.replace("{changes}", ""), "the command has no {changes}, so slope of [reference]"),
    "changes in a word": (STUDY.replace("{changes}", "--x={changes}"), "{changes} is a part of a word"),
    "unknown style": (f"style = 'argprase'\n{STUDY}", "did you mean 'argparse'?"),
    "unknown key of style": (f"style = {{ vale = '--{{name}}' }}\n{STUDY}", "did you mean 'value'?"),
    "unknown word of style": (f"style = {{ value = '--{{nam}} {{value}}' }}\n{STUDY}", "did you mean 'name'?"),
    "gpus": (f"gpus = 'all'\n{STUDY}", "gpus is 'all'; it is the share of a GPU"),
    "timeout": (f"timeout = 'soon'\n{STUDY}", "timeout is 'soon'"),
    "budget of no number": (STUDY.replace("steps = 2", "steps = 2.5"), "steps of [budget] is 2.5"),
    "field and budget": (STUDY.replace("width = 4", "steps = 4"), "steps stands in [budget] and in [reference]"),
    "field with dashes": (STUDY.replace("width = 4", "--width = 4"), "call it 'width'"),
    "field with another meaning": (STUDY.replace("width = 4", "seed = 4"), "a field is called 'seed', which means something else"),
    "field with a quoted dot": (STUDY.replace("width = 4", "'a.b' = 4"), "written in quotes"),
    "a date": (STUDY.replace("width = 4", "width = 2020-01-01"), "which no record can hold"),
    "no number": (STUDY.replace("width = 4", "width = inf"), "must be a finite number"),
    "no components": (f"{HEAD}[metrics]\nscore = 'higher'\n", "components is empty"),
    "no metrics": (f"{HEAD}[reference]\na = 1\n[components]\na = 2\n", "metrics is empty"),
    "component of no field": (STUDY.replace("unread = 2", "unred = 2"), "did you mean 'unread'?"),
    "level as the reference": (STUDY.replace("unread = 2", "unread = 1"), "is what the reference has"),
    "a level twice": (STUDY.replace("unread = 2", "unread = [2, 3, 2]"), "two levels called '2'"),
    "key of a component": (STUDY.replace('summary = "channels"', 'sumary = "channels"'), "did you mean 'summary'?"),
    "args that are no words": (STUDY.replace('["--noisy"]', "3"), "args of component 'noisy' is 3"),
    "levels without names": (STUDY.replace('{ args = ["--noisy"] }', '[{ args = ["--noisy"] }]'), "name each"),
    "when of no field": (STUDY.replace('summary = "channels"', "when = { slop = 2 }"), "did you mean 'slope'?"),
    "metric of no direction": (STUDY.replace('better = "lower"', 'unit = "nats"'), "[metrics.loss] has no better"),
    "metric of another direction": (STUDY.replace('better = "lower"', 'better = "less"'), "'higher' or 'lower'"),
    "key of a metric": (STUDY.replace('unit = "points"', 'units = "points"'), "did you mean 'unit'?"),
    "metric of another type": (STUDY.replace("chance = 0.0", "chance = '0'"), "chance of [metrics.score] is '0'; it must be a number"),
    "claim on nothing": (STUDY.replace('change = "slope"', 'change = "slop"'), "did you mean 'slope'?"),
    "claim on no metric": (STUDY.replace('hurts = "score"', 'hurts = "scor"'), "did you mean 'score'?"),
    "key of a claim": (STUDY.replace('hurts = "score"', 'hurt = "score"'), "did you mean 'hurts'?"),
    "claim without a change": (STUDY.replace('change = "slope"', ""), "[[claim]] 1 has no change"),
    "one claim in brackets": (STUDY.replace("[[claim]]", "[claim]", 1).partition("[[claim]]")[0], "write [[claim]]"),
    "metric called as a component": (STUDY.replace("[metrics.loss]", "[metrics.width]"), "has the name of something else"),
    "sabotage of no field": (STUDY.replace("slope = -5.0", "slop = -5.0"), "did you mean 'slope'?"),
    "two places to read": (f"{STUDY}[read]\njson = '{{folder}}/a'\ncsv = 'b'", "names json and csv; it takes one"),
    "unknown place to read": (f"{STUDY}[read]\nstdin = 'x'", "did you mean 'stdout'?"),
    "a pattern that is none": (f"{STUDY}[read]\nstdout = '('", "stdout of [read] is no pattern"),
    "a pattern without names": (f"{STUDY}[read]\nstdout = 'loss (.*)'", "has no named groups"),
    "a file that trials share": (f"{STUDY}[read]\njson = 'out.json'", "'out.json', a file that all trials share: name one in the trial's own folder, as in '{folder}/out.json'"),
    "another row": (f"{STUDY}[read]\ntake = 'first'", "'last', 'best' or 'mean of last N'"),
    "code that is not there": (f"code = ['*.cu']\n{STUDY}", "matches no file"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_gets_one_sentence_and_nothing_is_made(
    tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text, word = WRONG[what]
    study = Study(tmp_path)
    study.write(text)
    assert study.run() == 2
    said = capsys.readouterr()
    assert word in said.err and said.err.count("\n") == 1 and "Traceback" not in said.err
    assert said.err.startswith("error: study.toml: ")
    assert not study.results.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "slop=1"], "did you mean 'slope'?"),
        (["--set", "steps=many"], "takes a whole number"),
        (["--set", "args:noisy=x"], "no field"),
        (["--components", "widht"], "did you mean 'width'?"),
    ],
)
def test_a_wrong_option_gets_one_sentence(
    tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Study(tmp_path).run(*words) == 2
    assert said in capsys.readouterr().err


def test_a_package_that_is_not_installed_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    study = Study(tmp_path)
    toml = STUDY.replace("python train.py", "python {here}/train.py")
    study.write(f"cwd = '{{folder}}'\n{toml}[read]\ntensorboard = 'runs'\n")
    assert study.run() == 2
    assert "needs the package tensorboard: pip install tensorboard" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (run.main, check.main):
        assert command([str(tmp_path / "none.toml")]) == 2
        assert "there is no study file" in capsys.readouterr().err
