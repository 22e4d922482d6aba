"""Makes dataclasses of what was read from a file, and checks whether their values have the types that they declare.

Standard library only.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from collections.abc import Mapping
from itertools import chain, repeat
from types import UnionType
from typing import Any, TypeVar

T = TypeVar("T")

# Metadata of a field whose numbers may be infinite or nan.  JSON has no such numbers, so they may also be None.
NULLS = {"nulls": True}


def made(kind: type[T], record: Mapping[str, Any]) -> T:
    """Returns the dataclass `kind` of a record, as JSON has it, and those inside it; lists become tuples.

    A value of another form than its field declares stays as it is, for `check_types` to name.  Raises TypeError if a
    field is missing or unknown.
    """
    found: T = _made(kind, record)
    return found


def _made(kind: Any, value: Any) -> Any:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(value, Mapping):
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            known = _fields(kind)
            return kind(**{name: _made(known[name][0] if name in known else Any, one) for name, one in value.items()})
        if origin is not None and issubclass(origin, Mapping):
            return {name: _made(inner[1], one) for name, one in value.items()}
    if origin in (typing.Union, UnionType):
        return next((form for one in inner if (form := _made(one, value)) is not value), value)
    if origin is tuple and isinstance(value, list | tuple):
        kinds = repeat(inner[0]) if inner[1:] == (...,) else chain(inner, repeat(Any))
        return tuple(_made(one, item) for one, item in zip(kinds, value, strict=False))
    return value


def check_types(value: Any) -> None:
    """Raises TypeError if a field of the dataclass instance `value`, or of one inside it, has the wrong type.

    The message names the field by its path.  An int is accepted for a float, a bool is not accepted for any number, and
    numbers must be finite.
    """
    _check(value, type(value), "", nulls=False)


def _check(value: Any, wanted: Any, path: str, *, nulls: bool) -> None:
    """Raises TypeError unless `value` has the type `wanted`; `nulls` allows None, nan and infinite numbers."""
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted is Any or (nulls and (value is None or (isinstance(value, float) and not math.isfinite(value)))):
        return
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        _expect(isinstance(value, wanted), value, wanted.__name__, path)
        for name, (kind, may_be_null) in _fields(wanted).items():
            _check(getattr(value, name), kind, f"{path}.{name}" if path else name, nulls=may_be_null)
    elif origin in (typing.Union, UnionType):
        # A dataclass among the alternatives is checked by itself, so that the error names the field inside it.
        if type(value) in inner and dataclasses.is_dataclass(value):
            _check(value, type(value), path, nulls=nulls)
        elif not any(_fits(value, one, nulls) for one in inner):
            _expect(False, value, str(wanted), path)
    elif origin is tuple:
        _expect(isinstance(value, tuple), value, "a list", path)
        kinds = [inner[0]] * len(value) if inner[1:] == (...,) else list(inner)
        _expect(len(kinds) == len(value), value, f"a list of {len(kinds)}", path)
        for place, (item, kind) in enumerate(zip(value, kinds, strict=True)):
            _check(item, kind, f"{path}[{place}]", nulls=nulls)
    elif origin is not None and issubclass(origin, Mapping):
        _expect(isinstance(value, Mapping), value, "a table", path)
        for name, item in value.items():
            _check(item, inner[1], f"{path}.{name}", nulls=nulls)
    else:
        _expect(_is(value, wanted), value, getattr(wanted, "__name__", str(wanted)), path)


def _fits(value: Any, wanted: Any, nulls: bool) -> bool:
    """Tells whether `value` has the type `wanted`."""
    try:
        _check(value, wanted, "", nulls=nulls)
    except TypeError:
        return False
    return True


def _is(value: Any, wanted: Any) -> bool:
    if wanted in (None, type(None)):
        return value is None
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, wanted)


def _expect(right: bool, value: Any, wanted: str, path: str) -> None:
    if not right:
        shown = repr(value)
        raise TypeError(f"{path or 'it'} is {shown if len(shown) <= 60 else f'{shown[:60]}...'}, not {wanted}")


@functools.cache
def _fields(kind: type) -> dict[str, tuple[Any, bool]]:
    """Returns the fields of a dataclass: name -> (type, whether its numbers may be None)."""
    hints = typing.get_type_hints(kind)
    return {field.name: (hints[field.name], bool(field.metadata.get("nulls"))) for field in dataclasses.fields(kind)}
