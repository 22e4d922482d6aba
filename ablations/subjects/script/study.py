"""Reads and checks a TOML file that describes a study of a script.  Runs nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablations import subject as written
from ablations.core.errors import InputError, nearest, shown
from ablations.core.text import seconds_in
from ablations.records.files import toml_in
from ablations.subject import BEST, LAST
from ablations.subjects.own.configs import fields, plain
from ablations.subjects.script.command import ARGS, DATA, PLACES, Command, placeholders
from ablations.subjects.script.components import components_in, flat_in, hidden_in
from ablations.subjects.script.read_command import command_in
from ablations.subjects.script.reading import FILES, LAST_LINE, MLFLOW, SOURCES, STDOUT, Read, lacks
from ablations.subjects.script.tables import check_keys, record_in
from ablations.subjects.script.taking import MEAN

KEYS = (
    "title",
    "command",
    "cwd",
    "style",
    "seed",
    "timeout",
    "gpus",
    "code",
    "version",
    "replicate",
    "data",
    "budget",
    "reference",
    "components",
    "sabotage",
    "every",
    "claim",
    "metrics",
    "read",
)
NAME = re.compile(r"[^\W\d][\w./@+-]*")  # names of fields


@dataclass(frozen=True, kw_only=True)
class Script:
    """The contents of a TOML file."""

    title: str
    command: Command
    read: Read
    # Metric -> `from`: the name under which the script gives it, and `take`: which row counts.
    columns: Mapping[str, Mapping[str, str]]
    subject: written.Subject  # the same as a study file in Python would have it
    decides: Mapping[str, Any] = field(default_factory=dict)  # the entries of the file that decide a result


def script_in(path: Path) -> Script:
    """Returns the study that a TOML file describes.  Raises InputError on the first mistake in it."""
    record = toml_in(path, "it")
    check_keys("key", record, KEYS)
    budget, reference = _budget(record), _table(record, "reference")
    values = plain({**budget, **reference})
    _check_names(values, with_data="data" in record)
    for name in budget.keys() & reference.keys():
        raise InputError(f"{name} stands in [budget] and in [reference]: leave one of the two out.")
    components = components_in(_table(record, "components"), values)
    values = {**values, **hidden_in(components)}
    command = command_in(record, values, path.parent)
    for name in budget:
        if name not in command.placed:
            raise InputError(f"the command has no place for the budget {name}: write {{{name}}} where it belongs.")
    read = _read(_table(record, "read"), command)
    metrics, columns = _metrics(_table(record, "metrics"), read.take)
    code = record.get("code", [])
    if not isinstance(code, list) or not all(isinstance(one, str) for one in code):
        raise InputError(f"code is {shown(code)}; it is a list of patterns of files, such as ['configs/*.yaml'].")
    return Script(
        title=_text(record, "title"),
        command=command,
        read=read,
        columns=columns,
        subject=written.Subject(
            reference=values,
            components=components,
            metrics=metrics,
            claims=[*_claims(record.get("claim", [])), *_every(record)],
            sabotage=flat_in(_table(record, "sabotage"), values, "sabotage") if "sabotage" in record else None,
            budget=tuple(budget),
            resources=written.Resources(timeout=_timeout(record), gpus=record.get("gpus")),
            code=code,
            version=_text(record, "version"),
            replicate=_text(record, "replicate") or written.TRAINING,
            data=record.get("data"),
        ),
        decides={
            **{key: record[key] for key in ("command", "cwd", "style", "seed", "read") if key in record},
            "columns": columns,
        },
    )


def _table(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = record.get(name, {})
    if not isinstance(table, dict):
        raise InputError(f"{name} is {shown(table)}; it is a table: write [{name}] above its lines.")
    return table


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name, "")
    if not isinstance(value, str):
        raise InputError(f"{name} is {shown(value)}; it is text in quotes.")
    return value


def _timeout(record: Mapping[str, Any]) -> str:
    text = _text(record, "timeout")
    if text:
        try:
            seconds_in(text)
        except InputError as error:
            raise InputError(f"timeout is {shown(text)}; it is a time such as 45s, 20m or 2h.") from error
    return text


def _budget(record: Mapping[str, Any]) -> dict[str, int]:
    budget = _table(record, "budget")
    for name, value in budget.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{name} of [budget] is {shown(value)}; it is a whole number above 0.")
    return budget


def _check_names(values: Mapping[str, Any], *, with_data: bool) -> None:
    """Raises InputError on a name that a field cannot have."""
    taken = (*PLACES, DATA) if with_data else PLACES
    for name in fields(values):
        last = name.rpartition(".")[2]
        if name in taken or last == "args":
            raise InputError(f"a field is called {shown(name)}, which means something else here: {', '.join(taken)}.")
        if last.startswith("-"):
            raise InputError(
                f"a field is called {shown(name)}: call it {last.lstrip('-')!r}, the style adds the dashes."
            )
        if not NAME.fullmatch(last) or name.startswith(ARGS):
            raise InputError(f"a field is called {shown(name)}; a name is of letters, digits and any of _ . / @ + -")
    _check_dots(values)


def _check_dots(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if "." in name:
            raise InputError(f"the field {shown(name)} is written in quotes: leave them out, as in {name} = ...")
        if isinstance(value, Mapping):
            _check_dots(value)


def _metrics(
    table: Mapping[str, Any], take: str
) -> tuple[dict[str, written.Metric | str], dict[str, Mapping[str, str]]]:
    """Returns the metrics, and for each the name under which the script gives it and the row that counts."""
    found: dict[str, written.Metric | str] = {}
    columns: dict[str, Mapping[str, str]] = {}
    for name, one in table.items():
        given = {"better": one} if isinstance(one, str) else one
        where = f"[metrics.{name}]"
        if not isinstance(given, dict):
            raise InputError(f"{where} is {shown(one)}; it is a table with better = 'higher' or 'lower'.")
        column = given.get("from", name)
        if not isinstance(column, str) or not column:
            raise InputError(f"from of {where} is {shown(column)}; it is the name under which the script gives it.")
        its = _take(given.get("take", take), where)
        columns[name] = {"from": column, "take": its}
        asked = {**given, "take": BEST if its == BEST else LAST}
        found[name] = record_in(written.Metric, asked, where, more=("from",))
    return found, columns


def _take(take: Any, where: str) -> str:
    if not isinstance(take, str) or not (take in (LAST, BEST) or MEAN.fullmatch(take)):
        raise InputError(f"take of {where} is {shown(take)}; it is 'last', 'best' or 'mean of last N'.")
    return take


def _claims(tables: Any) -> list[written.Claim]:
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise InputError("claim is no list of tables: write [[claim]] above each.")
    return [record_in(written.Claim, one, f"[[claim]] {number}") for number, one in enumerate(tables, 1)]


def _every(record: Mapping[str, Any]) -> list[written.Every]:
    return [record_in(written.Every, _table(record, "every"), "[every]")] if "every" in record else []


def _read(table: Mapping[str, Any], command: Command) -> Read:
    """Returns where the numbers of a trial are."""
    sources = [source for source in SOURCES if source != LAST_LINE]
    check_keys("key of [read]", table, [*sources, "take"])
    named = [source for source in sources if source in table]
    if len(named) > 1:
        raise InputError(f"[read] names {' and '.join(named)}; it takes one.")
    take = _take(table.get("take", LAST), "[read]")
    if not named:
        return Read(take=take)
    (source,) = named
    where = table[source]
    if source == MLFLOW:
        if where is not True:
            raise InputError(f"mlflow of [read] is {shown(where)}; it is true, or left out.")
        return Read(source=source, take=take)
    if not isinstance(where, str) or not where:
        raise InputError(
            f"{source} of [read] is {shown(where)}; it is {'a pattern' if source == STDOUT else 'a path'}."
        )
    _check_source(source, where, command)
    return Read(source=source, where=where, take=take)


def _check_source(source: str, where: str, command: Command) -> None:
    if package := lacks(source):
        raise InputError(f"[read] {source} needs the package {package}: pip install {package}.")
    if source == STDOUT:
        try:
            groups = re.compile(where).groupindex
        except re.error as error:
            raise InputError(f"stdout of [read] is no pattern: {error}.") from None
        if not groups:
            raise InputError("stdout of [read] has no named groups: write (?P<loss>\\S+) around the number `loss`.")
        if "\n" in where or "\\n" in where:
            raise InputError("stdout of [read] spans lines; a pattern is looked for within a line.")
    elif source in FILES:
        _check_path(source, where, command)


def _check_path(source: str, where: str, command: Command) -> None:
    """Raises InputError on a path that trials side by side would share."""
    for name in placeholders(where):
        if name not in ("folder", "here", "seed"):
            raise InputError(f"{source} of [read] has the placeholder {{{name}}}{nearest(name, ('folder', 'here'))} "
                             "it can have {folder} and {here}.")  # fmt: skip
    own = "{folder}" in where or (not where.startswith(("/", "{here}")) and "{folder}" in command.cwd)
    if not own:
        raise InputError(
            f"{source} of [read] is {shown(where)}, a file that all trials share: name one in the trial's own folder, "
            f"as in {shown('{folder}/' + Path(where).name)}, or set cwd = '{{folder}}'."
        )
