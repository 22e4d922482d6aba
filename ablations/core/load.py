"""Loads a subject by its name, and defines the names that mean something to the engine.

This is the only place in the engine that imports subjects.
"""

from __future__ import annotations

import importlib
import traceback
from functools import cache
from importlib.resources import files
from typing import Any

from ablations.core.errors import InputError, nearest, shown

FIRST = "alexnet"  # the subject of records that do not name theirs, since they are older than other subjects
REPEAT = "repeat"  # key in `Result.extras`: the trace of the same trial when it was run a second time
PLACEBO, SABOTAGE, MILD = "placebo", "sabotage", "mild_sabotage"  # a control's name decides what kind of control it is
KINDS = f"it is {FIRST}, MODULE:OBJECT of your own, or the path of a study file, such as study.py"


def is_file(name: str) -> bool:
    """Tells by its name whether a subject is a study file."""
    return name.endswith((".py", ".toml"))


@cache
def load(name: str) -> Any:
    """Returns the subject of that name: "alexnet", `package.module:object`, or the path of a study file.

    Raises InputError if there is none, or if its module cannot be imported.  Whether the object that is found is a
    subject is checked by `ablations.core.signed`.
    """
    if is_file(name):
        room = "script" if name.endswith(".toml") else "own"
        return importlib.import_module(f"ablations.subjects.{room}.subject").opened(name)
    module, colon, attribute = name.partition(":")
    if not colon and name.isidentifier() and files("ablations.subjects").joinpath(name, "subject.py").is_file():
        module, attribute = f"ablations.subjects.{name}.subject", "SUBJECT"
    if not attribute or not all(word.isidentifier() for word in module.split(".")):
        raise InputError(f"there is no subject {shown(name)}{nearest(name, [FIRST])} {KINDS}.")
    return _found(name, module, attribute)


def _found(name: str, module: str, attribute: str) -> Any:
    """Returns the object `attribute` of a module.  Raises InputError if it cannot be found or imported."""
    try:
        holder = importlib.import_module(module)
    except ModuleNotFoundError as error:
        # Either this module, or a package on the way to it, does not exist; or it exists and imports one that does not.
        if not (error.name and f"{module}.".startswith(f"{error.name}.")):
            raise _unusable(name, module, error) from error
        raise InputError(
            f"there is no subject {shown(name)}: no module {error.name} can be imported from this folder."
        ) from None
    except (Exception, SystemExit) as error:  # a user's module may do anything when it is imported
        raise _unusable(name, module, error) from error
    if not hasattr(holder, attribute):
        public = [one for one in vars(holder) if not one.startswith("_")]
        near = nearest(attribute, public).rstrip(";")
        raise InputError(
            f"there is no subject {shown(name)}: module {module} has nothing called {shown(attribute)}{near or '.'}"
        )
    return getattr(holder, attribute)


def _unusable(name: str, module: str, error: BaseException) -> InputError:
    """Returns the error that says why a module could not be imported, and in which of its lines that happened."""
    said = " ".join(str(error).split()).rstrip(".")
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    where = f", in line {ours[-1].lineno} of {ours[-1].filename}" if len(ours) > 1 else ""
    return InputError(
        f"subject {shown(name)}: module {module} cannot be imported: "
        f"{type(error).__name__}{f': {said[:300]}' if said else ''}{where}."
    )
