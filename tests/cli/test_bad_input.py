"""What is typed wrongly: exit code 2, one sentence that names it, and nothing left on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ablations import calibrate, check, explain, new, report, run, show, sync

LONG = "x" * 5000
ESC = "\x1b[31mred"
CLAIM = {
    "name": '"mine"',
    "component": '"lrn"',
    "level": '"off"',
    "statement": '"Mine."',
    "metric": '"test_loss"',
    "direction": '"raises"',
    "smallest_effect": "0.1",
    "reason": '"a guess"',
}

# fmt: off
# Words after `python -m ablations.run`, and what the sentence must name.
OPTIONS: list[tuple[list[str], str]] = [
    # Options that there are not, and words that belong to none.
    (["--sedes", "3"], "unknown option '--sedes'; did you mean '--seeds'?"),
    (["--sedes=3"], "--sedes=3"),
    (["--gird", "full"], "did you mean '--grid'?"),
    (["-x"], "unknown option '-x'"),
    (["--no-such-thing"], "unknown option '--no-such-thing'"),
    (["full"], "'full'"),
    (["--dry-run", "yes"], "'yes'"),
    ([LONG], "xxx..."),
    ([f"--{LONG}"], "xxx..."),
    (["--seeds"], "--seeds needs a value"),
    (["--grid"], "--grid needs a value"),
    # Values of another kind.
    (["--seeds", "three"], "--seeds is 'three'; it must be a whole number."),
    (["--seeds", "3.5"], "--seeds is '3.5'; it must be a whole number."),
    (["--seeds", "1e3"], "--seeds is '1e3'"),
    (["--seeds=many"], "--seeds is 'many'"),
    (["--batch-size", "x"], "--batch-size is 'x'; it must be a whole number."),
    (["--batch_size", "x"], "--batch-size is 'x'"),
    (["--threshold", "a quarter"], "--threshold is 'a quarter'; it must be a number."),
    (["--memory-budget", "2GiB"], "--memory-budget is '2GiB'; it must be a number."),
    (["--epochs", "9" * 5000], "which is far too large"),
    # Empty values.
    *(
        ([option, ""], f"{option} has an empty value")
        for option in (
            "--grid",
            "--components",
            "--preset",
            "--dataset",
            "--budget",
            "--name",
            "--results",
            "--reports",
            "--claims",
            "--data-root",
            "--looks",
            "--pack",
            "--precision",
            "--format",
            "--executor",
            "--ray-address",
            "--mlflow-uri",
            "--seeds",
            "--evaluate-on",
        )
    ),
    (["--grid="], "--grid has an empty value"),
    ([""], "an argument has an empty value"),
    (["--components", ","], "--components is ','"),
    (["--components", " "], "--components is ' '"),
    (["--components", "lrn="], "'lrn=' names no level of lrn"),
    (["--components", "lrn=off=on"], "unknown level of lrn 'off=on'"),
    (["--components", "=off"], "unknown component ''"),
    (["--components", "placebo"], "placebo is a control"),
    (["--components", LONG], "unknown component 'xxx"),
    (["--format", ","], "no format is named"),
    (["--format", "html,pdf"], "unknown format 'pdf'"),
    (["--dataset", "folder:"], "unknown data set 'folder:'"),
    # Names that there are not.
    (["--grid", "ful"], "unknown grid 'ful'; did you mean 'full'?"),
    (["--grid", LONG], "unknown grid 'xxx"),
    (["--preset", "papr"], "unknown preset 'papr'; did you mean 'paper'?"),
    (["--dataset", "cifar11"], "did you mean 'cifar10'?"),
    (["--executor", "rya"], "did you mean 'ray'?"),
    (["--evaluate-on", "tset"], "did you mean 'test'?"),
    (["--precision", "float16"], "unknown precision 'float16'"),
    # Numbers out of bounds.
    *(
        ([option, "0"], f"{option} is 0; it must be 1 or more.")
        for option in (
            "--seeds",
            "--epochs",
            "--batch-size",
            "--cpus-per-trial",
            "--threshold-every",
            "--evaluate-every",
        )
    ),
    (["--seeds", "-3"], "--seeds is -3; it must be 1 or more."),
    (["--train-examples", "0"], "--train-examples is 0; it must be 1 or more."),
    (["--seeds", "100000", "--dry-run"], "--seeds is 100000; it must be 10,000 or less."),
    (["--seeds", "9" * 30], "--seeds is 999999... of 30 digits; it must be 10,000 or less."),
    (["--epochs", "9" * 25], "--epochs is 999999... of 25 digits; it must be 100,000 or less."),
    (["--epochs", "9" * 4000], "--epochs is 999999... of 4000 digits"),
    (["--seeds", "10000"], "10,000 seeds of 10 variants are 100,000 trials, and a study has 50,000 at most"),
    (["--tune", "100000000"], "--tune is 100000000; it must be 100 or less."),
    (["--tune", "-1"], "--tune is -1; it must be 0 or more."),
    (["--batch-size", "9" * 20], "--batch-size is"),
    (["--train-examples", "9" * 20], "--train-examples is"),
    (["--image-size", "0"], "--image-size is 0; it must be 8 or more."),
    (["--image-size", "100000"], "--image-size is 100000; it must be 2,048 or less."),
    (["--base-size", "1000000"], "--base-size is 1000000; it must be 4,096 or less."),
    (["--base-size", "-1"], "--base-size is -1"),
    (["--learning-rate", "0"], "--learning-rate is 0; it must be 1e-09 or more."),
    (["--learning-rate", "-0.1"], "--learning-rate is -0.1; it must be 1e-09 or more."),
    (["--learning-rate", "nan"], "--learning-rate is nan; it must be a finite number."),
    (["--learning-rate", "1e9"], "--learning-rate is 1e+09; it must be 100 or less."),
    (["--cpus-per-trial", "9" * 12], "--cpus-per-trial is"),
    (["--evaluate-every", "9" * 12], "--evaluate-every is"),
    (["--threshold-every", "9" * 12], "--threshold-every is"),
    (["--read-window", "-1"], "--read-window is -1; it must be 0 or more."),
    (["--read-window", "9" * 30], "--read-window is"),
    (["--memory-budget", "nan"], "--memory-budget is nan; it must be a finite number."),
    (["--memory-budget", "inf"], "--memory-budget is inf; it must be a finite number."),
    (["--memory-budget", "-1"], "--memory-budget is -1; it must be 0 GiB or more."),
    (["--memory-budget", "1e9"], "--memory-budget is 1e+09; it must be 1,000,000 GiB or less."),
    (["--gpus-per-trial", "nan"], "--gpus-per-trial is nan"),
    (["--gpus-per-trial", "-inf"], "--gpus-per-trial is -inf"),
    (["--gpus-per-trial", "-0.5"], "--gpus-per-trial is -0.5; it must be 0 or more."),
    (["--threshold", "nan"], "--threshold is nan"),
    (["--threshold", "100"], "--threshold is 100"),
    (["--threshold", "-1"], "--threshold is -1"),
    (["--pack", "0"], "--pack is '0'"),
    (["--pack", "some"], "--pack is 'some'"),
    (["--pack", "9" * 5000], "--pack is '999"),
    (["--pack", "2000"], "--pack is 2000; it must be 1,024 or less."),
    (["--resolution", "7", "--grid", "fractional"], "--resolution is 7; it is 4, 5 or 6."),
    (["--looks", "1" * 5000, "--sequential"], "--looks is '111"),
    (["--looks", "2,1,10", "--sequential"], "--looks is '2,1,10'"),
    (["--looks", "2,b", "--sequential"], "--looks is '2,b'"),
    # Times.
    (["--budget", "9" * 400 + "h"], "--budget is '999"),
    (["--budget", "9" * 400], "--budget is '999"),
    (["--budget", "0s"], "--budget is '0s'"),
    (["--budget", "-1h"], "--budget is '-1h'"),
    (["--budget", "1y"], "--budget is '1y'"),
    (["--budget", "99999h"], "--budget is '99999h'; it must be a year, 8784h, or less."),
    # What cannot be had together.
    (["--budget", "1h", "--tune", "3"], "give one of the two"),
    (["--looks", "2,4"], "give both"),
    (["--mlflow-system-metrics", "--no-mlflow"], "--no-mlflow leaves out; give one of the two"),
    (["--stop-at-threshold"], "--stop-at-threshold needs a --threshold"),
    (["--sequential", "--seeds", "3"], "--sequential needs 4 seeds or more, not 3."),
    (["--resolution", "5"], "needs --grid fractional"),
    (["--grid", "reference", "--components", "lrn"], "--grid reference trains no departure"),
    (["--grid", "full", "--components", "lrn=all"], "one level a component"),
    (
        [
            "--grid",
            "full",
            "--components",
            "activation,lrn,pooling,dropout,pca_jitter,grouping,depth,width,schedule,"
            "weight_decay,crop_flip,batch_norm,optimizer",
        ],
        "8,192 variants of 13 components",
    ),
    (["--image-size", "1"], "--image-size is 1; it must be 8 or more."),
    (["--image-size", "8", "--preset", "paper"], "image size 8 is too small"),
    (["--image-size", "40", "--base-size", "31"], "crops of 40 pixels"),
    # Names of studies.
    (["--name", "../up"], "--name is '../up'"),
    (["--name", ".."], "--name is '..'"),
    (["--name", "."], "--name is '.'"),
    (["--name", "a/b"], "it holds no /"),
    (["--name", "/tmp/a"], "it holds no /"),
    (["--name", "a\\b"], "--name is"),
    (["--name", " "], "--name is ' '"),
    (["--name", ".hidden"], "--name is '.hidden'"),
    (["--name=-dash"], "--name is '-dash'"),
    (["--name", "dot."], "--name is 'dot.'"),
    (["--name", "n" * 300], "it takes 300 bytes"),
    (["--name", "é" * 128], "it takes 256 bytes"),
    (["--name", "con"], "Windows"),
    (["--name", "LPT1.txt"], "Windows"),
    (["--name", "mlflow"], "MLflow"),
    (["--name", "mlflow.db"], "MLflow"),
    (["--name", "what?"], "it holds no ?"),
    (["--name", "a\u202eb"], "--name is 'a\\u202eb'"),
    (["--name", "a\u200bb"], "--name is 'a\\u200bb'"),
    (["--name", "\udcff"], "--name is '\\udcff'"),
    *(
        ([option, f"{prefix}{ESC}"], f"{option} is '{prefix}\\x1b[31mred'; leave out the control character '\\x1b'.")
        for option, prefix in (
            ("--name", ""),
            ("--dataset", "folder:"),
            ("--components", ""),
            ("--results", ""),
            ("--mlflow-uri", ""),
        )
    ),
    (["--results", "a\nb"], "--results is 'a\\nb'"),
    (["--results", "a\0b"], "--results is 'a\\x00b'"),
    # Places.
    (["--results", LONG], "folder 'xxx"),
    (["--results", "/".join(["deep"] * 900)], "cannot be written: File name too long."),
    (["--results", "a.file"], "folder 'a.file' cannot be written: Not a directory."),
    (["--results", "a.file/below"], "Not a directory"),
    (["--reports", "a.file"], "folder 'a.file' cannot be written: Not a directory."),
    (["--reports", LONG], "cannot be written: File name too long."),
    (["--name", "taken", "--results", "studies"], "Not a directory"),
    (["--name", "folded", "--results", "studies"], "study.json cannot be read"),
    (["--data-root", "nowhere"], "--data-root 'nowhere' does not exist"),
    (["--data-root", "nowhere", "--dataset", "cifar10", "--dry-run"], "--data-root 'nowhere' does not exist"),
    (["--data-root", "a.file"], "--data-root 'a.file' is no folder"),
    (["--data-root", LONG], "--data-root 'xxx"),
    *(
        ([option, f"{scheme}://bucket/x", *more], f"{option} is '{scheme}://bucket/x', an address, and must be")
        for option in ("--results", "--reports", "--data-root")
        for scheme, more in (("s3", []), ("gs", ["--dry-run"]), ("hdfs", ["--executor", "serial"]), ("file", []))
    ),
    (["--results", "S3:/bucket"], "--results is 'S3://bucket', an address"),
    (["--claims", "nowhere.toml"], "--claims 'nowhere.toml' does not exist"),
    (["--claims", "studies"], "--claims 'studies' is no file"),
    (["--claims", "/dev/zero"], "--claims '/dev/zero' is no file"),
    (["--claims", LONG], "--claims 'xxx"),
    (["--dataset", "folder:nowhere"], "nowhere does not exist"),
    (["--dataset", "folder:a.file"], "a.file is a file"),
    (["--dataset", f"folder:{LONG}"], "does not exist"),
    (["--dataset", "folder:studies"], "studies has no train/ in it"),
    (["--dataset", "folder:one"], "has only one class, cats"),
    (["--dataset", "folder:odd"], "a class called 'do\\x1bgs'"),
    (["--dataset", "imagenet"], "give --data-root"),
    # Clusters.
    (["--ray-address", "localhost"], "--ray-address is 'localhost'"),
    (["--ray-address", LONG], "--ray-address is 'xxx"),
    (["--ray-address", "host:" + "9" * 5000], "--ray-address is 'host:999"),
    (["--ray-address", "host:65536"], "--ray-address is 'host:65536'"),
]

# fmt: on

# The text of a claims file, and what the sentence must name.
CLAIMS: list[tuple[str, str]] = [
    ("", "it holds no [[claim]]"),
    ("claim = 3", "it holds no [[claim]]"),
    ("claim = [1]", "it holds no [[claim]]"),
    ("[claim]\nname = 'x'", "it holds no [[claim]]"),
    ("x = ", "is no TOML"),
    ("x = " + "[" * 5000, "is no TOML"),
    ("x = " + "9" * 5000, "is no TOML"),
    ("\0", "is no TOML"),
    ("source = 3\n[[claim]]\nname = 'x'", "source is 3; it must be text."),
    ("conditions = 3\n[[claim]]\nname = 'x'", "conditions is 3"),
    ("[conditions]\na = 3\n[[claim]]\nname = 'x'", "conditions is"),
    ("[conditions.a]\nepochs = 'x'\n[[claim]]\nname = 'x'", "epochs of conditions.a is 'x'"),
    ("[conditions.a]\nepochs = -1\n[[claim]]\nname = 'x'", "epochs of conditions.a is -1"),
    ("[conditions.a]\nmoon = 1\n[[claim]]\nname = 'x'", "unknown key of conditions.a 'moon'"),
    ("[[claim]]\n", "a claim has no name"),
    ("[[claim]]\nname = ' '", "a claim has no name"),
    ("[[claim]]\nname = ['x']", "a claim has no name"),
]


def text_of(**changes: str) -> str:
    """A claims file with one claim, right but for `changes`, each in the words of TOML; without what is empty."""
    lines = [f"{key} = {value}" for key, value in {**CLAIM, **changes}.items() if value]
    return "\n".join(["[[claim]]", *lines])


FIELDS: list[tuple[dict[str, str], str]] = [
    ({"component": ""}, "component is missing"),
    ({"component": "3"}, "component is 3; it must be text."),
    ({"component": '"lnr"'}, "unknown component 'lnr'; did you mean 'lrn'?"),
    ({"level": "[]"}, "level is []"),
    ({"level": '"of"'}, "unknown level of lrn 'of'"),
    ({"metric": '"los"'}, "unknown metric 'los'"),
    ({"direction": '"up"'}, "unknown direction 'up'"),
    ({"direction": "1"}, "direction is 1"),
    ({"smallest_effect": '"1"'}, "smallest_effect is '1'; it must be a number."),
    ({"smallest_effect": "0"}, "smallest_effect is 0; it must be above 0."),
    ({"smallest_effect": "-1.5"}, "smallest_effect is -1.5"),
    ({"smallest_effect": "nan"}, "smallest_effect is nan; it must be a finite number"),
    ({"smallest_effect": "inf"}, "smallest_effect is inf; it must be a finite number"),
    ({"smallest_effect": "true"}, "smallest_effect is True"),
    ({"smallest_effect": "9" * 400}, "smallest_effect is 999"),
    ({"published_effect": "nan"}, "published_effect is nan"),
    ({"published_effect": "-inf"}, "published_effect is -inf"),
    ({"published_effect": "1979-05-27"}, "published_effect is datetime.date(1979, 5, 27)"),
    ({"epoch": "0"}, "epoch is 0; the first is 1."),
    ({"epoch": "1.0"}, "epoch is 1.0"),
    ({"epoch": "true"}, "epoch is True"),
    ({"epoch": "99"}, "claim 'mine' is read after epoch 99, and the study ends after 10"),
    ({"epoch": "9" * 30}, "epoch is 999"),
    ({"tuned": "1"}, "tuned is 1; it must be true or false."),
    ({"against": '"lrn=off"'}, "against is 'lrn=off', which is the claim's own change"),
    ({"against": '"lrn"'}, "unknown level of lrn ''"),
    ({"against": '"moon=off"'}, "unknown component 'moon'"),
    ({"also": '"raises"'}, "unknown metric of also ''"),
    ({"standing": '"gossip"'}, "unknown standing 'gossip'"),
    ({"conditions": '"moon"'}, "unknown conditions 'moon'"),
    ({"family": '"mine"'}, "unknown key 'family'"),
    ({"moon": "1"}, "unknown key 'moon'"),
    ({"name": '"lrn_cifar"'}, "the name 'lrn_cifar' is taken by a published claim"),
    ({"name": '"\\u001b[31m"'}, "control character '\\x1b'"),
    ({"statement": '"\\u001b[31m"'}, "statement is '\\x1b[31m'; leave out the control character"),
    ({"source": '"\\u202e"'}, "source is '\\u202e'"),
]

Command = Callable[[list[str]], int]
OTHERS: list[tuple[Command, list[str], str]] = [
    (report.main, [], "an argument is missing"),
    (report.main, [""], "an argument has an empty value"),
    (report.main, ["moon"], "unknown study 'moon'"),
    (report.main, [LONG], "unknown study 'xxx"),
    (report.main, [ESC], "control character '\\x1b'"),
    (report.main, ["moon", "--results", "nowhere"], "there is no study in 'nowhere'"),
    (report.main, ["moon", "--results", "a.file"], "there is no study in 'a.file'"),
    (report.main, ["folded", "--results", "studies"], "folded"),
    (report.main, ["broken", "--results", "studies"], "study.json cannot be read"),
    (report.main, ["broken", "moon", "--results", "studies"], "unknown study 'moon'"),
    (report.main, ["broken", "broken", "--results", "studies", "--format", "csv"], "leave --format out"),
    (report.main, ["broken", "--results", "studies", "--format", "pdf"], "unknown format 'pdf'"),
    (report.main, ["broken", "--resluts", "studies"], "did you mean '--results'?"),
    (report.main, ["a", "b", "c"], "'c'"),
    (sync.main, ["moon"], "unknown study 'moon'"),
    (sync.main, [], "there is no study in 'results'"),
    (sync.main, [""], "an argument has an empty value"),
    (sync.main, ["broken", "--results", "studies"], "study.json cannot be read"),
    (sync.main, ["--mlflow-uir", "x"], "did you mean '--mlflow-uri'?"),
    (sync.main, ["--mlflow-uri", ""], "--mlflow-uri has an empty value"),
    *(
        (command, ["broken", option, "s3://bucket/x"], f"{option} is 's3://bucket/x', an address, and must be a folder")
        for command in (report.main, sync.main)
        for option in ("--results", "--reports")
    ),
    (calibrate.main, ["moon"], "unknown kind of made-up study 'moon'"),
    (calibrate.main, ["--studies", "0"], "--studies is '0'; it must be 1 to 1,000,000."),
    (calibrate.main, ["--seeds=1"], "--seeds is '1'; it must be 2 to 10,000."),
    (calibrate.main, ["splits", "--studies", "9" * 30], "--studies is '999"),
    (run.main, ["loop.py"], "loop.py': the link leads to itself; mend or remove it."),
    (run.main, ["none.py"], "there is no study file"),
    (check.main, ["a.file"], "'a.file' is no study file; the name of one ends in .py or .toml."),
    (explain.main, ["studies"], "unknown study 'studies'"),
    (new.main, ["a.file"], "'a.file' cannot be a study file"),
    (new.main, ["nowhere/x.py"], "there is no folder 'nowhere'"),
    (show.main, ["moon"], "unknown topic 'moon'"),
    (show.main, [ESC], "'\\x1b[31mred'"),
    (show.main, ["components", "lnr"], "unknown component 'lnr'; did you mean 'lrn'?"),
    (show.main, ["claims", ""], "unknown claim ''"),
    (show.main, ["presets", LONG], "unknown preset 'xxx"),
    (show.main, ["grids", "\udcff"], "'\\udcff'"),
]


@pytest.fixture
def here(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that commands run in: a file, odd data sets, and folders that are no whole studies."""
    monkeypatch.setenv("ABLATIONS_CACHE", str(cache))
    monkeypatch.setattr(run, "run", lambda config, plan: pytest.fail("a study has begun"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.file").write_text("")
    (tmp_path / "loop.py").symlink_to("loop.py")
    for root, names in (("one", ["cats"]), ("odd", ["cats", "do\x1bgs"])):
        for split in ("train", "test"):
            for name in names:
                folder = tmp_path / root / split / name
                folder.mkdir(parents=True)
                Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / "0.png")
    (tmp_path / "studies" / "folded" / "study.json").mkdir(parents=True)
    (tmp_path / "studies" / "taken").write_text("")
    (tmp_path / "studies" / "broken").mkdir()
    (tmp_path / "studies" / "broken" / "study.json").write_text('{"schema": 1}')
    return tmp_path


def refused(command: Command, words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The sentence that `command` ends with, having left nothing in the folder that it runs in."""
    before = sorted(Path.cwd().rglob("*"))
    assert command(list(words)) == 2
    assert sorted(Path.cwd().rglob("*")) == before
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("error: ") and line.isprintable() and len(line) < 1500
    return line


def named(words: object) -> str:
    """The words of a case, as its name."""
    return ascii(words)[:60]


@pytest.mark.parametrize(("words", "offender"), OPTIONS, ids=[named(words) for words, _ in OPTIONS])
@pytest.mark.usefixtures("here")
def test_a_study_that_cannot_be_asked_for_so_costs_one_sentence(
    words: list[str], offender: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert offender in refused(run.main, words, capsys)


@pytest.mark.usefixtures("here")
def test_the_machines_load_cannot_be_shown_without_psutil(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ablations.cli.options.find_spec", lambda name: None)
    assert "needs psutil, which is not installed" in refused(run.main, ["--mlflow-system-metrics"], capsys)


@pytest.mark.parametrize(
    ("text", "offender"),
    [*CLAIMS, *((text_of(**changes), offender) for changes, offender in FIELDS)],
    ids=[*(named(text) for text, _ in CLAIMS), *(named(changes) for changes, _ in FIELDS)],
)
def test_a_claims_file_that_says_nonsense_costs_one_sentence(
    text: str, offender: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "claims.toml").write_text(text)
    line = refused(run.main, ["--claims", "claims.toml"], capsys)
    assert offender in line
    assert "claims.toml" in line or "--epochs" in line


@pytest.mark.parametrize(
    ("command", "words", "offender"), OTHERS, ids=[f"{one[0].__module__} {named(one[1])}" for one in OTHERS]
)
@pytest.mark.usefixtures("here")
def test_the_other_commands_cost_one_sentence_too(
    command: Command, words: list[str], offender: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert offender in refused(command, words, capsys)


@pytest.mark.parametrize(
    "words",
    [
        ["--sedes", "3"],
        ["--seeds", "9" * 30],
        ["--budget", "9" * 400],
        ["--grid", ""],
        ["--name", "../up"],
        ["--claims", "/dev/zero"],
        ["--data-root", "nowhere"],
    ],
    ids=named,
)
def test_what_the_words_alone_can_tell_is_told_without_torch_or_ray(words: list[str], here: Path) -> None:
    code = (
        f"import sys; from ablations.run import main; code = main({words!r})\n"
        "print(code, [name for name in ('torch', 'ray', 'mlflow', 'pandas', 'numpy', 'PIL') if name in sys.modules])"
    )
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=here,
        env={**os.environ, "PYTHONPATH": path},
        timeout=60,  # a command that hangs fails
    )
    assert done.stdout == "2 []\n"
    assert len(done.stderr.splitlines()) == 1
