"""Parses the words of a command line into values, or says in one sentence what is wrong with them."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import re
import sys
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import tyro

from ablations.cli.help_page import Example, asks_for_help, page, show
from ablations.core.errors import InputError, acting, nearest, shown

T = TypeVar("T")

_KINDS = {int: "a whole number", float: "a number", Path: "a path", str: "a word"}
# Characters that tyro draws as a frame around an error, and those that it uses in an ASCII terminal.
_FRAME = "\N{BOX DRAWINGS LIGHT VERTICAL}| "
_RULES = "\N{BOX DRAWINGS LIGHT HORIZONTAL}-"


def parsed(
    what: Callable[..., T],
    arguments: Sequence[str],
    *,
    prog: str,
    examples: Sequence[Example] = (),
    **how: Any,
) -> T:
    """Returns what `what`, a dataclass or a function, makes of the words `arguments`; `how` is passed on to tyro.

    `--help` prints a help page with `examples` and ends the program.  Raises InputError on an unknown option, on a
    value of the wrong type, on an empty value, and on control characters, which would act on the terminal if they were
    printed.
    """
    if asks_for_help(arguments):
        show(page(what, prog, examples=examples))
        raise SystemExit(0)
    for word, option in zip(arguments, ["", *arguments], strict=False):
        name, _, value = word.partition("=") if word.startswith("--") else (option, "", word)
        label = name if name.startswith("--") else "an argument"
        if acted := acting(word):
            raise InputError(f"{_printed(label)} is {shown(value)}; leave out the control character {acted!r}.")
        if not word or word == f"{name}=":
            raise InputError(f"{label} has an empty value; leave it out, or give it one.")
    arguments = _once(arguments, what)
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
        found: T = tyro.cli(what, args=arguments, prog=prog, **how)
        return found
    raise InputError(f"{_sentence(said.getvalue(), what, arguments)} `{prog} --help` lists all options.")


def _once(arguments: Sequence[str], what: Callable[..., Any]) -> list[str]:
    """Returns `arguments` with each option once, behind all other words: `--set a=1 --set b=2` is `--set a=1 b=2`.

    Of an option that takes one value the last one counts, as with most commands, and a line says so.
    """
    hints = typing.get_type_hints(what)
    first = next((at for at, word in enumerate(arguments) if word.startswith("--")), len(arguments))
    others = list(arguments[:first])
    options: dict[str, list[str]] = {}  # name -> the option's own word and its values
    for head, following in _heads(arguments):
        name, equals, joined = head.partition("=")
        hint = hints.get(name.removeprefix("--").replace("-", "_"))
        several = hint is None or typing.get_origin(hint) is tuple
        takes = len(following) if several else 0 if equals or hint is bool else 1
        words = [head, *following[:takes]]
        others += following[takes:]
        before = options.setdefault(name.replace("_", "-"), words)
        if before is words:
            continue
        if several:
            before += [*([joined] if equals else []), *words[1:]]
        elif (old := _value(before)) != (new := _value(words)):
            print(f"note: {name} is given twice; {shown(new)} counts, and {shown(old)} does not", file=sys.stderr)
            before[:] = words
    return [*others, *(word for words in options.values() for word in words)]


def _heads(arguments: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Returns each option's own word, and the words between it and the next option."""
    found: list[tuple[str, list[str]]] = []
    for word in arguments:
        if word.startswith("--"):
            found.append((word, []))
        elif found:
            found[-1][1].append(word)
    return found


def _value(words: Sequence[str]) -> str:
    """Returns the value in `--name value` or `--name=value`."""
    return words[1] if len(words) > 1 else words[0].partition("=")[2]


def _printed(option: str) -> str:
    """Returns the name of an option as an error can print it."""
    return option if option.isprintable() and len(option) < 40 else shown(option)


def _sentence(said: str, what: Callable[..., Any], arguments: Sequence[str]) -> str:
    """Returns tyro's error `said` as one sentence: the option, what was given, and what is nearest or allowed."""
    text = _first_part(said)
    if found := re.search(r"Error parsing (--[\w-]+)", text):
        return _of_value(found[1], what, arguments)
    if found := re.search(r"Missing value for argument '(--[\w-]+)", text):
        return f"{found[1]} needs a value."
    if found := re.search("Unrecognized options: (.*)", text):
        known = _options(what)
        for word in arguments:
            name = word.partition("=")[0].replace("_", "-")
            if word.startswith("-") and name not in known:
                near = nearest(name, known)
                return f"unknown option {shown(word)}{near if near.endswith('?') else '.'}"
        return f"no option takes the word {shown(found[1].split(', ')[0])}."
    if found := re.search(r"Missing from [^:]*: (.*)", text):
        return f"an argument is missing: {found[1]}."
    return f"{text[:400].rstrip('.')}."


def _first_part(said: str) -> str:
    """Returns the text in the box that tyro drew, without its frame, up to the first line below the title."""
    lines: list[str] = []
    for line in said.splitlines()[1:]:
        words = line.strip(_FRAME)
        if words.strip(_RULES):
            lines.append(words)
        elif lines:
            break
    return " ".join(" ".join(lines).split())


def _options(what: Callable[..., Any]) -> list[str]:
    fields = dataclasses.fields(what) if dataclasses.is_dataclass(what) else ()
    names = [one.name for one in fields] or list(inspect.signature(what).parameters)
    return ["--help", *(f"--{name.replace('_', '-')}" for name in names)]


def _of_value(option: str, what: Callable[..., Any], arguments: Sequence[str]) -> str:
    """Returns a sentence on what is wrong with the value of `option`."""
    given = ""
    for index, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name.replace("_", "-") == option:
            given = value if equals else next(iter(arguments[index + 1 :]), "")
    hints = typing.get_type_hints(what)
    hint = hints.get(option.removeprefix("--").replace("-", "_"))
    kind = next((word for one, word in _KINDS.items() if one in (hint, *typing.get_args(hint))), "something else")
    if given.lstrip("+-").isdecimal():
        return f"{option} is {shown(given)}, which is far too large."
    return f"{option} is {shown(given)}; it must be {kind}."
