"""What publications say of each component: `published/*.toml`, and files of a user's own, read into `Claim`s.

A claim's direction says what its departure does to the metric.  Most departures take something away, so most claims
say that an error rises.  Standard library only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

from ablations.core.claim import DIRECTIONS, STANDINGS, Claim, Conditions, check_names
from ablations.core.errors import InputError, acting, shown, unknown
from ablations.core.load import FIRST, load
from ablations.core.setting import SIZE
from ablations.core.study import Study
from ablations.core.variant import Departure
from ablations.records.files import toml_in

_REQUIRED = ("name", "component", "level", "statement", "metric", "direction", "smallest_effect", "reason")
_NUMBERS = {"smallest_effect", "published_effect"}
# Key -> the types that its value may have, and what an error calls them.  All other keys hold text.
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(_NUMBERS, ((int, float), "a number")),
    "epoch": ((int,), "a number"),
    "tuned": ((bool,), "true or false"),
}
LARGEST = 10**9  # the largest number that a claims file may hold
_OF_THE_FILE = {"estimand", "family"}  # fields of a Claim that no file sets
_KEYS = {field.name for field in dataclasses.fields(Claim)} - _OF_THE_FILE
_CONDITIONS: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(Conditions)}


def read_claims(path: Path, subject: str = FIRST) -> tuple[Claim, ...]:
    """Returns the claims on a subject in a TOML file.  They form one family, which has the file's name.

    Raises InputError with one sentence on the first thing that is wrong.
    """
    called = f"claims file {shown(path)}"
    record = toml_in(path, called)
    try:
        return claims_in(record, family=path.stem, subject=subject)
    except InputError as error:
        raise InputError(f"{called}: {error}") from None


def claims_in(record: Mapping[str, Any], *, family: str, subject: str = FIRST) -> tuple[Claim, ...]:
    """Returns the claims in `record`, the parsed TOML.  Raises InputError on the first thing that is wrong."""
    _check_keys("key", record, {"source", "conditions", "claim"})
    source, conditions, tables = record.get("source", ""), record.get("conditions", {}), record.get("claim", [])
    _check_text("source", source)
    if not isinstance(conditions, dict) or not all(isinstance(table, dict) for table in conditions.values()):
        raise InputError(f"conditions is {shown(conditions)}; it must be tables such as [conditions.cifar].")
    named = {name: _conditions(name, table) for name, table in conditions.items()}
    if not tables or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InputError("it holds no [[claim]].")
    found = tuple(_claim(table, named, source=source, family=family, subject=subject) for table in tables)
    check_names(found)
    return found


def _conditions(name: str, table: Mapping[str, Any]) -> Conditions:
    """Returns the conditions of the table `[conditions.name]`.  Raises InputError on a wrong key or value."""
    _check_text("a name of conditions", name)
    _check_keys(f"key of conditions.{name}", table, _CONDITIONS)
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    for key, value in values.items():
        kind = type(_CONDITIONS[key])
        if type(value) is not kind or (kind is tuple and not all(isinstance(word, str) for word in value)):
            word = {tuple: "a list of names", int: "a whole number", str: "text", bool: "true or false"}[kind]
            raise InputError(f"{key} of conditions.{name} is {shown(table[key])}; it must be {word}.")
        for text in value if kind is tuple else [value] if kind is str else []:
            _check_text(f"{key} of conditions.{name}", text)
        if kind is int and not 0 <= value <= LARGEST:
            raise InputError(f"{key} of conditions.{name} is {shown(value)}; it must be from 0 to {LARGEST:,}.")
    return Conditions(**values)


def _claim(
    table: Mapping[str, Any], named: Mapping[str, Conditions], *, source: str, family: str, subject: str
) -> Claim:
    """Returns the claim of a `[[claim]]` table; `named` are the file's conditions.  Raises InputError if it is bad."""
    name = table.get("name")
    if not isinstance(name, str) or not name.strip():
        raise InputError("a claim has no name.")
    try:
        _check(table, subject)
        if (conditions := table.get("conditions", "")) not in ("", *named):
            raise unknown("conditions", conditions, named)
    except InputError as error:
        raise InputError(f"claim {shown(name)}: {error}") from None
    return Claim(
        **{
            "published": "no number given",
            **table,
            "source": ", ".join(filter(None, (source, table.get("source", "")))) or "not given",
            "direction": DIRECTIONS[table["direction"]],
            "conditions": named.get(conditions, Conditions()),
            "family": family,
            **{key: _compared(table, key, subject) for key in _NUMBERS & table.keys()},
        }
    )


def _check(table: Mapping[str, Any], subject: str) -> None:
    """Raises InputError on the first thing that is wrong in a `[[claim]]` table."""
    _check_keys("key", table, _KEYS)
    for key in _REQUIRED:
        if key not in table:
            raise InputError(f"{key} is missing.")
    for key, value in table.items():
        kinds, word = _KINDS.get(key, ((str,), "text"))
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds != (bool,)):
            raise InputError(f"{key} is {shown(value)}; it must be {word}.")
        if isinstance(value, str):
            _check_text(key, value)
        elif isinstance(value, int | float) and not abs(value) <= LARGEST:  # true of nan as well
            raise InputError(f"{key} is {shown(value)}; it must be a finite number, of {LARGEST:,} or less.")
    _check_departure((table["component"], table["level"]), subject)
    if against := table.get("against"):
        component, _, level = against.partition("=")
        _check_departure((component, level), subject)
        if (component, level) == (table["component"], table["level"]):
            raise InputError(f"against is {shown(against)}, which is the claim's own change: name another one.")
    _check_words(table, subject)
    least = "1, as the metric is compared as a ratio" if load(subject).metrics[table["metric"]].ratio else "0"
    if not _compared(table, "smallest_effect", subject) > 0:
        raise InputError(f"smallest_effect is {table['smallest_effect']}; it must be above {least}.")
    if "published_effect" in table and not isfinite(_compared(table, "published_effect", subject)):
        raise InputError(f"published_effect is {table['published_effect']}; a ratio is above 0.")
    if table.get("epoch", 1) < 1:
        raise InputError(f"epoch is {table['epoch']}; the first is 1.")


def _compared(table: Mapping[str, Any], key: str, subject: str) -> float:
    """Returns the effect under `key` as effects are compared: its logarithm if the metric is shown as ratios."""
    return float(load(subject).metrics[table["metric"]].compared(float(table[key])))


def check_declared(study: Study, path: Path) -> None:
    """Raises InputError if a claim of the plan in `path` is about a metric that no trial of the study has."""
    for claim in study.claims:
        direction, _, other = claim.also.partition(" ")
        missing = {claim.metric, other or claim.metric} - {*study.setting.metrics}
        if missing or (claim.also and direction not in DIRECTIONS):
            asked = ", also ".join(map(shown, filter(None, (claim.metric, claim.also))))
            raise InputError(f"{path} cannot be read: its claim {shown(claim.name)} is on {asked}, which no trial has.")


def _check_text(key: str, value: object) -> None:
    """Raises InputError unless `value` is text without control characters; tabs and ends of lines are allowed."""
    if not isinstance(value, str):
        raise InputError(f"{key} is {shown(value)}; it must be text.")
    if acted := acting(value.replace("\n", " ").replace("\t", " ").replace("\r\n", " ")):
        raise InputError(f"{key} is {shown(value)}; leave out the control character {acted!r}.")


def _check_words(table: Mapping[str, Any], subject: str) -> None:
    """Raises InputError if a metric, direction or standing is not one of the words that are allowed for it."""
    metrics = [name for name, metric in load(subject).metrics.items() if metric.kind != SIZE]
    asked: list[tuple[str, str, Iterable[str]]] = [
        ("metric", table["metric"], metrics),
        ("direction", table["direction"], DIRECTIONS),
        ("standing", table.get("standing", ""), ("", *STANDINGS)),
    ]
    if also := table.get("also", ""):
        direction, _, metric = also.partition(" ")
        asked += [("direction of also", direction, ("raises", "lowers")), ("metric of also", metric, metrics)]
    for kind, value, allowed in asked:
        if value not in allowed:
            raise unknown(kind, value, list(filter(None, allowed)))


def _check_departure(departure: Departure, subject: str) -> None:
    """Raises InputError, with the nearest name, if the subject has no such component or level."""
    component, level = departure
    known = load(subject).components
    if component not in known:
        raise unknown("component", component, known)
    if level not in known[component].levels:
        raise unknown(f"level of {component}", level, known[component].levels)


def _check_keys(kind: str, table: Mapping[str, Any], allowed: Iterable[str]) -> None:
    """Raises InputError on a key that is not allowed; `kind` is what the error calls a key."""
    for key in table:
        if key not in allowed:
            raise unknown(kind, key, allowed)


@cache
def published(subject: str = FIRST) -> tuple[Claim, ...]:
    """Returns the subject's claims: those of its files, in their order, and then those that it brings itself."""
    found = load(subject)
    return (*(claim for path in found.claims for claim in read_claims(path, subject)), *found.own_claims)
