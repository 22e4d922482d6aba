"""Reads the output of a script as rows of numbers."""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import os
import re
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablations.subject import LAST
from ablations.subjects.own.child import TrialError
from ablations.subjects.own.trial import LONGEST
from ablations.subjects.script.patterns import matches

LAST_LINE, STDOUT, JSON, JSONL, CSV, TENSORBOARD, MLFLOW = SOURCES = (
    "last line",
    "stdout",
    "json",
    "jsonl",
    "csv",
    "tensorboard",
    "mlflow",
)
FILES = (JSON, JSONL, CSV, TENSORBOARD)  # sources that are read from a path after the trial
STORE = "mlflow.db"  # file of the trial's own MLflow store, in its folder

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Read:
    """Where the numbers of a trial are, and which row of them counts."""

    source: str = LAST_LINE  # one of SOURCES
    where: str = ""  # the pattern or the path; empty for other sources
    take: str = LAST  # the row that counts: "last", "best" or "mean of last N"


def rows_in(read: Read, line: str) -> Iterator[Row]:
    """Yields the rows in a line of standard output: a JSON object, or matches of the pattern."""
    if read.source == LAST_LINE:
        if (row := _object(line)) is not None:
            yield row
    elif read.source == STDOUT:
        for match in matches(read.where, line):
            yield {name: number(text) for name, text in match.items()}


def _object(line: str) -> Row | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(line)
        return flat(found) if isinstance(found, dict) else None
    except (ValueError, RecursionError):
        return None


def rows_of(read: Read, path: Path) -> list[Row]:
    """Returns the rows of the file or folder at `path`.  Raises TrialError if it cannot be read."""
    try:
        return list(_READERS[read.source](path))
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        raise TrialError(f"{read.source} {path.name} cannot be read: {error}") from error


def _json(path: Path) -> Iterator[Row]:
    found = json.loads(path.read_text(encoding="utf-8"))
    for one in found if isinstance(found, list) else [found]:
        if not isinstance(one, dict):
            raise ValueError("it holds no object of names and numbers")
        yield flat(one)


def _jsonl(path: Path) -> Iterator[Row]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            found = json.loads(line)
            if not isinstance(found, dict):
                raise ValueError("a line of it is no object of names and numbers")
            yield flat(found)


def _csv(path: Path) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            cells = {name: text for name, text in row.items() if isinstance(text, str) and name}
            yield {name: number(text) if text.strip() else None for name, text in cells.items()}


def _tensorboard(folder: Path) -> Iterator[Row]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    for place in sorted({path.parent for path in folder.rglob("*tfevents*")}):
        events = EventAccumulator(str(place), size_guidance={"scalars": 0, "tensors": 0})
        events.Reload()
        found = [(one.step, tag, float(one.value)) for tag in events.Tags()["scalars"] for one in events.Scalars(tag)]
        for tag in events.Tags()["tensors"]:  # newer writers store scalars as tensors
            for one in events.Tensors(tag):
                value = tensor_util.make_ndarray(one.tensor_proto)
                found += [(one.step, tag, float(value))] if value.ndim == 0 and value.dtype.kind in "fiu" else []
        yield from by_step(found)


def by_step(points: Iterable[tuple[int, str, float]]) -> Iterator[Row]:
    """Returns (step, name, value) as rows, one a step; a name that comes twice at a step starts another row."""
    rows: dict[tuple[int, int], Row] = {}
    counts: dict[tuple[int, str], int] = {}
    for step, name, value in points:
        place = counts[step, name] = counts.get((step, name), -1) + 1
        rows.setdefault((step, place), {"step": step})[name] = value
    yield from (rows[key] for key in sorted(rows))


def _mlflow(store: Path) -> Iterator[Row]:
    from ablations.subjects.script.mlflow_store import points

    for run in points(store):
        yield from by_step(run)


_READERS = {JSON: _json, JSONL: _jsonl, CSV: _csv, TENSORBOARD: _tensorboard, MLFLOW: _mlflow}


def lacks(source: str) -> str:
    """Returns the package that a source needs and that is not installed; empty if there is none."""
    if source == TENSORBOARD and importlib.util.find_spec("tensorboard") is None:
        return "tensorboard"
    return ""


def stamp(path: Path) -> int:
    """Returns when `path`, or the newest file below it, was written, in nanoseconds; 0 if there is nothing."""
    if not path.exists():
        return 0
    below = path.rglob("*") if path.is_dir() else [path]
    return max((os.stat(one).st_mtime_ns for one in below if one.is_file()), default=0)


def flat(found: Mapping[str, Any], path: str = "") -> Row:
    """Returns nested objects as one row, with names as `test.accuracy`.

    A row cannot hold a list, so a list becomes its checksum, by which traces of trials still differ.
    """
    row: Row = {}
    for name, value in found.items():
        if isinstance(value, Mapping):
            row |= flat(value, f"{path}{name}.")
        elif isinstance(value, list):
            row[f"{path}{name}.checksum"] = zlib.crc32(json.dumps(value, sort_keys=True).encode())
        else:
            large = isinstance(value, int) and abs(value) > sys.float_info.max
            row[f"{path}{name}"] = (math.inf if value > 0 else -math.inf) if large else value
    return row


def number(text: str) -> float | int | str:
    """Returns a text as a number, or stripped if it is none.

    A whole number that is too large for a float becomes infinite, as a float of that size does.
    """
    for kind in (int, float):
        try:
            return kind(text.strip()) if math.isfinite(float(text)) else float(text)
        except ValueError:
            continue
    return text.strip()


def is_number(value: Any) -> bool:
    """Tells whether a record can hold the value as a number."""
    return isinstance(value, int | float) and math.isfinite(value)


def numbers(row: Row, echoes: Mapping[str, Any]) -> dict[str, float]:
    """Returns the finite numbers of a row, without those that repeat what the trial was given.

    `step` becomes its epoch, unless it has one.
    """
    kept = {name: +value for name, value in row.items() if is_number(value) and not _repeats(name, value, echoes)}
    place = {"epoch": kept["step"]} if "step" in kept and "epoch" not in kept else {}
    return {**place, **kept}


def named(row: Row, columns: Mapping[str, Mapping[str, str]]) -> Row:
    """Returns a row with metrics under their names; another number with a metric's name becomes `NAME as given`."""
    read = {one["from"] for one in columns.values()}
    found: Row = {}
    for name, value in row.items():
        if name not in read:
            found[f"{name} as given" if name in columns else _shown(name)] = value
    return {**found, **{name: row[one["from"]] for name, one in columns.items() if one["from"] in row}}


def _shown(name: str) -> str:
    """Returns a name that a record can hold and a report can show."""
    return "".join(char if char.isprintable() else "?" for char in name)[:LONGEST] or "?"


def last_word(name: str) -> str:
    """Returns `weight_decay` of `Optimizer/weight-decay`: by that, a column is known to repeat a field."""
    return re.split(r"[/.]", name.lower().replace("-", "_"))[-1]


def _repeats(name: str, value: Any, echoes: Mapping[str, Any]) -> bool:
    last = last_word(name)
    return last in echoes and bool(echoes[last] == value)
