"""Makes the page that `--help` prints, in one layout for all commands: usage, a sentence, options and examples.

It does not need the parser of the command line, so a command answers at once, whatever it imports when it runs.
`written` needs the standard library alone, since `ablations.reseed` runs in the environment of a user's script.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import os
import shutil
import sys
import textwrap
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

NARROWEST, WIDEST = 60, 100  # bounds on the characters of a line, whatever the width of the terminal
FIRST_COLUMN = 26  # characters of the first column; the text of a longer option starts on the next line
GROUPS = ("study", "data", "time", "hardware", "output")  # groups of options, in their order on the page
OTHERS = "options"  # the title of the options that are in no group
HELP = ("-h", "--help")
_METAVARS = {int: "INT", float: "FLOAT", str: "STR", Path: "PATH"}

Rows = list[tuple[str, str]]  # an option with its value, and what it does
Example = tuple[str, str]  # a command, and what it is for


SHOWN: Rows = [(", ".join(HELP), "Show this page.")]  # the row of --help itself


def asks_for_help(words: Sequence[str]) -> bool:
    """Returns whether --help is among the words of a command line."""
    return any(word in HELP for word in words)


def show(text: str) -> None:
    """Prints `text`.  A reader that stops early, as `| head` does, is no error."""
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def written(
    usage: str, summary: str, groups: Mapping[str, Sequence[tuple[str, str]]], examples: Sequence[Example] = ()
) -> str:
    """Returns a help page as wide as the terminal, between `NARROWEST` and `WIDEST`.

    `groups` holds rows of an option with its value and what it does, by the group's title.
    """
    width = min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST) - 2

    def layout(prog: str) -> argparse.HelpFormatter:
        return argparse.RawDescriptionHelpFormatter(prog, max_help_position=FIRST_COLUMN, width=width)

    parser = argparse.ArgumentParser(
        usage=usage.replace("%", "%%"),
        description=textwrap.fill(summary, width),
        epilog=_examples(examples, width),
        add_help=False,
        formatter_class=layout,
    )
    for title, rows in groups.items():
        group = parser.add_argument_group(title)
        for words, text in rows:
            name, _, value = words.partition(" ")
            is_option = name.startswith("-")
            how: dict[str, Any] = {"metavar": value or None} if value or not is_option else {"action": "store_true"}
            how = how if is_option else {"metavar": words}
            group.add_argument(name if is_option else "word", help=text.replace("%", "%%"), **how)
    return parser.format_help()


def _examples(examples: Sequence[Example], width: int) -> str | None:
    """Returns commands with what each is for beside it, or above it if any line would be too long."""
    if not examples:
        return None
    longest = max(len(command) for command, _ in examples)
    beside = [f"  {command:<{longest}}  # {what}" for command, what in examples]
    if max(map(len, beside)) > width:
        beside = [f"  # {what}\n  {command}" for command, what in examples]
    return "\n".join(["examples:", *beside])


def page(
    what: Callable[..., Any],
    prog: str,
    *,
    examples: Sequence[Example] = (),
    summary: str = "",
    more: Mapping[str, str] | None = None,
) -> str:
    """Returns the help page of the command `prog`, whose options are those of `what`, a dataclass or a function.

    An option of a dataclass is in the group that its class names in its attribute `group`.  `more` holds sentences that
    are added to the text of options, by the names of their fields.
    """
    arguments, groups = _rows(what, more or {})
    words = " ".join([prog, *(name for name, _ in arguments), *["[OPTIONS]"] * any(groups.values())])
    parts = {"arguments": arguments, **groups}
    first = " ".join((summary or _first_paragraph(what)).split())
    return written(words, first, {title: rows for title, rows in parts.items() if rows}, examples)


def _first_paragraph(what: Callable[..., Any]) -> str:
    return (inspect.getdoc(what) or "").partition("\n\n")[0]


def _rows(what: Callable[..., Any], more: Mapping[str, str]) -> tuple[Rows, dict[str, Rows]]:
    """Returns the rows of the positional arguments, and the rows of the options by group."""
    hints = typing.get_type_hints(what, include_extras=True)
    about, defaults, alone = _described(what)
    arguments: Rows = []
    found: dict[str, Rows] = {title: [] for title in (*GROUPS, OTHERS)}
    group_of = _groups(what)
    for name, default in defaults.items():
        _, *extras = typing.get_args(hints[name]) if hasattr(hints[name], "__metadata__") else (hints[name],)
        kind = typing.get_args(hints[name])[0] if extras else hints[name]
        if any("Suppress" in repr(extra) for extra in extras):
            continue
        said = [getattr(extra, "help", None) for extra in extras]
        text = " ".join(next((one for one in said if one), about.get(name, "")).split())
        text = " ".join(filter(None, [text, more.get(name, ""), _usual(default)]))
        value = next((one for extra in extras if (one := getattr(extra, "metavar", None))), _metavar(kind))
        if name in alone or any("Positional" in repr(extra) for extra in extras):
            word = name.upper()
            arguments.append((word if default is inspect.Parameter.empty else f"[{word}{_many(kind)}]", text))
            continue
        spelled = next((one for extra in extras if (one := getattr(extra, "name", None))), name)
        option = f"--{spelled.replace('_', '-')}"
        found[group_of.get(name, OTHERS)].append((f"{option} {value}".strip(), text))
    found[OTHERS] += SHOWN
    return arguments, found


def _described(what: Callable[..., Any]) -> tuple[dict[str, str], dict[str, Any], set[str]]:
    """Returns the text of each parameter, its default, and the names of the positional parameters."""
    import docstring_parser

    empty = inspect.Parameter.empty
    if not dataclasses.is_dataclass(what):
        parameters = inspect.signature(what).parameters.values()
        said = docstring_parser.parse(inspect.getdoc(what) or "").params
        alone = {one.name for one in parameters if one.kind is one.POSITIONAL_ONLY}
        return _texts(said), {one.name: one.default for one in parameters}, alone
    about: dict[str, str] = {}
    for one in reversed(inspect.getmro(what)):
        if dataclasses.is_dataclass(one) and inspect.get_annotations(one) and one.__module__ != "types":
            about |= _texts(docstring_parser.parse_from_object(one).params)
    missing = dataclasses.MISSING
    defaults = {one.name: empty if one.default is missing else one.default for one in dataclasses.fields(what)}
    return about, defaults, set()


def _texts(said: Iterable[Any]) -> dict[str, str]:
    return {one.arg_name: one.description or "" for one in said}


def _groups(what: Callable[..., Any]) -> dict[str, str]:
    """Returns the group of each field of a dataclass."""
    classes = [one for one in reversed(getattr(what, "__mro__", ())) if "group" in one.__dict__]
    return {name: one.group for one in classes for name in inspect.get_annotations(one) if name != "group"}


def _metavar(kind: Any) -> str:
    """Returns the word for the value of an option; "" for a flag."""
    if kind is bool:
        return ""
    inner = [one for one in (kind, *typing.get_args(kind)) if one in _METAVARS]
    return f"{_METAVARS[inner[0]] if inner else 'WORD'}{_many(kind)}"


def _many(kind: Any) -> str:
    return " ..." if typing.get_origin(kind) is tuple else ""


def _usual(default: Any) -> str:
    """Returns the default of an option in parentheses; "" for a default that would tell a reader nothing."""
    if default is inspect.Parameter.empty or default is None or isinstance(default, bool) or default in ("", ()):
        return ""
    return f"(default: {default})"
