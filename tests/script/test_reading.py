"""What a script leaves behind is read as it stands there, from each place that a TOML file can name."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from ablations.subject import Diverged
from ablations.subjects.own.child import TrialError
from ablations.subjects.own.trace import trace_of
from ablations.subjects.script.command import STYLES, Command, Style
from ablations.subjects.script.reading import Read, by_step, flat, named, number, numbers, rows_in, rows_of, taken
from tests.script.files import Study

WRITTEN = {
    "json": ("out.json", 'json.dump({"test": {"score": 50 + seed}, "loss": 1}, open("out.json", "w"))'),
    "jsonl": ("o.jsonl", 'open("o.jsonl", "w").write(\'{"loss": 2}\\n{"test.score": %d, "loss": 1}\' % (50 + seed))'),
    "csv": ("out.csv", 'open("out.csv", "w").write("epoch,loss,test.score\\n1,2,\\n2,1,%d\\n" % (50 + seed))'),
    "mlflow": (True, "import mlflow; mlflow.set_experiment('e'); mlflow.start_run(); "
               "[mlflow.log_metrics({'loss': 2 - s, 'test.score': 49 + s + seed}, step=s) for s in (0, 1)]"),
}  # fmt: skip


@pytest.mark.parametrize("source", ["json", "jsonl", "csv", pytest.param("mlflow", marks=pytest.mark.slow)])
def test_numbers_are_read_from_files_of_the_trial(tmp_path: Path, source: str, sketches: None) -> None:
    where, code = WRITTEN[source]
    study = Study(tmp_path)
    study.write(
        f"""cwd = "{{folder}}"
command = "python {{here}}/train.py {{seed}} {{changes}}"
[reference]
a = 1
[components]
a = 2
[metrics.score]
from = "test.score"
better = "higher"
[metrics.loss]
better = "lower"
[read]
{source} = {json.dumps(where)}
""",
        f"import json, sys\nseed = int(sys.argv[1])\nprint('not this')\n{code}\n",
    )
    assert study.run("--grid", "reference") == 0
    results = study.read()
    assert [results["reference", seed].metrics["score"] for seed in (0, 1)] == [50, 51]
    first = results["reference", 0]
    assert first.metrics["loss"] == 1 and first.extras["repeat"] == first.trace != results["reference", 1].trace
    if source != "json":
        assert [row["loss"] for row in first.curve] == [2, 1]


def test_a_file_that_a_trial_did_not_write_is_not_read(tmp_path: Path, sketches: None) -> None:
    study = Study(tmp_path)
    toml = """cwd = "{folder}"
command = "python {here}/train.py {seed} {changes}"
[reference]
a = 1
[components]
a = 2
[metrics]
loss = "lower"
[read]
json = "out.json"
"""
    # Its first try writes and fails; the second finds what the first left, and must not take it for its own.
    study.write(
        toml,
        "import os, sys\nif not os.path.exists('out.json'):\n    open('out.json', 'w').write('{}')\n    sys.exit(3)",
    )
    for word in ("exit code 3", "json out.json was there before it and was not written by it"):
        assert study.run("--grid", "reference", seeds=1) == 1
        ((_, result),) = study.read().items()
        assert word in result.error
    study.write(toml, "print('done')")
    study.results = study.results.with_name("others")
    assert study.run("--grid", "reference", seeds=1) == 1
    ((_, result),) = study.read().items()
    assert "json out.json was not written" in result.error


def test_a_pattern_gives_a_row_a_match() -> None:
    read = Read(source="stdout", where=r"step (?P<step>\d+): loss (?P<loss>\S+)( acc (?P<acc>\S+))?")
    lines = ["step 1: loss 2.5", "other", "step 2: loss nan acc .5 step 3: loss 1e-3"]
    found = [row for line in lines for row in rows_in(read, line)]
    assert found[0] == {"step": 1, "loss": 2.5} and found[2] == {"step": 3, "loss": 1e-3}
    assert math.isnan(found[1]["loss"]) and found[1]["acc"] == 0.5
    assert numbers(found[1], {}) == {"epoch": 2, "step": 2, "acc": 0.5}


def test_the_value_that_counts_is_the_last_the_best_or_a_mean() -> None:
    rows: list[dict[str, Any]] = [{"x": 1.0}, {"x": 4.0}, {"y": 0}, {"x": 2.0}]
    assert taken(rows, "x", "x", take="last", better="higher") == 2
    assert taken(rows, "x", "x", take="best", better="higher") == 4
    assert taken(rows, "x", "x", take="best", better="lower") == 1
    assert taken(rows, "x", "x", take="mean of last 2", better="lower") == 3
    assert taken(rows, "x", "x", take="mean of last 20", better="lower") == pytest.approx(7 / 3)
    with pytest.raises(Diverged, match="x is nan"):
        taken([*rows, {"x": math.nan}], "x", "x", take="last", better="lower")
    with pytest.raises(TrialError, match=r"the metric z, 'a/z', was promised.*x, y"):
        taken(rows, "z", "a/z", take="last", better="lower")


def test_nested_objects_are_columns_and_lists_are_told_apart() -> None:
    assert flat({"a": {"b": 1, "c": {"d": 2.5}}, "e": True}) == {"a.b": 1, "a.c.d": 2.5, "e": True}
    assert flat({"a": [1, 2]}) == flat({"a": [1, 2]}) != flat({"a": [2, 1]})
    assert [number(text) for text in ("3", " 2.5 ", "x")] == [3, 2.5, "x"]


def test_what_only_repeats_the_question_is_no_answer() -> None:
    given = {"learning_rate": 0.1, "seed": 3}
    assert numbers({"args/learning-rate": 0.1, "seed": 3, "loss": 0.1, "x": 3}, given) == {"loss": 0.1, "x": 3}
    assert numbers({"learning_rate": 0.05}, given) == {"learning_rate": 0.05}  # a schedule, and no repetition


def test_metrics_stand_under_their_own_names_and_nothing_is_written_over() -> None:
    columns = {"loss": {"from": "val/loss"}, "score": {"from": "score"}}
    assert named({"loss": 2, "val/loss": 1, "score": 3, "x": 4}, columns) == {
        "loss as given": 2, "x": 4, "loss": 1, "score": 3
    }  # fmt: skip


def test_times_are_no_part_of_a_trace() -> None:
    assert trace_of([{"loss": 1, "charts/SPS": 10, "wall_time": 3}]) == trace_of([{"loss": 1, "charts/SPS": 11}])
    assert trace_of([{"loss": 1}]) != trace_of([{"loss": 2}])


def test_points_of_one_step_are_a_row_and_what_comes_twice_is_kept() -> None:
    points = [(1, "a", 1.0), (1, "b", 2.0), (0, "a", 0.0), (1, "a", 3.0)]
    assert [*by_step(points)] == [{"step": 0, "a": 0.0}, {"step": 1, "a": 1.0, "b": 2.0}, {"step": 1, "a": 3.0}]


def test_event_files_of_tensorboard_are_read(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path / "runs" / "one")) as writer:
        for step in range(3):
            writer.add_scalar("charts/return", 10.0 * step, step)
    found = rows_of(Read(source="tensorboard", where="runs"), tmp_path / "runs")
    assert found == [{"step": step, "charts/return": 10.0 * step} for step in range(3)]


def test_each_style_writes_each_kind_of_value() -> None:
    values = {"lr": 2.5e-4, "on": True, "off": False, "no": "none", "two": [1, 2]}
    expected = {
        "argparse": "--lr 0.00025 --on --two 1 2",
        "tyro": "--lr 0.00025 --on --no-off --no None --two 1 2",
        "hydra": "lr=0.00025 on=true off=false no=null two=[1,2]",
        "equals": "--lr=0.00025 --on=True --off=False --no=None --two=[1,2]",
    }
    for name, words in expected.items():
        written = [word for field, value in values.items() for word in STYLES[name].words(field, value)]
        assert " ".join(written) == words


def test_places_of_a_command_are_filled_and_doubled_braces_stay() -> None:
    style = Style(value="--{name} {value}", on="", off="", none="")
    words = ("prog", "{{seed}}", "--w={optimizer.lr}", "{changes}", '{"a":{"b":1}}')
    command = Command(words=words, cwd=".", style=style, env="", reseed=False)
    values = {"optimizer": {"lr": 0.1, "name": "a b"}, "args:x": ["--seed={seed}"]}
    assert command.argv(values, {"seed": "7"}) == [
        "prog", "{seed}", "--w=0.1", "--optimizer.name", "a b", "--seed=7", '{"a":{"b":1}}'
    ]  # fmt: skip
