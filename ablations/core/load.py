"""A subject by its name, and the names that mean something to the engine.  The one place that imports subjects."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from ablations.core.errors import InputError, shown

FIRST = "alexnet"  # the subject of records that do not name theirs
REPEAT = "repeat"  # of `Result.extras`: the trace of the same trial, run once more
PLACEBO, SABOTAGE, MILD = "placebo", "sabotage", "mild_sabotage"  # names of controls, and what each of them is


def is_file(name: str) -> bool:
    """Whether a subject is a study file, by its path."""
    return name.endswith((".py", ".toml"))


@cache
def load(name: str) -> Any:
    """The subject of that name: "alexnet", `package.module:object`, or the path of a study file.

    Raises InputError where there is none.
    """
    if is_file(name):
        return importlib.import_module("ablations.subjects.own.subject").opened(name)
    module, _, attribute = name.partition(":")
    if not attribute:
        module, attribute = f"ablations.subjects.{name}.subject", "SUBJECT"
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(f"there is no subject {shown(name)}: {error}.") from None
