"""Tables of a TOML file -> values of `ablations.subject`, with each key and type checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from ablations.core.errors import InputError, shown, unknown

KINDS: dict[str, tuple[tuple[type, ...], str]] = {  # start of an annotation -> the types that it allows, and their name
    "str": ((str,), "text"),
    "bool": ((bool,), "true or false"),
    "float | Mapping": ((int, float, dict), "a number, or a table of numbers"),
    "float": ((int, float), "a number"),
    "Mapping": ((dict,), "a table"),
}


def check_keys(kind: str, table: Mapping[str, Any], allowed: Iterable[str]) -> None:
    """Raises InputError on an unknown key, with the nearest known one."""
    for key in table:
        if key not in allowed:
            raise unknown(kind, key, allowed)


def record_in(kind: Any, table: Mapping[str, Any], where: str, *, more: Iterable[str] = ()) -> Any:
    """Returns a value of the class `kind` of `ablations.subject` from a table.

    Raises InputError on an unknown or missing key, or on a value of another type.  Keys in `more` are allowed, and
    ignored.
    """
    known = {one.name: one for one in dataclasses.fields(kind)}
    check_keys(f"key of {where}", table, [*known, *more])
    for name, one in known.items():
        if name in table:
            _check_type(f"{name} of {where}", table[name], str(one.type))
        elif one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
            raise InputError(f"{where} has no {name}.")
    return kind(**{name: value for name, value in table.items() if name in known})


def _check_type(what: str, value: Any, annotation: str) -> None:
    word = next((one for one in KINDS if annotation.startswith(one)), None)
    if word:
        types, words = KINDS[word]
        if not isinstance(value, types) or (isinstance(value, bool) and word != "bool"):
            raise InputError(f"{what} is {shown(value)}; it must be {words}.")
