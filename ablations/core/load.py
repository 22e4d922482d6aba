"""A subject by its name, and the names that mean something to the engine.  The one place that imports subjects."""

from __future__ import annotations

import importlib
import traceback
from functools import cache
from importlib.resources import files
from typing import Any

from ablations.core.errors import InputError, nearest, shown

FIRST = "alexnet"  # the subject of records that do not name theirs
REPEAT = "repeat"  # of `Result.extras`: the trace of the same trial, run once more
PLACEBO, SABOTAGE, MILD = "placebo", "sabotage", "mild_sabotage"  # names of controls, and what each of them is
KINDS = f"it is {FIRST}, MODULE:OBJECT of your own, or the path of a study file, such as study.py"


def is_file(name: str) -> bool:
    """Whether a subject is a study file, by its path."""
    return name.endswith((".py", ".toml"))


@cache
def load(name: str) -> Any:
    """The subject of that name: "alexnet", `package.module:object`, or the path of a study file.

    Its `name` is what it is called in every record.  Raises InputError where there is none, and where its module cannot
    be imported; whether what is found is a subject, `ablations.core.signed` sees to.
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
    """What is called `attribute` in a module."""
    try:
        holder = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not (error.name and f"{module}.".startswith(f"{error.name}.")):
            raise _unusable(name, module, error) from error
        raise InputError(
            f"there is no subject {shown(name)}: no module {error.name} can be imported from this folder."
        ) from None
    except (Exception, SystemExit) as error:  # whatever somebody else's module does when it is imported
        raise _unusable(name, module, error) from error
    if not hasattr(holder, attribute):
        public = [one for one in vars(holder) if not one.startswith("_")]
        near = nearest(attribute, public).rstrip(";")
        raise InputError(
            f"there is no subject {shown(name)}: module {module} has nothing called {shown(attribute)}{near or '.'}"
        )
    return getattr(holder, attribute)


def _unusable(name: str, module: str, error: BaseException) -> InputError:
    """What a module did wrong when it was imported, and in which of its lines."""
    said = " ".join(str(error).split()).rstrip(".")
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    where = f", in line {ours[-1].lineno} of {ours[-1].filename}" if len(ours) > 1 else ""
    return InputError(
        f"subject {shown(name)}: module {module} cannot be imported: "
        f"{type(error).__name__}{f': {said[:300]}' if said else ''}{where}."
    )
