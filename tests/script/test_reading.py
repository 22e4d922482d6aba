"""What a script leaves behind is read as it stands there, from each place that a TOML file can name."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas
import pytest

from ablations.subject import Diverged
from ablations.subjects.own.child import TrialError
from ablations.subjects.own.metrics import stopped
from ablations.subjects.own.trace import is_time, trace_of
from ablations.subjects.script.command import STYLES, Command, Style
from ablations.subjects.script.patterns import blind
from ablations.subjects.script.reading import Read, by_step, flat, named, number, numbers, rows_in, rows_of
from ablations.subjects.script.taking import diverged_beside, taken
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
    seeds = range(1 if source == "mlflow" else 2)  # each trial would make a database
    assert study.run("--grid", "reference", seeds=len(seeds)) == 0
    results = study.read()
    assert [results["reference", seed].metrics["score"] for seed in seeds] == [50 + seed for seed in seeds]
    first = results["reference", 0]
    assert first.metrics["loss"] == 1 and first.extras["repeat"] == first.trace
    assert len({results["reference", seed].trace for seed in seeds}) == len(seeds)
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


def last(rows: list[dict[str, Any]]) -> float:
    return taken(rows, "loss", "loss", take="last", better="lower")


NAMED = r"loss (?P<loss>[\d.]+)"


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (NAMED, "loss nan"),
        (NAMED, "loss -inf, acc 0.5"),
        (NAMED, "epoch 2: loss NaN (best 0.3)"),
        (r"loss.*?(?P<loss>[\d.]+)", "loss nan acc 0.5"),  # and 0.5 is no loss
        (r"loss (?P<loss>\d\.\d{4}) acc (?P<acc>\S+)", "loss nan acc 0.5"),
        (r"loss=(?P<loss>[\d.e+-]+)", "loss=Infinity"),
        (r"acc (?P<acc>[\d.]+)( loss (?P<loss>[\d.]+))?", "acc 0.5 loss inf"),
        (r"tensor\((?P<loss>[\d.]+)", "tensor(nan, grad_fn=<MeanBackward0>)"),
        (r"loss (?P<loss>\S+)", "loss nan"),
    ],
)
def test_a_nan_is_read_where_the_pattern_expects_another_number(pattern: str, line: str) -> None:
    read = Read(source="stdout", where=pattern)
    (row,) = rows_in(read, line)
    assert not math.isfinite(row["loss"]) and row.get("acc") in (None, 0.5)
    with pytest.raises(Diverged, match=r"loss is (nan|-?inf)"):
        last([{"loss": 2.5}, row])


@pytest.mark.parametrize(
    ("pattern", "line", "said"),
    [
        (NAMED, "loss 1.2e+30", r"'1.2 of 1.2e\+30', which is no number"),
        (NAMED, "loss 3e-05 acc 1", "'3 of 3e-05'"),
        (r"loss \D*(?P<loss>[\d.]+)", "loss -0.5", "'0.5 of -0.5'"),
        (r"loss.*(?P<loss>[\d.]+)", "loss 0.35", "'5 of 0.35'"),
        (r"loss (?P<loss>\d+)", "loss 12.5", "'12 of 12.5'"),
    ],
)
def test_a_part_of_a_number_is_no_number(pattern: str, line: str, said: str) -> None:
    with pytest.raises(TrialError, match=said):
        last([*rows_in(Read(source="stdout", where=pattern), line)])


def test_other_numbers_are_taken_as_they_stand() -> None:
    read = Read(source="stdout", where=r"step (?P<step>\d+)/\d+ \((?P<at>\d+)s\) loss:\s*(?P<loss>-?[\d.]+)%?")
    lines = ["step 1/20 (3s) loss: -0.50%", "step 2/20 (13s) loss:7.", "run nan-1: step 3/20 (13s) loss:1, nan of them"]
    found = [row for line in lines for row in rows_in(read, line)]
    assert found == [{"step": n, "at": at, "loss": loss} for n, at, loss in ((1, 3, -0.5), (2, 13, 7.0), (3, 13, 1))]


def test_patterns_are_tried_with_what_a_diverging_training_prints() -> None:
    lines = ["begin", "step 3 loss 0.5 acc 0.3"]
    assert blind(r"loss (?P<loss>[\d.]+) acc (?P<acc>\S+)", lines, {"loss", "acc"}) == {
        "loss": ["nan", "inf", "1e+30", "-1.5"]
    }
    assert blind(r"loss (?P<loss>[\d.e+-]+) acc (?P<acc>\S+)", lines, {"loss", "acc"}) == {"loss": ["nan", "inf"]}
    assert blind(r"loss (?P<loss>[\d.]+)", lines, {"acc"}) == {}


def written(folder: Path, source: str, losses: list[float]) -> list[dict[str, Any]]:
    """What is read of these losses, as the usual library of each source writes them."""
    path = folder / "out"
    if source == "pandas":
        pandas.DataFrame({"epoch": range(len(losses)), "loss": losses}).to_csv(path, index=False)
    elif source == "pandas as JSON":
        path.write_text(pandas.DataFrame({"epoch": range(len(losses)), "loss": losses}).to_json(orient="records"))
    elif source == "csv":
        path.write_text("epoch,loss\n" + "".join(f"{epoch},{loss}\n" for epoch, loss in enumerate(losses)))
    elif source == "json":
        path.write_text(json.dumps([{"loss": loss} for loss in losses]))
    elif source == "jsonl":
        told = [loss if math.isfinite(loss) else str(loss) for loss in losses]
        path.write_text("".join(f"{json.dumps({'loss': loss})}\n" for loss in told))
    elif source == "tensorboard":
        pytest.importorskip("tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(path)) as writer:
            for step, loss in enumerate(losses):
                writer.add_scalar("loss", loss, step)
    else:
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=f"sqlite:///{path}")
        run = client.create_run(client.create_experiment("one"))
        for step, loss in enumerate(losses):
            client.log_metric(run.info.run_id, "loss", loss, step=step)
    return rows_of(Read(source={"pandas": "csv", "pandas as JSON": "json"}.get(source, source), where="out"), path)


@pytest.mark.parametrize(
    "source",
    ["pandas", "pandas as JSON", "csv", "json", "jsonl", "tensorboard", pytest.param("mlflow", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_metric_that_is_not_finite_in_the_end_has_diverged_wherever_it_is_read(
    tmp_path: Path, source: str, bad: float
) -> None:
    rows = written(tmp_path, source, [2.5, 1.5, bad])
    for take in ("last", "best", "mean of last 2"):
        with pytest.raises(Diverged, match=r"loss is (nan|inf)"):
            taken(rows, "loss", "loss", take=take, better="lower")
    recovered = taken([*rows, {"loss": 0.5}], "loss", "loss", take="last", better="lower")
    assert recovered == 0.5


def test_cells_that_are_empty_by_habit_are_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    # As Lightning writes them: a row of training, one of validation, and the test in the end.
    path.write_text("epoch,step,loss,val_loss,test_acc\n0,9,2.5,,\n0,10,,2.6,\n1,19,1.5,,\n1,20,,1.6,\n2,20,,,90\n")
    rows = rows_of(Read(source="csv", where="metrics.csv"), path)
    assert last(rows) == 1.5
    assert taken(rows, "val_loss", "val_loss", take="last", better="lower") == 1.6
    assert not any(stopped(rows, name, name) for name in ("loss", "val_loss", "test_acc"))
    every_other = [{"epoch": n, "loss": 1.0 / n, "acc": float(n) if n % 2 else None} for n in range(1, 5)]
    assert taken(every_other, "acc", "acc", take="last", better="higher") == 3.0
    with pytest.raises(TrialError, match="never read as a number: it was null or empty"):
        last([{"epoch": 1, "loss": None}])


def test_a_metric_that_stops_coming_is_named() -> None:
    rows: list[dict[str, Any]] = [{"step": 10 * n, "x": 1.0} for n in range(1, 9)]
    for row in rows[:3]:
        row["acc"] = 0.5
    assert stopped(rows, "accuracy", "acc") == ("accuracy came last at 30, and others until 80: what counts is of 30")
    assert stopped(rows, "x", "x") == stopped(rows[:5], "accuracy", "acc") == stopped(rows, "y", "y") == ""
    assert stopped([{"x": 1}, {"x": 2}, {"y": 1}, {"y": 2}, {"y": 3}], "x", "x").startswith("x came last at 2, and oth")


def test_a_number_that_is_no_metric_and_turns_nan_is_named() -> None:
    rows: list[dict[str, Any]] = [{"acc": 1, "loss": 2.0, "never": math.nan}, {"acc": 1, "loss": math.nan}]
    assert [*diverged_beside(rows, ["acc"])] == ["loss, which is no metric of this study, is nan in the end"]
    assert [*diverged_beside([*rows, {"loss": 1.0}], ["acc"])] == []


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


@pytest.mark.parametrize(
    ("name", "timed"),
    [
        *(
            (one, True)
            for one in ("train_time", "trainTime", "perf/step_ms", "charts/SPS", "Samples Per Sec", "latency")
        ),
        *((one, False) for one in ("timesteps_to_goal", "lifetime", "forms", "secsteps", "estimate", "loss", "meta")),
    ],
)
def test_a_time_is_known_by_a_whole_word_of_its_name(name: str, timed: bool) -> None:
    assert is_time(name) is timed


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
