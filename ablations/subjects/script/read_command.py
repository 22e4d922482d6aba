"""Reads and checks the command of a TOML file: its words, its placeholders, its style, and how it gets the seed."""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ablations.core.errors import InputError, nearest, shown, unknown
from ablations.subjects.script.command import (
    ARGS,
    CHANGES,
    DATA,
    OURS,
    PLACES,
    STYLES,
    Command,
    Style,
    filled,
    interpreter_flags,
    leaves,
    placeholders,
    runs_python,
)

VARIABLE = re.compile(r"[A-Za-z_]\w*")


def command_in(record: Mapping[str, Any], values: Mapping[str, Any], here: Path) -> Command:
    """Returns the command of a file in the folder `here`.  Raises InputError on the first mistake in it."""
    words = _words(record.get("command"))
    cwd = record.get("cwd", "{here}")
    if not isinstance(cwd, str) or not cwd:
        raise InputError(f"cwd is {shown(cwd)}; it is the path of a folder, such as '{{folder}}'.")
    names = [name for name, _ in leaves(values)]
    _check_places("the command", words, [*PLACES, *([DATA] if DATA in record else []), *names])
    _check_places("cwd", (cwd,), ("folder", "here"))
    command = Command(words=words, cwd=cwd, style=_style(record.get("style", "argparse")), **_seed(record, words))
    _check_changes(command, values, names)
    _check_program(command, here)
    return command


def _words(command: Any) -> tuple[str, ...]:
    if command is None:
        raise InputError("it has no command: write command = 'python train.py --seed {seed} {changes}'.")
    if isinstance(command, list) and command and all(isinstance(word, str) and word for word in command):
        return tuple(command)
    if not isinstance(command, str) or not command.strip():
        raise InputError(f"command is {shown(command)}; it is the words of a command, as text or as a list.")
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise InputError(f"command cannot be split into words: {error}.") from None


def _check_places(where: str, words: tuple[str, ...], allowed: Any) -> None:
    for name in placeholders(*words):
        if name not in allowed:
            raise InputError(
                f"{where} has the placeholder {{{name}}}{nearest(name, allowed)} it can have "
                f"{', '.join(f'{{{one}}}' for one in allowed)}."
            )


def _style(given: Any) -> Style:
    if isinstance(given, str):
        if given not in STYLES:
            raise unknown("style", given, STYLES)
        return STYLES[given]
    if not isinstance(given, dict):
        raise InputError(f"style is {shown(given)}; it is one of {', '.join(STYLES)}, or a table.")
    known = [one.name for one in dataclasses.fields(Style)]
    for key, value in given.items():
        if key not in known:
            raise unknown("key of style", key, known)
        if not isinstance(value, str):
            raise InputError(f"{key} of style is {shown(value)}; it is words with {{name}} and {{value}}.")
        _check_places(f"{key} of style", (value,), ("name", "value"))
    return dataclasses.replace(STYLES["argparse"], **given)


def _seed(record: Mapping[str, Any], words: tuple[str, ...]) -> dict[str, Any]:
    """Returns the fields of a Command that say how the script gets the seed."""
    given = record.get("seed", {})
    inside = "seed" in placeholders(*words)
    if not given and not inside:
        raise InputError(
            "the seed goes nowhere: write {seed} into the command, or seed = { env = 'SEED' }, or "
            "seed = { reseed = true } for a Python script that seeds itself with a constant."
        )
    if not given:
        return {"env": "", "reseed": False}
    if not isinstance(given, dict) or len(given) != 1:
        raise InputError(f"seed is {shown(given)}; it is {{ env = 'SEED' }} or {{ reseed = true }}, or left out.")
    ((key, value),) = given.items()
    if key not in ("env", "reseed"):
        raise unknown("key of seed", key, ("env", "reseed"))
    if key == "env":
        if not isinstance(value, str) or not VARIABLE.fullmatch(value):
            raise InputError(f"env of seed is {shown(value)}; it is the name of a variable.")
        return {"env": value, "reseed": False}
    if value is not True:
        raise InputError(f"reseed of seed is {shown(value)}; it is true, or seed is left out.")
    if not runs_python(words):
        raise InputError(
            f"reseed works within a Python script alone, and the command runs {shown(' '.join(words[:2]))}: "
            "it starts with python SCRIPT.py or python -m MODULE."
        )
    return {"env": "", "reseed": True}


def _check_changes(command: Command, values: Mapping[str, Any], names: list[str]) -> None:
    """Raises InputError if a change of a variant would not get into the command."""
    if any("{changes}" in word and word != CHANGES for word in command.words):
        raise InputError("{changes} is a part of a word of the command: it stands for several, so it is one by itself.")
    free = [name for name in names if name not in command.placed]
    if CHANGES not in command.words and (free or any(name.startswith(ARGS) for name in values)):
        what = f"{free[0]} of [reference] would not get to the script" if free else "args would not get to the script"
        raise InputError(f"the command has no {{changes}}, so {what}: write {{changes}} where options belong.")


def _check_program(command: Command, here: Path) -> None:
    """Raises InputError if the program or the Python script does not exist."""
    first = filled(command.words[0], {"here": str(here)}) if "{here}" in command.words[0] else command.words[0]
    if "{" in first:
        raise InputError(f"the command starts with {shown(first)}; it starts with a program.")
    at_here = here / first if "/" in first else None
    if first not in OURS and not shutil.which(first) and not (at_here and at_here.is_file()):
        raise InputError(f"the command starts with {shown(first)}, and there is no such program.")
    script = script_of(command, here)
    if script and not script.is_file():
        if "{folder}" in command.cwd and (here / script.name).is_file():
            raise InputError(
                f"the command runs in {command.cwd}, where {script.name} is not: write {{here}}/{script.name}."
            )
        raise InputError(f"the command runs {shown(script.name)}, and there is no {shown(str(script))}.")


def script_of(command: Command, here: Path) -> Path | None:
    """Returns the path of the Python script that a command runs; None if it runs anything else."""
    if not runs_python(command.words):
        return None
    word = command.words[1 + interpreter_flags(command.words)]
    if word == "-m" or {*placeholders(word)} - {"here"}:
        return None
    cwd = Path(filled(command.cwd, {"here": str(here), "folder": "{folder}"}))
    return here / cwd / filled(word, {"here": str(here)})
