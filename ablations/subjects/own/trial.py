"""Runs a trial in its process: imports the study file, passes the arguments that it asks for, and checks its rows."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Generator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from ablations.core.errors import InputError, nearest, shown
from ablations.subject import Diverged, Subject
from ablations.subjects.own.configs import like
from ablations.subjects.own.data import as_argument
from ablations.subjects.own.metrics import stopped
from ablations.subjects.own.outcome import EXAMPLES, vectors
from ablations.subjects.own.streams import Streams, seed_all
from ablations.subjects.own.unfinished import Unfinished

# The arguments that a trial function may have.
ARGUMENTS = ("config", "seed", "streams", "threads", "device", "folder", "report", "checkpoint", "data")
LONGEST = 200  # most characters of the name of a number
SALT = 1_000_000  # the seed of a placebo's trial is this much larger


def salted(seed: int, salt: int) -> int:
    """Returns the seed that a trial is given: its own, or for the placebo one far beyond all of `--seeds`."""
    return seed + SALT * salt


def imported(path: str) -> ModuleType:
    """Returns the study file as a module; its folder is the first place that it imports from.

    A file is imported once, and again if it was edited since, as by somebody who runs studies from a notebook: the
    record of a trial names the code as it is in the file.
    """
    return _imported(path, Path(path).read_bytes())


@cache
def _imported(path: str, content: bytes) -> ModuleType:
    where = Path(path)
    sys.path.insert(0, str(where.parent))
    name = f"ablations_study_{where.stem}"
    spec = importlib.util.spec_from_file_location(name, where)
    assert spec
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        # Not by the loader, which may use old bytecode for a file that was written again within a second.
        exec(compile(content, where, "exec"), vars(module))
    except BaseException:
        sys.modules.pop(name, None)
        sys.path.remove(str(where.parent))
        raise
    return module


def subject_in(module: ModuleType) -> Subject:
    """Returns the one `Subject` of a study file.  Raises InputError if there is not just one, with a trial function."""
    found = [value for value in vars(module).values() if isinstance(value, Subject)]
    unique = list({id(one): one for one in found}.values())
    where = Path(str(module.__file__)).name
    if len(unique) != 1:
        raise InputError(f"{where} holds {'no' if not unique else len(unique)} Subject; a study file has one.")
    if unique[0].function is None:
        raise InputError(f"{where} has no trial function: put @subject.trial above the function that runs one.")
    check_arguments(unique[0].function)
    return unique[0]


def check_arguments(function: Callable[..., Any]) -> None:
    """Raises InputError if a trial function has an argument that it cannot be given."""
    for name, one in inspect.signature(function).parameters.items():
        if name not in ARGUMENTS and one.default is inspect.Parameter.empty:
            raise InputError(
                f"the trial function asks for {shown(name)}{nearest(name, ARGUMENTS)} it can ask for "
                f"{', '.join(ARGUMENTS)}."
            )


def rows(task: Mapping[str, Any]) -> Generator[dict[str, Any], None, dict[str, Any]]:
    """Yields the rows of one trial, plain numbers by name, the last of which is its result.  Returns what it came to.

    Rows that earlier processes sent come first.  Raises `Diverged` on a number that is not finite, and TypeError on a
    value that is no number.
    """
    subject = subject_in(imported(str(task["path"])))
    function = subject.function
    assert function
    streams, kept = Streams(task["seed"], task["salt"]), task["unfinished"]
    unfinished = Unfinished(Path(kept["path"]), streams, code=kept["code"], every=kept["every"])
    said, last = unfinished.waiting, dict[str, Any]()
    given = {
        "config": like(subject.reference, task["config"]),
        "seed": salted(task["seed"], task["salt"]),
        "streams": streams,
        "threads": task["threads"],
        "device": task["device"],
        "folder": Path(task["folder"]),
        "report": lambda **row: said.append(_told(row, unfinished)),
        "checkpoint": unfinished,
        "data": as_argument(task["data"]),
    }
    _prepare(given["seed"], task["threads"])
    asked = inspect.signature(function).parameters
    streams.handed_out = [] if "checkpoint" in asked else None
    outcome = function(**{name: value for name, value in given.items() if name in asked})
    while inspect.isgenerator(outcome):
        try:
            row = next(outcome)
        except StopIteration as end:
            outcome = end.value  # a generator's return value is added to its last row
            break
        told = [*said, {**unfinished.last, **_numbers(row, unfinished)}]
        said.clear()
        unfinished.last = told[-1]
        yield from unfinished.telling(told)
    yield from unfinished.telling(said)
    last = {**unfinished.last, **(said[-1] if said else {})}
    if outcome is not None:
        last = {**last, **_numbers(outcome, unfinished)}
        yield last
    unfinished.notes += filter(None, (stopped(unfinished.fresh, name, name) for name in subject.metrics))
    return {"done": last, **unfinished.told()}


def _prepare(seed: int, threads: int) -> None:
    seed_all(seed)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)
        torch.backends.cudnn.deterministic = True


def _numbers(row: Any, unfinished: Unfinished) -> dict[str, Any]:
    """Returns the numbers of a row.  Examples are kept apart: those of the last row that has any count."""
    if isinstance(row, Mapping) and EXAMPLES in row:
        unfinished.examples = vectors(row[EXAMPLES])
        row = {name: value for name, value in row.items() if name != EXAMPLES}
    return _told(row, unfinished)


def _told(row: Any, unfinished: Unfinished) -> dict[str, Any]:
    unfinished.fresh.append(found := _checked(row))
    return found


def _checked(row: Any) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise TypeError(f"a trial gives {shown(row)}; it must be a mapping of names to numbers.")
    for name in row:
        if not str(name).isprintable() or not 0 < len(str(name)) <= LONGEST:
            raise TypeError(f"a number is called {shown(name)}; a name has 1 to {LONGEST} characters, all to be shown.")
    return {str(name): _number(str(name), value) for name, value in row.items()}


def _number(name: str, value: Any) -> float | int:
    if hasattr(value, "item"):  # a scalar of numpy or torch
        value = value.item()
    if isinstance(value, bool):
        return int(value)
    if not isinstance(value, int | float):
        raise TypeError(f"{name} is {shown(value)}, which is no number")
    if not abs(value) <= sys.float_info.max:  # a whole number may be too large for a float
        raise Diverged(f"{name} is {shown(value) if isinstance(value, int) else value}")
    return value
