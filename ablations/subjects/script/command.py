"""The command of a trial: its words, with what a variant changes written as the script reads it.  No shell."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = "data"  # the placeholder of the path of a trial's data set, or of its name, in a study that names some
CHANGES = "{changes}"
PLACES = ("seed", "folder", "here", "threads", "changes")  # placeholders that are no field of the configuration
ARGS = "args:"  # what the fields are called after that hold words which a level writes as they are
PLACE = re.compile(r"\{\{([\w.-]+)\}\}|\{([\w.-]+)\}")  # {{word}} is {word} as it stands
INTERPRETER = re.compile(r"(python|pypy)[\d.]*(\.exe)?")
OURS = ("python", "python3")  # the interpreter that runs the study


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a field is written: templates of words with {name} and {value}; one without words leaves the field out."""

    value: str
    on: str
    off: str
    none: str

    def words(self, name: str, value: Any) -> list[str]:
        """The words of a field that has this value."""
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
    """What a trial runs, with placeholders."""

    words: tuple[str, ...]
    cwd: str
    style: Style
    env: str  # the variable that gives the seed; empty: none does
    reseed: bool  # whether it starts through `ablations.reseed`

    @property
    def placed(self) -> list[str]:
        """The placeholders of its words, in their order."""
        return placeholders(*self.words)

    def argv(self, values: Mapping[str, Any], given: Mapping[str, str]) -> list[str]:
        """The words for a configuration, with the seed, the folder and so on that are given."""
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
        """Every field that has no place of its own, as the style writes it, or the words that stand for it."""
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
    """The field that holds the words which a level of this component writes as they are."""
    return ARGS + name.replace(".", "/")


def leaves(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The fields that hold a value, fields of fields as `optimizer.lr`, without those that hold words."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}{name}.")
        elif not name.startswith(ARGS):
            yield f"{path}{name}", value


def written(value: Any) -> str:
    """A value as a word of a command."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{','.join(map(written, value))}]" if isinstance(value, list) else str(value)


def placeholders(*words: str) -> list[str]:
    """The names in braces of these words, in their order, each once."""
    return list(dict.fromkeys(found[2] for word in words for found in PLACE.finditer(word) if found[2]))


def filled(word: str, texts: Mapping[str, str]) -> str:
    """`word` with its placeholders replaced."""
    return PLACE.sub(lambda found: texts[found[2]] if found[2] else f"{{{found[1]}}}", word)


def interpreter_flags(words: list[str] | tuple[str, ...]) -> int:
    """How many words stand between a Python interpreter and what it runs."""
    count = 0
    while 1 + count < len(words) and words[1 + count].startswith("-") and words[1 + count] not in ("-m", "-c"):
        count += 2 if words[1 + count] in ("-X", "-W") else 1
    return count


def runs_python(words: tuple[str, ...]) -> bool:
    """Whether the words start a Python interpreter on a script or a module."""
    if not words or not INTERPRETER.fullmatch(Path(words[0]).name):
        return False
    rest = words[1 + interpreter_flags(words) :]
    return bool(rest) and (rest[0].endswith(".py") or (rest[0] == "-m" and len(rest) > 1))


def environment(command: Command, *, seed: int, folder: str, threads: int, variant: str) -> dict[str, str]:
    """The variables of a trial: the user's own, ours, and as many threads as it holds where nothing else is asked."""
    found = {
        "PYTHONUNBUFFERED": "1",  # so that what it printed is there when it is ended
        "PYTHONHASHSEED": "0",  # so that equal seeds give equal numbers
        **{f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")},
        **os.environ,
        "ABLATIONS_SEED": str(seed),
        "ABLATIONS_FOLDER": folder,
        "ABLATIONS_THREADS": str(threads),
        "ABLATIONS_VARIANT": variant,
    }
    return {**found, **({command.env: str(seed)} if command.env else {})}
