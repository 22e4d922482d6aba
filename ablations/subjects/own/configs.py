"""Configurations of study files (dataclasses or dicts) as plain JSON and back, and changes of their fields."""

from __future__ import annotations

import copy
import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ablations.core.errors import InputError, nearest, shown


def plain(value: Any, path: str = "the reference") -> Any:
    """Returns `value` as JSON holds it.  Raises InputError that names a part which JSON cannot hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        return {name: plain(item, f"{path}.{name}") for name, item in named.items()}
    if isinstance(value, Mapping):
        return {str(name): plain(item, f"{path}.{name}") for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{path}[{index}]") for index, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(f"{path} is {value}; it must be a finite number.")
        return value
    raise InputError(
        f"{path} is {shown(value)}, which no record can hold: name it with a word, and look it up in the trial."
    )


def like(reference: Any, values: Any) -> Any:
    """Returns `values`, plain JSON, in the shape of `reference`: dataclasses and tuples where it has them."""
    if dataclasses.is_dataclass(reference) and not isinstance(reference, type):
        named = {name: like(getattr(reference, name), item) for name, item in values.items()}
        return dataclasses.replace(reference, **named)
    if isinstance(reference, Mapping):
        return {name: like(reference.get(name), item) for name, item in values.items()}
    if isinstance(reference, tuple) and isinstance(values, list):
        return tuple(values)
    return copy.deepcopy(values)


def changed(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a copy of `values` with fields replaced; `optimizer.lr` is the field lr of the field optimizer.

    Raises InputError on an unknown field.
    """
    made = copy.deepcopy(dict(values))
    for name, value in overrides.items():
        *outer, last = name.split(".")
        inner = made
        for part in outer:
            inner = inner.get(part) if isinstance(inner, dict) else None  # type: ignore[assignment]
        if not isinstance(inner, dict) or last not in inner:
            raise InputError(
                f"unknown field {shown(name)}{nearest(name, fields(values))} it has {', '.join(fields(values))}."
            )
        inner[last] = plain(value, name)
    return made


def fields(values: Mapping[str, Any], path: str = "") -> list[str]:
    """Returns the names of all fields, with nested ones as `optimizer.lr`."""
    found = []
    for name, value in values.items():
        found.append(f"{path}{name}")
        found += fields(value, f"{path}{name}.") if isinstance(value, Mapping) else []
    return found


def value_of(values: Mapping[str, Any], name: str) -> Any:
    """Returns the value of a field, which may be nested; None if there is no such field."""
    found: Any = values
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def unit_of(budget: str) -> str:
    """Returns what a budget field counts, in the singular: `epoch` for n_epochs and for epochs."""
    return re.sub("^(n|num|max)_", "", budget).removesuffix("s")


def with_set(values: dict[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """Returns `values` as the words of --set change them, each FIELD=VALUE.  Raises InputError on a wrong one."""
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise InputError(f"--set takes FIELD=VALUE, not {shown(word)}.")
        if name not in fields(values):
            raise InputError(
                f"--set {shown(word)}: unknown field{nearest(name, fields(values))} the reference has "
                f"{', '.join(fields(values))}."
            )
        values = changed(values, {name: typed(text, value_of(values, name), name)})
    return values


def check_budget(values: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raises InputError if one of the budget fields `names` is below 1, in the file or by --set."""
    for name in names:
        if value_of(values, name) < 1:
            raise InputError(f"{name}={value_of(values, name)}: {name} is a budget, so it must be 1 or more.")


def typed(text: str, now: Any, name: str) -> Any:
    """Returns the value that `--set name=text` gives a field which holds `now`.  Raises InputError on another type."""
    words = {"true": True, "false": False, "none": None}
    try:
        if isinstance(now, bool):
            return words[text.lower()]
        if isinstance(now, int):
            return int(text)
        if isinstance(now, float):
            return float(text)
    except (KeyError, ValueError):
        kind = "true or false" if isinstance(now, bool) else "a whole number" if isinstance(now, int) else "a number"
        raise InputError(f"--set {name}={shown(text)}: the field holds {shown(now)}, so it takes {kind}.") from None
    return None if now is None and text.lower() == "none" else text
