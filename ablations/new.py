"""python -m ablations.new study.py, or study.toml SCRIPT [ARGS]: writes a start of a study file.

It never overwrites a file.  For a script, the options that its `--help` names are added as comments.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ablations.cli.help_page import SHOWN, show, written
from ablations.core.errors import InputError, answered, printable, shown
from ablations.core.load import load

PATIENCE = 60.0  # seconds that a script has to answer --help
SKIPPED = {"help", "version", "seed"}  # options that no study changes
TAKEN = {"folder", "here", "threads", "changes", "args"}  # names that mean something else in a command
OPTION = re.compile(r"(?<![\w-])--(?:\[no-\])?([A-Za-z][\w.-]*)")
DEFAULT = re.compile(r"default(?:s to)?[:=]?\s+([^\s)\],;]+)", re.IGNORECASE)

PYTHON = '''"""What is asked: this paragraph is the title of the report."""

from dataclasses import dataclass

from ablations.subject import Every, Metric, Subject


@dataclass(frozen=True)
class Config:
    """Everything that a trial may be told; plain values."""

    scale: bool = True
    hidden: int = 64
    alpha: float = 1e-4
    steps: int = 30


subject = Subject(
    reference=Config(),
    components={"scale": False, "hidden": [16, 256], "alpha": 0.0},  # what is changed, one at a time
    metrics={"accuracy": Metric("higher", unit="points", chance=10.0)},  # the first is the main one
    claims=Every(hurts="accuracy", by=0.5),  # each part earns its place: without it the accuracy falls by that much
    sabotage={"steps": 1},  # must do harm: shows that the study could have seen it
    budget="steps",  # how long a trial is
)


@subject.trial
def train(config, seed):
    """One trial: your own training takes the place of this one."""
    import warnings

    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore")  # thirty steps are not enough to converge, and that is known
    pixels, digits = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(pixels / 16 if config.scale else pixels, digits, random_state=0)
    model = MLPClassifier(config.hidden, alpha=config.alpha, max_iter=config.steps, random_state=seed).fit(x, y)
    return {"accuracy": 100 * model.score(x_test, y_test), "loss": model.loss_}
'''

TOML = """# python -m ablations.check {name}
# python -m ablations.run {name} --seeds 10
title = "What is asked: this is the title of the report"
command = {command}
{seed}style = "{style}"  # how options are written: argparse, tyro, hydra, equals, or a table
# cwd = "{{folder}}"  # a folder for each trial, for a script that writes where it runs
# timeout = "20m"

# [budget]  # how long a trial is, a whole number, and {{steps}} in the command
# steps = 1000

[reference]  # written out in every command
{reference}

[components]  # what is changed, one at a time
{components}

# [sabotage]  # must do harm: shows that the study could have seen it; left out, it is a tenth of the budget
# learning-rate = 0.0

[metrics.loss]  # the first is the main one
better = "lower"  # or "higher"
# from = "test/loss"  # the name under which the script gives it
# unit = "nats"
# smallest_effect = 0.02  # that would matter, for claims

# [read]  # without it, the last line of standard output is a JSON object such as {{"loss": 0.5}}
# stdout = 'loss (?P<loss>\\S+)'  # or json, jsonl, csv or tensorboard = a path, or mlflow = true
# take = "mean of last 20"  # or "last"

# [[claim]]
# change = "{first}"
# hurts = "loss"
# by = 0.02
{options}"""


USAGE = "python -m ablations.new STUDY_FILE [SCRIPT ARGS ...]"
SUMMARY = "Writes a start of a study file, and never overwrites one."
ARGUMENTS = (
    ("STUDY_FILE", "study.py, with a small study that runs, or study.toml, for a script that is not changed"),
    ("SCRIPT ARGS ...", "with study.toml: the script and how it is called; its --help tells which options it has"),
)
EXAMPLES = (
    ("python -m ablations.new study.py", "a study in Python, to be edited"),
    ("python -m ablations.new study.toml train.py --steps 30", "a study of a script of your own"),
)


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option that a script's --help names."""

    name: str
    default: str  # the default as --help writes it; "" if it does not


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes a study file.  Returns the exit code: 0 written, 2 bad input."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return answered(lambda: _new(words), stopped="stopped; nothing was written")


def _new(words: list[str]) -> int:
    if words[:1] in (["-h"], ["--help"]):
        show(written(USAGE, SUMMARY, {"arguments": ARGUMENTS, "options": SHOWN}, EXAMPLES))
        return 0
    if not words:
        raise InputError(f"which file? {USAGE}.")
    path, command = Path(words[0]), words[1:]
    if path.suffix not in (".py", ".toml"):
        raise InputError(f"{shown(str(path))} cannot be a study file: the name of one ends in .py or .toml.")
    if path.suffix == ".py" and command:
        raise InputError(f"{shown(command[0])} is one word too many: study.py takes no script; study.toml does.")
    if path.suffix == ".toml" and not command:
        raise InputError(f"which script? python -m ablations.new {path} SCRIPT [ARGS].")
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {shown(str(path.parent))}.")
    text = PYTHON if path.suffix == ".py" else _toml(path, command)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(f"{shown(str(path))} is there already: choose another name.") from None
    try:
        load(str(path.resolve()))
    except InputError:
        path.unlink()
        raise
    print(f"wrote {path}: edit it, then python -m ablations.check {path}")
    return 0


def _toml(path: Path, command: list[str]) -> str:
    """Returns the text of a study file for a script.  Raises InputError if the script cannot be started."""
    if path.exists():
        raise InputError(f"{shown(str(path))} is there already: choose another name.")
    words = ["python", *command] if command[0].endswith(".py") else command
    if words[0] == "python" and not Path(words[1]).is_file():
        raise InputError(f"there is no script {shown(words[1])}.")
    said = _help(words[:2] if words[0] == "python" else words[:1])
    options = options_in(said)
    if words[0] == "python":
        script = os.path.relpath(words[1], path.parent)
        words = ["python", script if not script.startswith("..") else str(Path(words[1]).resolve()), *words[2:]]
    return _written(path, words, options, said)


def _help(words: list[str]) -> str:
    """Returns what a script prints on --help.  After `PATIENCE` seconds it is killed, with the processes it started."""
    argv = [sys.executable if words[0] == "python" else words[0], *words[1:], "--help"]
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as error:
        raise InputError(f"{shown(argv[0])} cannot be started: {error.strerror}.") from None
    try:
        said, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
    return printable(said.decode("utf-8", "replace"))


def options_in(said: str) -> list[Option]:
    """Returns the options that a help text names, each with its default if that is written beside it."""
    found: dict[str, str] = {}
    matches = list(OPTION.finditer(said))
    usage = {match[1] for match in matches}
    for match, after in zip(matches, [*matches[1:], None], strict=False):
        name = match[1].rstrip(".-")
        if name in SKIPPED or (name.startswith("no-") and name.removeprefix("no-") in usage):
            continue
        default = DEFAULT.search(said[match.end() : after.start() if after else len(said)])
        found[name] = found.get(name) or (default[1] if default else "")
    return [Option(name=name, default=default) for name, default in found.items()]


def _written(path: Path, words: list[str], options: Sequence[Option], said: str) -> str:
    seeded = any(match[1] == "seed" for match in OPTION.finditer(said))
    given = {word.partition("=")[0].removeprefix("--") for word in words}
    is_python = words[0] == "python"
    seed = ["--seed", "{seed}"] if seeded and "seed" not in given else []
    how = "" if seeded else "seed = { reseed = true }  # the script has no --seed: its constant becomes one\n"
    if not seeded and not is_python:
        how = 'seed = { env = "ABLATIONS_SEED" }  # the variable from which the script takes its seed\n'
    known = {one.name: _value(one.default) for one in options if one.name not in {*given, *TAKEN}}
    usable = {name: value for name, value in known.items() if value is not None and not isinstance(value, str)}
    name, value = next(iter(usable.items()), ("name-of-an-option", 1))
    other = (not value) if isinstance(value, bool) else 0 if value else 1
    negated = any(f"--no-{one.name}" in said or f"--[no-]{one.name}" in said for one in options)
    listed = [f"# {one.name}{f' = {one.default}' if one.default else ''}" for one in options]
    head = "\n# Options that its --help names, with their defaults:" if listed else "\n# Its --help names no options."
    return TOML.format(
        name=path.name,
        command=json.dumps(" ".join([shlex.join(map(_literal, words)), *seed, "{changes}"]), ensure_ascii=False),
        seed=how,
        style="tyro" if negated else "argparse",
        reference=f"{name} = {_toml_value(value)}",
        components=f"{name} = {_toml_value(other)}",
        first=name,
        options="\n".join([head, *listed, ""]),
    )


def _literal(word: str) -> str:
    """Returns a word as a command writes it, with what looks like a placeholder escaped."""
    return re.sub(r"\{([\w.-]+)\}", r"{{\1}}", word)


def _value(text: str) -> bool | int | float | str | None:
    """Returns a default as a value; None if there is none."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text.strip("'\""))
        except ValueError:
            continue
    return text or None


def _toml_value(value: bool | int | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    sys.exit(main())
