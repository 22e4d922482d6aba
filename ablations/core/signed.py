"""Checks that the object behind a subject's name is a subject, before it is used."""

from __future__ import annotations

from typing import Any

from ablations.core.errors import InputError, shown
from ablations.core.load import is_file, load
from ablations.core.subject import Defaults, Subject
from ablations.core.text import few


def signed(name: str) -> Any:
    """Returns the subject of that name, after checking that it has everything that the contract asks for.

    Raises InputError if there is none, if the object is no subject, or if its own `name` does not lead back to it.
    """
    found = load(name)
    if isinstance(found, type):
        raise InputError(f"{shown(name)} is a class: name an object of it, as in SUBJECT = {found.__name__}().")
    if type(found).__module__ == "ablations.subject":
        raise InputError(f"{shown(name)} is the subject of a study file: name the path of that file instead.")
    asked = [one for one in (*vars(Subject), *vars(Defaults)) if not one.startswith("_")]
    lacking = [one for one in asked if not (hasattr(type(found), one) or one in getattr(found, "__dict__", {}))]
    if lacking:
        raise InputError(
            f"{shown(name)} is no subject: it lacks {few(lacking, 3)}; a subject is an object of a class "
            f"that is derived from ablations.core.subject.Defaults and signs Subject."
        )
    # Records hold the subject's own name, and workers load it by that, so the name must find the same object.
    if found.name != name:
        try:
            same = load(found.name) is found or is_file(name)
        except InputError:
            same = False
        if not same:
            raise InputError(
                f"{shown(name)} has the name {shown(found.name)}, which does not lead to it; its name must be {name}."
            )
    return found
