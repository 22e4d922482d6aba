"""A subject by its name, and the names that mean something to the engine.  The one place that imports subjects."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from ablations.core.errors import InputError, shown

FIRST = "alexnet"  # the subject of records that do not name theirs
PLACEBO, SABOTAGE, MILD = "placebo", "sabotage", "mild_sabotage"  # names of controls, and what each of them is


@cache
def load(name: str) -> Any:
    """The subject of that name: "alexnet", or `package.module:object`.  Raises InputError where there is none."""
    module, _, attribute = name.partition(":")
    if not attribute:
        module, attribute = f"ablations.subjects.{name}.subject", "SUBJECT"
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(f"there is no subject {shown(name)}: {error}.") from None
