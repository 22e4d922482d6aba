"""The table [components] of a TOML file -> components as a study file in Python has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ablations import subject as written
from ablations.core.errors import InputError, shown
from ablations.subjects.own.configs import value_of
from ablations.subjects.script.command import ARGS, args_of
from ablations.subjects.script.tables import record_in

LEVELS = "levels"  # the key that marks the long form of a component


def components_in(table: Mapping[str, Any], values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Returns the components by name, each a value, a list of values, named levels, or a `Component`.

    A table with the key `levels` is the long form of a component.  Any other table names levels, unless it has the name
    of a table of the reference: then its keys are components that are fields of that table.
    """
    found: dict[str, Any] = {}
    for key, one in table.items():
        name = f"{path}{key}"
        if isinstance(one, dict) and LEVELS in one:
            found[name] = _long(name, one, values)
        elif isinstance(one, dict) and isinstance(value_of(values, name), Mapping):
            found |= components_in(one, values, f"{name}.")
        else:
            found[name] = _levels(name, one, values)
    return found


def _long(name: str, one: Mapping[str, Any], values: Mapping[str, Any]) -> written.Component:
    found: written.Component = record_in(written.Component, one, f"[components.{name}]")
    when = flat_in(found.when, values, f"when of {name}")
    return replace(found, levels=_levels(name, found.levels, values), when=when)


def _levels(name: str, one: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(one, dict):
        if "args" in one:
            return {"on": _change(name, one, values)}
        return {
            level: _change(name, change, values) if isinstance(change, dict) else change
            for level, change in one.items()
        }
    if isinstance(one, list) and any(isinstance(level, dict) for level in one):
        raise InputError(
            f"component {name!r} lists levels that are tables: name each, as {{ fast = {{ args = ['--fast'] }} }}."
        )
    return one


def _change(name: str, change: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns fields -> values of a level; its key `args` becomes the field that holds words of the command."""
    found = dict(change)
    args = found.pop("args", None)
    if args is not None:
        if not isinstance(args, list) or not args or not all(isinstance(word, str) for word in args):
            raise InputError(f"args of component {name!r} is {shown(args)}; it is a list of words, as ['--no-x'].")
        found[args_of(name)] = args
    return flat_in(found, values, name)


def flat_in(table: Mapping[str, Any], values: Mapping[str, Any], where: str, path: str = "") -> dict[str, Any]:
    """Returns fields -> values, with nested fields as `optimizer.lr`."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{path}{key}"
        if isinstance(value, dict) and isinstance(value_of(values, name), Mapping):
            found |= flat_in(value, values, where, f"{name}.")
        else:
            found[name] = value
    return found


def hidden_in(components: Mapping[str, Any]) -> dict[str, list[str]]:
    """Returns the fields that hold words of the command, as they are in the reference: empty."""
    found: dict[str, list[str]] = {}
    for one in components.values():
        levels = one.levels if isinstance(one, written.Component) else one
        for change in levels.values() if isinstance(levels, dict) else ():
            found |= {name: [] for name in change if name.startswith(ARGS)} if isinstance(change, dict) else {}
    return found
