# ruff: noqa: E501  a wrong file a line
"""A study file of one's own, from the file to the verdicts, through the real command."""

from __future__ import annotations

import os
import re
import signal
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from ablations import check, run
from ablations.core.load import load
from ablations.records import store
from ablations.subjects.own.trial import imported
from tests.conftest import ended

HEAD = """
from dataclasses import dataclass, replace
from ablations.subject import Claim, Component, Diverged, Every, Metric, Resources, Subject

@dataclass(frozen=True)
class Config:
    slope: float = 2.0
    noise: float = 1.0
    width: int = 4
    unread: int = 1
    rounds: int = 3
    kind: str = "a"
"""
PARTS = """
subject = Subject(
    reference=Config(),
    components={"slope": 1.0, "width": [2, 8], "unread": 2, "kind": {"both": {"kind": "b", "slope": 1.5}}},
    metrics={"score": Metric("higher", unit="points", chance=0.0), "loss": "lower"},
    claims=[
        Claim(change="slope", hurts="score", by=0.5, says="The slope matters."),
        Claim(change="unread", same="score", by=0.5),
    ],
    sabotage={"slope": -5.0},
    budget="rounds",
)
"""
TRIAL = """
@subject.trial
def train(config, streams):
    draws = streams.numpy("noise")
    for number in range(config.rounds):
        common, own = draws.normal(), draws.normal()
        score = float(50 + config.slope * (5 + own / 9) + config.width / 10 + config.noise * common)
        yield {"score": score, "loss": 100 - score, "seconds": 1.0}
"""


@pytest.fixture
def study(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """Writes a study file under a name of its own, as files are imported once a process, and runs it."""

    class Study:
        def __init__(self) -> None:
            self.path = tmp_path / f"{re.sub(r'[^a-z]+', '_', request.node.name.lower())[:60]}.py"
            self.results, self.reports = tmp_path / "results", tmp_path / "reports"

        def write(self, *, head: str = HEAD, parts: str = PARTS, trial: str = TRIAL) -> None:
            self.path.write_text(f'"""What is a slope worth?"""\n{head}{parts}{textwrap.dedent(trial)}')

        def run(self, *words: str, seeds: int = 3) -> int:
            places = ["--results", str(self.results), "--reports", str(self.reports), "--no-mlflow", "--name", "mine"]
            tables = [] if "--format" in words else ["--format", "csv"]  # a page takes longer than the trials
            load.cache_clear()
            return run.main([str(self.path), "--executor", "serial", "--seeds", str(seeds), *places, *tables, *words])

        def read(self) -> list[Any]:
            return list(store.read_all(self.results / "mine")[0].values())

    return Study()


@pytest.mark.usefixtures("sketches")
def test_a_study_file_is_run_judged_and_reported_and_goes_on_where_it_was(
    study: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    study.write()
    assert study.run("--format", "html,md") == 0
    said = capsys.readouterr().out
    results = {(one.trial.variant.label, one.trial.seed): one for one in study.read()}
    assert {label for label, _ in results} == {
        "reference", "slope=1.0", "width=2", "width=8", "unread=2", "kind=both", "placebo=salted", "sabotage=on"
    }  # fmt: skip
    first, changed = results["reference", 0], results["slope=1.0", 0]
    # The noise is drawn from a stream of its own name, so a pair differs by what was changed and by nothing else.
    assert first.metrics["score"] - changed.metrics["score"] == pytest.approx(5, abs=0.5)
    assert results["placebo=salted", 0].metrics["score"] != first.metrics["score"]
    assert [row["epoch"] for row in first.curve] == [1, 2, 3]
    assert first.metrics["cpu_seconds"] > 0 and first.metrics["memory_mib"] > 1
    assert first.extras["repeat"] == first.trace == results["unread=2", 0].trace != changed.trace
    assert re.search(r"slope_1.0_score +reproduced", said)
    assert re.search(r"unread_2_score +not tested \(inactive\)", said)
    report = (study.reports / "mine" / "report.md").read_text()
    assert "came out alike, to the last digit" in report

    before = {path.name: path.read_bytes() for path in (study.results / "mine" / "trials").iterdir()}
    assert study.run() == 0
    assert "nothing to train" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in (study.results / "mine" / "trials").iterdir()} == before


def test_changed_code_trains_anew_and_a_comment_does_not(study: Any, capsys: pytest.CaptureFixture[str]) -> None:
    study.write()
    helper = study.path.with_name("helper_of_mine.py")
    helper.write_text("FACTOR = 5\n")
    study.write(trial=TRIAL.replace("(5 + own", "(helper_of_mine.FACTOR + own").replace(
        "def train(config, streams):", "def train(config, streams):\n    import helper_of_mine"))  # fmt: skip
    digest = load(str(study.path)).digest()
    helper.write_text('"""A factor."""\nFACTOR = 5  # as ever\n')
    assert load(str(study.path)).digest() == digest
    helper.write_text("FACTOR = 6\n")
    assert load(str(study.path)).digest() != digest


def test_a_file_that_is_written_twice_within_a_second_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "quick.py"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", False)
        for value in ("1.0", "0.5"):  # of the same length
            path.write_text(f"VALUE = {value}")
            os.utime(path, (10**9, 10**9))
            assert float(value) == imported(str(path)).VALUE


def test_set_changes_the_reference_and_so_the_keys(study: Any) -> None:
    study.write()
    assert study.run("--set", "rounds=1", "--components", "slope", seeds=1) == 0
    (reference,) = [one for one in study.read() if not one.trial.variant.departures]
    assert reference.trial.config["config"]["rounds"] == 1
    assert reference.curve == ()


@pytest.mark.parametrize(
    ("trial", "status", "word"),
    [
        ("def train(config):\n    raise KeyError('my fault')", "error", "KeyError: 'my fault'"),
        ("def train(config):\n    import os\n    os._exit(3)", "error", "ended with exit code 3"),
        (
            "def train(config):\n    import os, signal\n    os.kill(os.getpid(), signal.SIGSEGV)",
            "error",
            "signal SIGSEGV",
        ),
        (
            "def train(config):\n    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)",
            "out_of_memory",
            "SIGKILL",
        ),
        ("def train(config):\n    raise MemoryError('too much')", "out_of_memory", "too much"),
        ("def train(config):\n    return {'score': float('nan'), 'loss': 1}", "diverged", "score is nan"),
        ("def train(config):\n    raise Diverged('the loss exploded')", "diverged", "the loss exploded"),
        ("def train(config):\n    return {'score': 1.0}", "error", "the metric loss was promised and never came"),
        ("def train(config):\n    return {'score': 'high', 'loss': 1}", "error", "score is 'high', which is no number"),
        ("def train(config):\n    return 3", "error", "must be a mapping of names to numbers"),
        ("def train(config):\n    print('so far so good')\n    raise ValueError('late')", "error", "so far so good"),
        ("def train(config):\n    import time\n    time.sleep(60)", "timeout", "not ended after 1 seconds"),
    ],
)
def test_what_a_trial_does_wrong_is_a_result_with_a_word(
    study: Any, trial: str, status: str, word: str, capfd: pytest.CaptureFixture[str]
) -> None:
    study.write(parts=PARTS.replace('budget="rounds"', 'budget="rounds", resources=Resources(timeout="1s")'),
                trial=f"\n@subject.trial\n{trial}\n")  # fmt: skip
    assert study.run("--grid", "reference", seeds=1) == (0 if status == "diverged" else 1)
    (result,) = study.read()
    assert result.status == status
    assert word in result.error


def test_what_a_trial_leaves_running_ends_with_it(study: Any) -> None:
    study.write(
        trial="""
        @subject.trial
        def train(config):
            import subprocess
            return {"score": subprocess.Popen(["sleep", "600"]).pid, "loss": 1}
        """
    )
    assert study.run("--grid", "reference", seeds=1) == 0
    (result,) = study.read()
    assert ended(int(result.metrics["score"]))


def test_a_trial_that_is_interrupted_is_kept_at_the_end_of_its_epoch_and_goes_on_there(
    study: Any, tmp_path: Path
) -> None:
    study.write(
        trial=f"""
        @subject.trial
        def train(config, checkpoint):
            import os, signal, time
            for epoch in checkpoint.epochs(3):
                with open({str(tmp_path / "epochs")!r}, "a+") as file:
                    file.write(str(epoch))
                    file.seek(0)
                    first = file.read() == "12"
                if first:
                    os.kill({os.getpid()}, signal.SIGINT)  # Ctrl-C at the command
                    time.sleep(1)
                yield {{"epoch": epoch, "score": 1, "loss": 1}}
        """
    )
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    try:
        assert study.run("--grid", "reference", seeds=1) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "epochs").read_text() == "12"
    assert study.run("--grid", "reference", seeds=1) == 0
    assert (tmp_path / "epochs").read_text() == "123" + "123"  # the rest of it, and the repeat
    (result,) = study.read()
    assert [row["epoch"] for row in result.curve] == [1, 2, 3]


def test_a_failure_is_told_by_its_error_and_not_by_what_the_trial_had_printed(
    study: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    study.write(
        trial="""
        @subject.trial
        def train(config):
            print("so far so good", flush=True)
            raise ValueError("late \\x1b[31m")
        """
    )
    assert study.run("--grid", "reference", "--format", "md", seeds=1) == 1
    said = capsys.readouterr().out
    assert r"reference, seed 0: error (ValueError: late \x1b[31m)" in said and "so far so good" not in said
    report = (study.reports / "mine" / "report.md").read_text()
    assert "ValueError: late" in report and "so far so good" not in report


def test_changed_code_is_refused_in_a_sentence_and_taken_with_retrain(
    study: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    study.write()
    assert study.run("--grid", "reference", seeds=1) == 0
    study.write(trial=TRIAL.replace("50 +", "60 +"))
    assert study.run("--grid", "reference", seeds=1) == 2
    assert "take another --name, or train its trials again with --retrain" in capsys.readouterr().err
    assert study.run("--grid", "reference", "--retrain", seeds=1) == 0
    old, new = sorted(one.metrics["score"] for one in study.read())
    assert new - old == pytest.approx(10)
    assert store.read(study.results / "mine")[1][0].metrics["score"] == new
    assert study.run("--grid", "reference", seeds=1) == 0
    assert "nothing to train" in capsys.readouterr().out


@pytest.mark.usefixtures("sketches")
def test_seeds_that_are_not_used_stop_every_verdict(study: Any, capsys: pytest.CaptureFixture[str]) -> None:
    study.write(trial="\n@subject.trial\ndef train(config):\n    return {'score': config.slope, 'loss': 1.0}\n")
    assert study.run("--format", "md") == 0
    report = (study.reports / "mine" / "report.md").read_text()
    (gate,) = [line for line in report.splitlines() if line.startswith("| the seed is used")]
    assert gate.split("|")[3:5] == [" they are equal ", " no "]
    assert "reproduced" not in capsys.readouterr().out


@pytest.mark.parametrize("cookie", ["# -*- coding: latin-1 -*-\n", ""])
def test_a_study_file_may_be_in_another_encoding(study: Any, cookie: str) -> None:
    study.write(head=f"# caf\N{LATIN SMALL LETTER E WITH ACUTE}\n{HEAD}")
    study.path.write_bytes(cookie.encode() + study.path.read_text().encode("latin-1"))
    assert study.run("--components", "slope", seeds=1) == 0
    assert (study.reports / "mine" / "effects.csv").is_file()


# What is wrong -> the head, the parts and the trial of a file, and what its sentence says.
WRONG = {
    "no subject": (HEAD, "", "", "holds no Subject"),
    "two": (HEAD, PARTS + PARTS.replace("subject =", "other ="), TRIAL, "holds 2 Subject"),
    "no trial": (HEAD, PARTS, "", "has no trial function"),
    "raises": (HEAD, "raise RuntimeError('oh')", "", "RuntimeError: oh"),
    "exits": (HEAD, "import sys; sys.exit(3)", "", "SystemExit: 3"),
    "syntax": (HEAD, "def :", "", "SyntaxError"),
    "unknown field": (HEAD, PARTS.replace('"unread": 2', '"unred": 2'), TRIAL, "did you mean 'unread'?"),
    "as the reference": (HEAD, PARTS.replace('"unread": 2', '"unread": 1'), TRIAL, "is what the reference has"),
    "a level twice": (HEAD, PARTS.replace('"unread": 2', '"unread": [2, 3, 2]'), TRIAL, "two levels called '2'"),
    "two levels called off": (HEAD, PARTS.replace('"unread": 2', '"unread": [0, None]'), TRIAL, "two levels called 'off'"),
    "a name twice": (HEAD, PARTS.replace('"unread": 2', '"unread": {"1": 2, 1: 3}'), TRIAL, "two levels called '1'"),
    "no components": (HEAD, re.sub(r"components=\{.*\},\n", "components={},\n", PARTS), TRIAL, "components is empty"),
    "no metrics": (HEAD, re.sub(r"metrics=\{.*\},\n", "metrics={},\n", PARTS), TRIAL, "metrics is empty"),
    "which way": (HEAD, PARTS.replace('"loss": "lower"', '"loss": "best"'), TRIAL, "'higher' or 'lower'"),
    "a function as value": (HEAD.replace('kind: str = "a"', "kind: object = len"), PARTS, TRIAL, "no record can hold"),
    "not finite": (HEAD.replace("noise: float = 1.0", "noise: float = float('inf')"), PARTS, TRIAL, "finite number"),
    "a control's name": (HEAD, PARTS.replace('"unread": 2', '"placebo": {"x": {"unread": 2}}'), TRIAL, "name of a control"),
    "a hostile name": (HEAD, PARTS.replace('"unread": 2', '"a b": {"x": {"unread": 2}}'), TRIAL, "a name is of letters"),
    "claim on nothing": (HEAD, PARTS.replace('change="slope"', 'change="slop"'), TRIAL, "did you mean 'slope'?"),
    "claim on no metric": (HEAD, PARTS.replace('hurts="score"', 'hurts="scor"'), TRIAL, "did you mean 'score'?"),
    "claim without size": (HEAD, PARTS.replace(', by=0.5, says', ", says"), TRIAL, "needs by="),
    "a published effect of another sign": (HEAD, PARTS.replace("by=0.5, says", "by=0.5, published_effect=2, says"), TRIAL, "published effect of 2 says the opposite"),
    "another word for points": (HEAD, PARTS.replace('unit="points"', 'unit="%"'), TRIAL, "percentages have the unit 'points'"),
    "claim of a word": (HEAD, PARTS.replace(", by=0.5, says", ", by='x', says"), TRIAL, "has by='x'; it must be a number"),
    "claims of a number": (HEAD, PARTS.replace("claims=", "claims=3 or "), TRIAL, "claims is 3; it takes a Claim"),
    "components in a list": (HEAD, re.sub(r"components=\{.*\},\n", "components=['slope'],\n", PARTS), TRIAL, "components is ['slope']; it takes a mapping"),
    "claim of two": (HEAD, PARTS.replace('hurts="score"', 'hurts="score", helps="loss"'), TRIAL, "names 2 of hurts"),
    "budget": (HEAD, PARTS.replace('budget="rounds"', 'budget="round"'), TRIAL, "'round'; did you mean 'rounds'? it takes fields with whole numbers."),
    "budget of no whole number": (HEAD, PARTS.replace('budget="rounds"', 'budget="noise"'), TRIAL, "'noise'; it takes fields"),
    "asks for too much": (HEAD, PARTS, TRIAL.replace("config, streams", "config, stream"), "did you mean 'streams'?"),
    "sabotage": (HEAD, PARTS.replace('sabotage={"slope"', 'sabotage={"slop"'), TRIAL, "did you mean 'slope'?"),
    "a sabotage that changes nothing": (HEAD, re.sub(r"sabotage=\{.*\}", 'sabotage={"slope": 2.0}', PARTS), TRIAL, "the sabotage sets slope=2.0, which is what the reference has"),
    "a change that fails": (HEAD, PARTS.replace('"unread": 2', '"f": {"x": lambda c: 1 / 0}'), TRIAL, "ZeroDivisionError"),
    "a change to nothing": (HEAD, PARTS.replace('"unread": 2', '"f": {"x": lambda c: 3}'), TRIAL, "no configuration like"),
    "code that is not there": (HEAD, PARTS.replace('budget="rounds"', 'code=["*.cu"]'), TRIAL, "matches no file"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_study_file_gets_one_sentence_and_nothing_is_made(
    study: Any, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    head, parts, trial, word = WRONG[what]
    study.write(head=head, parts=parts, trial=trial)
    assert study.run() == 2
    said = capsys.readouterr()
    assert word in said.err and said.err.count("\n") == 1 and "Traceback" not in said.err
    assert study.path.name in said.err
    assert not study.results.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "slop=1"], "did you mean 'slope'?"),
        (["--set", "rounds=many"], "takes a whole number"),
        (["--set", "rounds"], "takes FIELD=VALUE"),
        (["--set", "rounds=-3"], "rounds is a budget, so it must be 1 or more"),
        (["--components", "widht"], "did you mean 'width'?"),
        (["--tune", "3"], "no learning rate"),
        (["--budget", "2h", "--dry-run"], "how long a trial takes"),
        (["--preset", "paper"], "--preset"),
    ],
)
def test_a_wrong_option_of_a_study_file_gets_one_sentence(
    study: Any, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    study.write()
    assert study.run(*words) == 2
    assert said in capsys.readouterr().err


def test_a_time_is_planned_for_by_one_trial_that_is_run_apart(study: Any, capsys: pytest.CaptureFixture[str]) -> None:
    study.write()
    assert study.run("--budget", "2h", "--components", "slope", seeds=2) == 0
    said = capsys.readouterr().out
    assert said.startswith("timing    one trial of the reference")
    assert re.search(r"budget    2h: one_out, 2 seeds, 3 rounds; about \d+ s of training", said)
    (timed,) = store.read_all(study.results / "mine" / "timing")[0].values()
    assert not timed.trial.variant.departures and timed.seconds > 0
    planned = store.read_study(study.results / "mine")
    trials = len(planned.variants) * planned.seeds
    assert planned.allowance and planned.allowance.seconds == pytest.approx(timed.seconds * trials)
    assert [one.records for one in planned.declared] == [0]  # so that nothing is post hoc
    assert study.run("--budget", "2h", "--components", "slope", seeds=2) == 0
    said = capsys.readouterr().out
    assert "timing " not in said and "nothing to train" in said


def test_a_trial_that_fails_tells_no_time(study: Any, capsys: pytest.CaptureFixture[str]) -> None:
    study.write(trial="@subject.trial\ndef train(config):\n    raise KeyError('my fault')")
    assert study.run("--budget", "2h") == 1
    assert "was to be timed by failed (error: KeyError: 'my fault')" in capsys.readouterr().err


def test_a_study_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([str(tmp_path / "none.py")]) == 2
    assert "there is no study file" in capsys.readouterr().err


def checked(study: Any, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, str]]:
    load.cache_clear()
    code = check.main([str(study.path), *words])
    lines = [line.partition("  ") for line in capsys.readouterr().out.splitlines()]
    return code, {name: found.strip() for name, _, found in lines}


def test_check_tells_what_does_nothing_and_what_differs(study: Any, capsys: pytest.CaptureFixture[str]) -> None:
    study.write()
    code, found = checked(study, capsys)
    assert code == 1  # the change of a field that nothing reads
    assert found["unread=2"].startswith("LOOK  EQUAL to the reference")
    assert found["in all"] == "1 line to look at"
    assert found["repeat"].startswith("equal to the last digit") and found["another seed"] == "differs"
    assert found["slope=1.0"] == "differs, in score, loss" and found["placebo"] == "differs"
    assert found["budget"].startswith("rounds=1 here")


def test_check_sees_trials_that_depend_on_more_than_their_seed(study: Any, capsys: pytest.CaptureFixture[str]) -> None:
    study.write(
        trial="\n@subject.trial\ndef train(config):\n    import time\n    return {'score': time.time(), 'loss': 1.0}\n"
    )
    code, found = checked(study, capsys)
    assert code == 1 and found["repeat"].startswith("LOOK  the same seed gave other numbers")


def test_check_names_what_a_trial_does_wrong(study: Any, capsys: pytest.CaptureFixture[str]) -> None:
    study.write(trial="\n@subject.trial\ndef train(config):\n    return {'score': 1.0}\n")
    code, found = checked(study, capsys)
    assert code == 1 and "the metric loss was promised and never came" in found["reference"]
    assert found["in all"] == "1 line to look at"


SMALL = """
@subject.trial
def train(config, seed):
    score = 50 + config.slope / (config.rounds - {least}) + seed % 1000
    return {{"score": {score}, "loss": 1 / (config.slope + 5)}}
"""


def test_check_runs_the_sabotage_and_tells_its_error(study: Any, capsys: pytest.CaptureFixture[str]) -> None:
    study.write(trial=SMALL.format(least=0, score="score"))  # the sabotage has a slope of -5
    code, found = checked(study, capsys)
    assert code == 1 and "ZeroDivisionError" in found["sabotage"] and found["sabotage"].startswith("LOOK  error")
    study.write(trial=SMALL.format(least=0, score="score").replace("+ 5)", "+ 6)"))
    code, found = checked(study, capsys)
    assert found["sabotage"] == "differs, in score, loss"


def test_check_names_the_whole_budget_where_the_short_one_may_mislead(
    study: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    study.write(trial=SMALL.format(least=1, score="score"))
    code, found = checked(study, capsys)
    assert code == 1 and found["reference"].endswith(" (with rounds=1; --whole keeps the budget as it is)")
    assert found["in all"] == "1 line to look at"
    study.write(trial=SMALL.format(least=0, score="round(score)").replace("+ 5)", "- config.slope + 5)"))
    for words, hint in (((), "Rounding, or rounds=1, may hide a difference: try --whole"), (("--whole",), "Rounding")):
        code, found = checked(study, capsys, *words)
        assert found["unread=2"].startswith("LOOK  EQUAL") and hint in found["unread=2"]
        assert ("--whole" in found["unread=2"]) == (not words)


@pytest.mark.slow
def test_the_study_file_of_the_readme_runs_as_it_stands(study: Any, capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    (block,) = [one for one in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL) if "subject.trial" in one]
    study.path.write_text(block)
    assert study.run("--components", "hidden=16", "--format", "html,md", seeds=1) == 0
    said = capsys.readouterr().out
    came = {name: float(value) for name, value in re.findall(r"\] (.+), seed 0: ([\d.]+)% accuracy", said)}
    assert came["hidden 16 instead of 64"] < came["reference"]  # sixteen units are worse than sixty-four
