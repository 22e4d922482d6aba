"""Whether what a name finds is a subject: one sentence on what it lacks, before anything is asked of it."""

from __future__ import annotations

from typing import Any

from ablations.core.errors import InputError, shown
from ablations.core.load import is_file, load
from ablations.core.subject import Defaults, Subject


def signed(name: str) -> Any:
    """The subject of that name, which has all that is asked of one.

    Raises InputError where there is none, where something else is found, and where it calls itself otherwise than by a
    name that it is found by.
    """
    found = load(name)
    if isinstance(found, type):
        raise InputError(f"{shown(name)} is a class: name an object of it, as in SUBJECT = {found.__name__}().")
    if type(found).__module__ == "ablations.subject":
        raise InputError(f"{shown(name)} is the subject of a study file: name the path of that file instead.")
    asked = [one for one in (*vars(Subject), *vars(Defaults)) if not one.startswith("_")]
    lacking = [one for one in asked if not (hasattr(type(found), one) or one in getattr(found, "__dict__", {}))]
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        raise InputError(
            f"{shown(name)} is no subject: it lacks {', '.join(lacking[:3])}{more}; a subject is an object of a class "
            f"that is derived from ablations.core.subject.Defaults and signs Subject."
        )
    if found.name != name:
        try:
            same = load(found.name) is found or is_file(name)
        except InputError:
            same = False
        if not same:
            raise InputError(
                f"{shown(name)} calls itself {shown(found.name)}, by which it is not found: its name is {name}."
            )
    return found
