"""The command of a trial: its words, with the changes of a variant as the script's options.  No shell reads it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = "data"  # the placeholder for a trial's data set: its path, or its name if it has none
CHANGES = "{changes}"
PLACES = ("seed", "folder", "here", "threads", "changes")  # placeholders that are not fields of the configuration
ARGS = "args:"  # prefix of fields that hold words which a level adds to the command as they are
PLACE = re.compile(r"\{\{([\w.-]+)\}\}|\{([\w.-]+)\}")  # {{word}} stands for {word}, which is no placeholder
INTERPRETER = re.compile(r"(python|pypy)[\d.]*(\.exe)?")
OURS = ("python", "python3")  # words that mean the interpreter that runs the study


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a field is written as options: templates of words with {name} and {value}.

    A template without words leaves the field out.
    """

    value: str  # for numbers and texts
    on: str  # for true
    off: str  # for false
    none: str  # for the text "none"

    def words(self, name: str, value: Any) -> list[str]:
        """Returns the words for a field with this value."""
        template = {True: self.on, False: self.off}[value] if isinstance(value, bool) else self.value
        template = self.none if value == "none" else template
        found: list[str] = []
        for word in template.split():
            if word == "{value}" and isinstance(value, list):
                found += map(written, value)
            else:
                found.append(word.replace("{name}", name).replace("{value}", written(value)))
        return found


STYLES = {
    "argparse": Style(value="--{name} {value}", on="--{name}", off="", none=""),
    "tyro": Style(value="--{name} {value}", on="--{name}", off="--no-{name}", none="--{name} None"),
    "hydra": Style(value="{name}={value}", on="{name}=true", off="{name}=false", none="{name}=null"),
    "equals": Style(value="--{name}={value}", on="--{name}=True", off="--{name}=False", none="--{name}=None"),
}


@dataclass(frozen=True, kw_only=True)
class Command:
    """The command of a trial, with placeholders in its words."""

    words: tuple[str, ...]
    cwd: str  # its working directory, with placeholders
    style: Style
    env: str  # the variable that holds the seed; empty: none does
    reseed: bool  # whether it is started by `ablations.reseed`, which replaces the script's constant seeds

    @property
    def placed(self) -> list[str]:
        """The placeholders in its words, in their order."""
        return placeholders(*self.words)

    def argv(self, values: Mapping[str, Any], given: Mapping[str, str]) -> list[str]:
        """Returns the words for a configuration with the fields `values`.

        `given` has the texts of the other placeholders, such as the seed and the folder.
        """
        texts = {**{name: written(value) for name, value in leaves(values)}, **given}
        found: list[str] = []
        for word in self.words:
            found += self._changes(values, texts) if word == CHANGES else [filled(word, texts)]
        if not self.reseed:
            return [sys.executable if found[0] in OURS else found[0], *found[1:]]
        flags = interpreter_flags(found)
        start = [sys.executable if found[0] in OURS else found[0], *found[1 : 1 + flags]]
        return [*start, "-m", "ablations.reseed", *found[1 + flags :]]

    def _changes(self, values: Mapping[str, Any], texts: Mapping[str, str]) -> Iterator[str]:
        """Yields the words for {changes}: for every field without a placeholder of its own, as the style writes it."""
        named = {name for name, _ in leaves(values)}
        placed = {*self.placed}
        for name, value in leaves(values):
            if args := values.get(args_of(name)):
                yield from (filled(word, texts) for word in args)
            elif name not in placed:
                yield from self.style.words(name, value)
        for name, value in values.items():
            if name.startswith(ARGS) and name.removeprefix(ARGS).replace("/", ".") not in named:
                yield from (filled(word, texts) for word in value)


def args_of(name: str) -> str:
    """Returns the name of the field that holds the words which a level of this component adds as they are."""
    return ARGS + name.replace(".", "/")


def leaves(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the fields that hold a value, nested ones as `optimizer.lr`, without those that hold words."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}{name}.")
        elif not name.startswith(ARGS):
            yield f"{path}{name}", value


def written(value: Any) -> str:
    """Returns a value as a word of a command."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{','.join(map(written, value))}]" if isinstance(value, list) else str(value)


def placeholders(*words: str) -> list[str]:
    """Returns the names in braces in these words, in their order, each once."""
    return list(dict.fromkeys(found[2] for word in words for found in PLACE.finditer(word) if found[2]))


def filled(word: str, texts: Mapping[str, str]) -> str:
    """Returns `word` with its placeholders replaced."""
    return PLACE.sub(lambda found: texts[found[2]] if found[2] else f"{{{found[1]}}}", word)


def interpreter_flags(words: list[str] | tuple[str, ...]) -> int:
    """Returns how many words stand between a Python interpreter and the script or module that it runs."""
    count = 0
    while 1 + count < len(words) and words[1 + count].startswith("-") and words[1 + count] not in ("-m", "-c"):
        count += 2 if words[1 + count] in ("-X", "-W") else 1
    return count


def runs_python(words: tuple[str, ...]) -> bool:
    """Tells whether the words start a Python interpreter on a script or a module."""
    if not words or not INTERPRETER.fullmatch(Path(words[0]).name):
        return False
    rest = words[1 + interpreter_flags(words) :]
    return bool(rest) and (rest[0].endswith(".py") or (rest[0] == "-m" and len(rest) > 1))


def environment(command: Command, *, seed: int, folder: str, threads: int, variant: str) -> dict[str, str]:
    """Returns the variables of a trial: the user's own, ours, and thread counts unless the user has set them."""
    found = {
        "PYTHONUNBUFFERED": "1",  # so that nothing printed is lost when the trial is ended
        "PYTHONHASHSEED": "0",  # so that equal seeds give equal numbers
        **{f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")},
        **os.environ,
        "ABLATIONS_SEED": str(seed),
        "ABLATIONS_FOLDER": folder,
        "ABLATIONS_THREADS": str(threads),
        "ABLATIONS_VARIANT": variant,
    }
    return {**found, **({command.env: str(seed)} if command.env else {})}
