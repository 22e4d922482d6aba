"""The parts that keys and digests are made of, and the schema of our JSON files."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

SCHEMA = 2  # version of all JSON files that the harness writes; `ablations/records/upgrade.py` reads 1 as 2


def sparse(value: Any) -> Any:
    """Returns the fields of a dataclass that differ from their default, nested, as plain values.

    Tuples become lists, and other values are returned as they are.  Keys are made of the result.  So a field that a
    later version adds, with the old behaviour as its default, leaves the keys of older records as they are; and no
    default may ever change, nor its meaning.
    """
    if isinstance(value, tuple):
        return [sparse(item) for item in value]
    if dataclasses.is_dataclass(value):
        kind: Any = type(value)
        named = ((name, default, getattr(value, name)) for name, default in _defaults(kind))
        return {name: sparse(item) for name, default, item in named if item != default}
    return value


@functools.cache  # a plan with interactions asks for thousands of configs, all of the same few dataclasses
def _defaults(kind: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((field.name, field.default) for field in dataclasses.fields(kind))


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Returns every plain value of nested JSON by its path, such as `spec.blocks.0.norm.alpha`.

    An empty object is a value, and so is a list whose first item is no object.
    """
    if isinstance(value, Mapping) and value:
        named = [(str(name), item) for name, item in value.items()]
    elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
        named = [(str(index), item) for index, item in enumerate(value)]
    else:
        return {path: value}
    return {leaf: item for name, one in named for leaf, item in leaves(one, f"{path}.{name}" if path else name).items()}


def current(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of a record, without the schema's version.

    Raises TypeError if the record is no mapping, and ValueError if its schema is not the current one.
    """
    if not isinstance(record, Mapping):
        raise TypeError("it holds no table of fields")
    fields = dict(record)
    schema = fields.pop("schema", None)
    if schema != SCHEMA:
        raise ValueError(f"schema {schema!r} is not {SCHEMA}")
    return fields
