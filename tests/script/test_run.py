"""A script that stays unchanged, from its TOML file to the verdicts, through the real commands."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ablations import check
from ablations.core.load import load
from tests.conftest import ended
from tests.script.files import SCRIPT, STUDY, Study

ROOT = Path(__file__).parents[2]
TINY = """
command = "python train.py {seed} {changes}"
timeout = "60s"
[reference]
a = 1
[components]
a = 2
[metrics]
score = "higher"
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """In a folder of its own."""
    return Study(tmp_path)


def test_a_script_is_run_judged_and_reported_and_goes_on_where_it_was(
    study: Study, sketches: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study.run() == 0
    said = capsys.readouterr().out
    results = study.read()
    assert {label for label, _ in results} == {
        "reference", "slope=1.0", "width=2", "width=8", "unread=2", "noisy=on", "placebo=salted", "sabotage=on"
    }  # fmt: skip
    first = results["reference", 0]
    alone = subprocess.run(
        [sys.executable, str(study.script), "--seed", "0", "--steps", "2"], capture_output=True, text=True, check=True
    )
    assert first.metrics["score"] == json.loads(alone.stdout.splitlines()[-1])["score"]
    placebo = subprocess.run(
        [sys.executable, str(study.script), "--seed", "1000000", "--steps", "2"], capture_output=True, check=True
    )
    assert results["placebo=salted", 0].metrics["score"] == json.loads(placebo.stdout.splitlines()[-1])["score"]
    assert [row["epoch"] for row in first.curve] == [1, 2] and "seed" not in first.curve[0]
    assert first.metrics["cpu_seconds"] > 0 and first.metrics["memory_mib"] > 1
    assert first.extras["repeat"] == first.trace == results["unread=2", 0].trace
    assert len({first.trace, results["noisy=on", 0].trace, results["reference", 1].trace}) == 3
    assert re.search(r"slope_1.0_score +reproduced", said)
    assert re.search(r"unread_2_score +not tested \(inactive\)", said)
    assert (study.folder / "logs" / f"{first.trial.key}.txt").read_text().startswith('{"step": 1')
    assert list((study.folder / "folders").iterdir()) == []

    before = {path.name: path.read_bytes() for path in (study.folder / "trials").iterdir()}
    assert study.run() == 0
    assert "nothing to train" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in (study.folder / "trials").iterdir()} == before


def test_what_decides_a_result_is_in_the_key_and_nothing_else_is(study: Study) -> None:
    def digest(text: str = STUDY, script: str = SCRIPT) -> Any:
        study.write(text, script)
        load.cache_clear()
        return load(str(study.path)).digest()

    first = digest()
    assert digest(STUDY + '# a comment\n[[claim]]\nchange = "width"\nhurts = "loss"\nby = 1') == first
    assert digest(script=f'"""What it does."""\n{SCRIPT}# as ever\n') == first
    study.path.with_name("helper.py").write_text("X = 1\n")
    imported = digest(script=f"import helper\n{SCRIPT}")
    study.path.with_name("helper.py").write_text("X = 2\n")
    others = {
        imported,
        digest(script=f"import helper\n{SCRIPT}"),
        digest(script=SCRIPT.replace("/ 9", "/ 8")),
        digest(STUDY.replace("{changes}", "{changes} --noisy")),
        digest(STUDY + '[read]\ntake = "mean of last 2"'),
        digest(f'style = "equals"\n{STUDY}'),
    }
    assert len(others) == 6 and first not in others
    (study.path.parent / "some.cfg").write_text("a")
    named = digest(STUDY.replace("{changes}", "{changes} --config=some.cfg"))
    (study.path.parent / "some.cfg").write_text("b")
    assert digest(STUDY.replace("{changes}", "{changes} --config=some.cfg")) != named


def test_set_changes_fields_of_the_reference_and_of_the_budget(study: Study, sketches: None) -> None:
    assert study.run("--set", "steps=1", "width=5", "--grid", "reference", seeds=1) == 0
    ((_, result),) = study.read().items()
    assert result.trial.config["config"]["steps"] == 1 and result.trial.config["config"]["width"] == 5
    assert result.curve == ()


def test_a_command_that_reaches_no_file_of_its_own_keeps_what_a_report_needs(study: Study, sketches: None) -> None:
    command = """python -c "import json; print(json.dumps(dict(score=50.0, loss=1.0)))" {seed} {steps} {changes}"""
    study.write(STUDY.replace('"python train.py --seed {seed} --steps {steps} {changes}"', f"'''{command}'''"))
    study.script.unlink()
    assert study.run("--grid", "reference", seeds=1) == 0
    assert not (study.folder / "code").exists()
    assert json.loads((study.folder / "subject.json").read_text())["components"]["width"]["summary"] == "channels"


def test_a_dry_run_shows_the_command_of_every_variant(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    assert study.run("--dry-run") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("runs ")]
    shown = {label: rest for label, _, rest in (line.removeprefix("runs").strip().partition(": ") for line in lines)}
    whole = "train.py --seed 0 --steps 2 --slope 2.0 --width 4 --unread 1"
    assert shown["reference"] == f"{sys.executable} {whole}"
    assert shown["with noisy"] == f"{shown['reference']} --noisy"
    assert shown["slope 1.0 instead of 2.0"] == shown["reference"].replace("--slope 2.0", "--slope 1.0")
    assert shown["placebo"] == shown["reference"].replace("--seed 0", "--seed 1000000")
    assert not study.results.exists()


@pytest.mark.parametrize(
    ("script", "status", "word"),
    [
        ("raise KeyError('my fault')", "error", "KeyError: 'my fault'"),
        ("import sys; print('so far so good'); sys.exit(3)", "error", "exit code 3: so far so good"),
        (
            "raise ValueError('it does not fit:\\n\\tlayer a\\n\\tlayer b')",
            "error",
            "exit code 1: ValueError: it does not fit: layer a layer b",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "error", "signal SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "out_of_memory", "SIGKILL"),
        ("print('{\"score\": NaN}')", "diverged", "score is nan"),
        (
            "print('{\"scor\": 1}')",
            "error",
            "score was promised and was never read; did you mean 'scor'? what was read is scor",
        ),
        ('print(\'{"score": "high"}\')', "error", "score is 'high', which is no number"),
        ("print('so much for that')", "error", "standard output is 'so much for that'; it must be a JSON object"),
        ("pass", "error", "standard output never came"),
        ("import time; print('slowly', flush=True); time.sleep(60)", "timeout", "not ended after 1 seconds"),
    ],
)
def test_what_a_script_does_wrong_is_a_result_with_a_word(
    study: Study, script: str, status: str, word: str, sketches: None
) -> None:
    study.write(TINY.replace("60s", "1s") if status == "timeout" else TINY, script)
    assert study.run("--grid", "reference", seeds=1) == (0 if status == "diverged" else 1)
    ((_, result),) = study.read().items()
    assert result.status == status
    assert word in result.error
    if "so far" in script:
        assert result.error.rstrip().endswith("so far so good")
    kept = study.folder / "folders" / result.trial.key
    assert kept.is_dir() == (status != "diverged")


def test_a_training_that_diverges_is_no_result_though_its_pattern_finds_no_nan(
    study: Study, sketches: None, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = TINY + "[read]\nstdout = 'score (?P<score>[\\d.]+)'\n"
    study.write(
        toml, "import sys\nprint('score', 0.25 * int(sys.argv[1]) + 0.5, '\\nscore', float(sys.argv[-1]) / 2)\n"
    )
    load.cache_clear()
    assert check.main([str(study.path)]) == 1
    said = capsys.readouterr().out
    assert (
        "numbers                LOOK  score as nan, inf, 1e+30 and -1.5 is not found: write (?P<score>\\S+)\n" in said
    )
    study.write(toml, "print('score 0.5'); print('epoch 2: score nan')")
    assert study.run("--grid", "reference", seeds=1) == 0
    ((_, result),) = study.read().items()
    assert (result.status, result.error, result.metrics) == ("diverged", "score is nan", {})


def test_a_timeout_ends_all_that_a_script_has_started(study: Study, sketches: None) -> None:
    study.write(
        TINY.replace("60s", "4s"),
        "import subprocess, time\nprint(subprocess.Popen(['sleep', '60']).pid, flush=True)\ntime.sleep(60)",
    )
    assert study.run("--grid", "reference", seeds=1) == 1
    ((_, result),) = study.read().items()
    pid = int((study.folder / "logs" / f"{result.trial.key}.txt").read_text().split()[0])
    assert ended(pid)


def test_a_script_that_leaves_a_process_behind_has_ended(study: Study, sketches: None) -> None:
    study.write(TINY, "import subprocess\nprint(subprocess.Popen(['sleep', '60']).pid)\nprint('{\"score\": 1}')")
    assert study.run("--grid", "reference", seeds=1) == 0
    ((_, result),) = study.read().items()
    assert result.metrics["score"] == 1
    assert ended(int((study.folder / "logs" / f"{result.trial.key}.txt").read_text().split()[0]))


def test_processor_seconds_and_memory_are_those_of_the_script(study: Study, sketches: None) -> None:
    study.write(TINY, """
import time
held = bytearray(100 * 2**20)
while time.process_time() < 0.3:
    pass
print('{"score": 1}')
""")  # fmt: skip
    assert study.run("--grid", "reference", seeds=1) == 0
    ((_, result),) = study.read().items()
    assert 0.3 <= result.metrics["cpu_seconds"] < 1
    assert 100 < result.metrics["memory_mib"] < 150


def test_a_trial_is_told_its_seed_folder_and_variant_and_secrets_are_masked(
    study: Study, sketches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_TOKEN", "abc-123-secret")
    script = """
import json, os, sys
print(os.environ["MY_API_TOKEN"], file=sys.stderr)
assert os.environ["ABLATIONS_FOLDER"] == os.getcwd() and os.environ["SEED"] == os.environ["ABLATIONS_SEED"]
assert os.environ["ABLATIONS_THREADS"] == "1" == os.environ["OMP_NUM_THREADS"]
print(json.dumps({"score": int(os.environ["SEED"]), "label": len(os.environ["ABLATIONS_VARIANT"])}))
"""
    toml = TINY.replace("python train.py {seed}", "python {here}/train.py")
    study.write(f'cwd = "{{folder}}"\nseed = {{ env = "SEED" }}\n{toml}', script)
    assert study.run("--grid", "one_out") == 0
    results = study.read()
    assert {key: one.metrics["score"] for key, one in results.items()} == {
        ("reference", 0): 0, ("reference", 1): 1, ("a=2", 0): 0, ("a=2", 1): 1,
        ("placebo=salted", 0): 1_000_000, ("placebo=salted", 1): 1_000_001,
    }  # fmt: skip
    assert results["a=2", 0].metrics["label"] == len("a=2")
    log = (study.folder / "logs" / f"{results['a=2', 0].trial.key}.txt").read_text()
    assert "***" in log and "abc-123" not in log


def test_the_folder_of_a_failed_trial_is_there_at_its_next_try(study: Study, sketches: None) -> None:
    script = """
import json, os, pathlib, sys
mark = pathlib.Path("mark")
if os.environ["ABLATIONS_VARIANT"] == "a=2" and not mark.exists():
    mark.touch()
    sys.exit("stopped half way")
print(json.dumps({"score": 1}))
"""
    toml = TINY.replace("python train.py", "python {here}/train.py")
    study.write(f'cwd = "{{folder}}"\n{toml}', script)
    assert study.run("--components", "a", seeds=1) == 1
    assert study.run("--components", "a", seeds=1) == 0
    (changed,) = [one for (label, _), one in study.read().items() if label == "a=2"]
    assert any("folder of an earlier try" in note for note in changed.notes)
    assert list((study.folder / "folders").iterdir()) == []


def test_a_seed_that_is_not_used_stops_every_verdict_though_it_is_printed(
    study: Study, sketches: None, capsys: pytest.CaptureFixture[str]
) -> None:
    study.write(script=SCRIPT.replace("random.Random(args.seed)", "random.Random(3)"))
    assert study.run() == 0
    report = (study.reports / "mine" / "report.md").read_text()
    (gate,) = [line for line in report.splitlines() if line.startswith("| the seed is used")]
    assert gate.split("|")[3:5] == [" they are equal ", " no "]
    assert "reproduced" not in capsys.readouterr().out


def test_a_constant_becomes_the_seed(study: Study, sketches: None) -> None:
    toml = f"seed = {{ reseed = true }}\n{STUDY.replace('--seed {seed} ', '')}"
    study.write(toml, SCRIPT.replace("random.Random(args.seed)", "random.Random(3)"))
    assert study.run("--components", "slope") == 0
    results = study.read()
    assert len({one.trace for one in results.values()}) == len(results)
    first = results["reference", 0]
    assert first.extras["repeat"] == first.trace
    log = (study.folder / "logs" / f"{first.trial.key}.txt").read_text()
    assert re.search(r"random.seed\(3\) became \d+", log)
    assert results["reference", 1].metrics["seed"] == 0  # what the script prints is no column of who ran


def test_the_best_of_several_rows_gets_a_caution(study: Study, sketches: None) -> None:
    study.write(STUDY + '[read]\ntake = "best"\n')
    assert study.run("--grid", "reference", seeds=1) == 0
    ((_, result),) = study.read().items()
    assert result.metrics["score"] == max(row["score"] for row in result.curve)
    assert result.metrics["loss"] == min(row["loss"] for row in result.curve)
    assert any("too good" in note for note in result.notes)


def test_check_sees_what_does_nothing(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    load.cache_clear()
    assert check.main([str(study.path)]) == 1
    lines = [line.partition("  ") for line in capsys.readouterr().out.splitlines()]
    found = {name: rest.strip() for name, _, rest in lines}
    assert found["unread=2"].startswith("LOOK  EQUAL to the reference")
    assert found["repeat"].startswith("equal to the last digit") and found["another seed"] == "differs"
    assert found["noisy=on"] == "differs, in score, loss" and found["in all"] == "1 line to look at"


def test_check_names_the_word_that_a_script_with_a_default_needs(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = STUDY.replace("noisy = false", "noisy = true").replace('{ args = ["--noisy"] }', "false")
    script = SCRIPT.replace('action="store_true"', "action=argparse.BooleanOptionalAction, default=True")
    study.write(toml, script)
    load.cache_clear()
    assert check.main([str(study.path)]) == 1
    said = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("-noisy"))
    assert "EQUAL" in said and "only leaves out '--noisy'" in said and "--no-NAME" in said
    study.write(f'style = "tyro"\n{toml}', script)
    load.cache_clear()
    check.main([str(study.path)])
    assert "-noisy" in (out := capsys.readouterr().out) and "only leaves out" not in out


@pytest.mark.slow
def test_a_killed_study_goes_on_and_its_scripts_end_with_it(study: Study, sketches: None) -> None:
    # The second trial waits until the study has been killed, and says who it is.
    waiting = study.path.with_name("waiting")
    script = f"""
import os, pathlib, time
waiting = pathlib.Path({str(waiting)!r})
if "--slope 1.0" in " ".join(__import__("sys").argv) and not waiting.exists():
    waiting.write_text(str(os.getpid()))
    time.sleep(600)
"""
    study.write(script=script + SCRIPT)
    words = ["--executor", "serial", "--seeds", "1", "--no-mlflow", "--name", "mine", "--components", "slope"]
    places = ["--results", str(study.results), "--reports", str(study.reports)]
    driver = subprocess.Popen(
        [sys.executable, "-m", "ablations.run", str(study.path), *words, *places],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    for _ in range(1200):
        if waiting.exists() and waiting.read_text():
            break
        time.sleep(0.05)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert ended(int(waiting.read_text()))
    before = {path.name: path.read_bytes() for path in (study.folder / "trials").iterdir()}
    assert before
    assert study.run("--components", "slope", seeds=1) == 0
    after = {path.name: path.read_bytes() for path in (study.folder / "trials").iterdir()}
    assert after.items() >= before.items() and len(after) == 4


DIGITS = """
import argparse, json, warnings
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

asked = argparse.ArgumentParser()
asked.add_argument("--scale", action="store_true")
for name, kind in {"hidden": int, "alpha": float, "steps": int, "seed": int}.items():
    asked.add_argument(f"--{name}", type=kind)
args = asked.parse_args()
warnings.simplefilter("ignore")
pixels, digits = load_digits(return_X_y=True)
x, x_test, y, y_test = train_test_split(pixels / 16 if args.scale else pixels, digits, random_state=0)
model = MLPClassifier(args.hidden, alpha=args.alpha, max_iter=args.steps, random_state=args.seed).fit(x, y)
print(json.dumps({"accuracy": 100 * model.score(x_test, y_test), "loss": model.loss_}))
"""


@pytest.mark.slow
def test_the_toml_of_the_readme_runs_as_it_stands(study: Study, sketches: None) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    study.write(block, DIGITS)
    assert study.run("--components", "hidden=16", seeds=1) == 0
    found = study.read()
    # Sixteen units are worse than sixty-four.
    assert found["hidden=16", 0].metrics["accuracy"] < found["reference", 0].metrics["accuracy"]


@pytest.mark.slow
def test_the_example_without_a_seed_option_runs(
    tmp_path: Path, sketches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 40)
    monkeypatch.setenv("CHARACTERS", str(text))
    study = Study(tmp_path)
    study.path = ROOT / "ablations" / "subjects" / "examples" / "char_transformer" / "study.toml"
    assert study.run("--set", "steps=20", "--grid", "reference") == 0
    first, other = study.read()["reference", 0], study.read()["reference", 1]
    assert first.extras["repeat"] == first.trace != other.trace
    assert [row["epoch"] for row in first.curve] == [*range(2, 21, 2)]
    assert first.metrics["loss"] == first.curve[-1]["loss"] < first.curve[0]["loss"]
