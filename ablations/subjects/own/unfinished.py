"""The argument `checkpoint` of a trial function: after a kill, a trial goes on from its last checkpoint, bit for bit.

A checkpoint holds what the trial passes to it, the rows that it has sent, and the states of its random generators.  It
is a file of `ablations.records.checkpoint` in `unfinished/`, beside the records.
"""

from __future__ import annotations

import importlib.metadata
import random
import resource
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ablations.core.errors import shown
from ablations.core.trial import Trial
from ablations.records import checkpoint
from ablations.records.checkpoint import Checkpoint, Kept
from ablations.records.files import UNREADABLE
from ablations.subjects.own.child import mebibytes
from ablations.subjects.own.plain_state import packed, unpacked
from ablations.subjects.own.streams import Streams

ANEW = "the checkpoint of an unfinished training could not be read, or was of other versions: training began anew"


def path_of(trial: Trial, folder: Path, again: str = "") -> Path:
    """Returns the path of a trial's checkpoint in the study's folder; `again` names a second run of the trial."""
    return checkpoint.unfinished_path(folder, f"{trial.training.key}-{again}" if again else trial.training.key)


def kept_of(trial: Trial, folder: Path, again: str = "") -> dict[str, Any]:
    """Returns what the process of a trial must know to write checkpoints, as plain JSON."""
    path = str(path_of(trial, folder, again))
    return {"path": path, "code": trial.config["code"], "every": checkpoint.EVERY_SECONDS}


class Unfinished:
    """One trial, which an earlier process may have begun.

    The global generators of Python, numpy and torch go on from their states, and so do those that `streams` had handed
    out before `epochs` or `read`.  Streams that are asked for later start as they always do.
    """

    def __init__(self, path: Path, streams: Streams, *, code: str, every: float | None = None) -> None:
        """`code` is the digest of what decides the trial.

        A trial only goes on from a checkpoint of the same code and of the same versions of libraries.
        """
        self.file = Checkpoint(path, code=f"{code} {_versions()}", every=every)
        self.streams = streams
        self.generators: list[Any] = []  # those that the streams handed out before the first epoch
        self.rows: list[dict[str, Any]] = []  # sent so far, by this process and earlier ones
        self.fresh: list[Mapping[str, Any]] = []  # rows of this process, as the trial gave them
        self.waiting: list[dict[str, Any]] = []  # rows of the argument `report` that were not sent yet
        self.last: dict[str, Any] = {}  # the last row that was sent, with numbers of earlier rows that it lacks
        self.examples: dict[str, list[float]] = {}  # metric -> a number for each evaluated example, of the last row
        self.again: list[dict[str, Any]] = []  # rows of earlier processes, which this one sends first
        self.cpu_seconds, self.memory_mib = 0.0, 0.0  # of earlier processes
        self.notes: list[str] = []
        self.stopping = False

    def epochs(self, count: int, *things: Any) -> Iterator[int]:
        """Yields the numbers of the epochs that are left of 1 to `count`.

        Each of `things` has `state_dict` and `load_state_dict`, such as a torch module or an optimiser; it is set to
        its state after the last epoch of the checkpoint.  Raises TypeError on any other thing.
        """
        for thing in things:
            if not callable(getattr(thing, "state_dict", None)) or not callable(
                getattr(thing, "load_state_dict", None)
            ):
                raise TypeError(
                    f"checkpoint.epochs was given {shown(thing)}, which has no state_dict and load_state_dict; keep it "
                    "with checkpoint.read and checkpoint.write, or leave it out where `streams` gave it: how far those "
                    "generators are is kept anyway."
                )
        kept = self.read()
        begins = 0
        if kept is not None:
            self._load(things, kept["things"])
            begins = kept["epoch"]
        before = _on_terminate(self)
        try:
            for epoch in range(begins + 1, count + 1):
                yield epoch
                if self.stopping or self.due():
                    self.write({"epoch": epoch, "things": [thing.state_dict() for thing in things]})
                if self.stopping:
                    raise SystemExit(f"it was stopped after epoch {epoch}, and goes on from there")
        finally:
            if before is not None:
                signal.signal(signal.SIGTERM, before)

    def _load(self, things: Sequence[Any], states: Sequence[Any]) -> None:
        try:
            for thing, state in zip(things, states, strict=True):
                thing.load_state_dict(state)
        except Exception as error:
            where = "/".join(self.file.path.parts[-2:])
            raise RuntimeError(f"what was kept does not fit; remove {where} to begin anew: {error}") from error

    def read(self) -> dict[str, Any] | None:
        """Returns what an earlier process wrote last, and sets every generator to its state then.

        Returns None if there is no checkpoint that can be used.
        """
        self.generators, self.streams.handed_out = self.streams.handed_out or [], None
        there = self.file.path.exists()
        kept = self.file.read()
        try:
            return None if kept is None else self._restored(kept)
        except UNREADABLE:
            kept = None
            return None
        finally:
            if there and kept is None:
                self.notes.append(ANEW)
                self.file.seconds, self.file.stops = 0.0, []

    def _restored(self, kept: Kept) -> dict[str, Any]:
        values = unpacked(kept.values, kept.tensors)
        if len(values["streams"]) != len(self.generators):
            raise ValueError("other streams were handed out")
        for generator, state in zip(self.generators, values["streams"], strict=True):
            _set(generator, state)
        _set_global(values["global"])
        self.rows, self.waiting[:], self.last = values["rows"], values["waiting"], values["last"]
        self.again = list(self.rows)
        self.examples = {name: vector.tolist() for name, vector in values["examples"].items()}
        self.cpu_seconds, self.memory_mib = values["cpu_seconds"], values["memory_mib"]
        found: dict[str, Any] = values["kept"]
        return found

    def telling(self, rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yields the rows of earlier processes that were not sent yet, then `rows`, and keeps all of them."""
        told = [*self.again, *rows]
        self.again = []
        self.rows += rows
        yield from told

    def due(self) -> bool:
        """Tells whether it is time to write: once a minute, or less often if writing takes long."""
        return self.file.due()

    def write(self, mapping: Mapping[str, Any]) -> None:
        """Writes `mapping`, of numbers, text, arrays, tensors and lists and dicts of them, for `read`.

        Raises TypeError that names a value of another type.
        """
        arrays: dict[str, Any] = {}
        values = {
            "kept": packed(dict(mapping), arrays, "the checkpoint"),
            "streams": packed([_state(one) for one in self.generators], arrays),
            "global": packed(_global(), arrays),
            **{name: packed(getattr(self, name), arrays, name) for name in ("rows", "waiting", "last")},
            "examples": packed({name: np.array(vector) for name, vector in self.examples.items()}, arrays),
            **self.used(),
        }
        kept = Kept(tensors=arrays, values={"dict": [*values.items()]})
        self.file.write(int(mapping.get("epoch", len(self.rows))), kept)

    def used(self) -> dict[str, float]:
        """Returns the processor seconds and the largest memory in MiB, with those of earlier processes."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "cpu_seconds": self.cpu_seconds + used.ru_utime + used.ru_stime,
            "memory_mib": max(self.memory_mib, mebibytes(used)),
        }

    def told(self) -> dict[str, Any]:
        """Returns what the record holds of it: what it used, after which epochs it was stopped, and notes."""
        examples = {"examples": self.examples}
        return {**self.used(), **examples, "seconds": self.file.seconds, "stops": self.file.stops, "notes": self.notes}


def _versions() -> str:
    found = [f"python {sys.version_info[:3]}"]
    for name in ("numpy", "torch"):
        if name in sys.modules:
            found.append(f"{name} {importlib.metadata.version(name)}")
    return " ".join(found)


def _on_terminate(unfinished: Unfinished) -> Any:
    """Makes SIGTERM end the trial after its epoch, which is written.

    Returns the handler before, or None outside of the main thread, where no handler can be set.
    """

    def stop(number: int, frame: object) -> None:
        unfinished.stopping = True

    try:
        return signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not in the main thread
        return None


def _state(generator: Any) -> Any:
    if isinstance(generator, random.Random):
        return generator.getstate()
    return generator.get_state() if hasattr(generator, "get_state") else generator.bit_generator.state


def _set(generator: Any, state: Any) -> None:
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif hasattr(generator, "set_state"):
        generator.set_state(state)
    else:
        generator.bit_generator.state = state


def _global() -> dict[str, Any]:
    """Returns the states of the global generators of the libraries that are loaded."""
    found: dict[str, Any] = {"python": random.getstate()}
    if numpy := sys.modules.get("numpy"):
        found["numpy"] = numpy.random.get_state()
    if torch := sys.modules.get("torch"):
        found["torch"] = torch.get_rng_state()
        if torch.cuda.is_initialized():
            found["cuda"] = torch.cuda.get_rng_state_all()
    return found


def _set_global(found: Mapping[str, Any]) -> None:
    random.setstate(found["python"])
    if "numpy" in found:
        import numpy as np

        np.random.set_state(found["numpy"])
    if "torch" in found:
        import torch

        torch.set_rng_state(found["torch"])
        if "cuda" in found:
            torch.cuda.set_rng_state_all(found["cuda"])
