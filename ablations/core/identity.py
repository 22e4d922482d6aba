"""What the JSON files of the harness say of their own form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SCHEMA = 1  # of every JSON file that the harness writes


def _current(record: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(record, Mapping):
        raise TypeError("it holds no table of fields")
    fields = dict(record)
    schema = fields.pop("schema", None)
    if schema != SCHEMA:
        raise ValueError(f"schema {schema!r} is not {SCHEMA}")
    return fields
