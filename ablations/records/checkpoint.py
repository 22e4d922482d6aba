"""An unfinished training on disk, where the same command goes on: results/<study>/unfinished/<key>.npz.

Written after a step once a minute has passed since the last time, so that short trainings never write one; removed
when the records of its trials are there, at the latest when the study ends.  What goes on is bit for bit what would
have been (on a CPU): weights, the optimiser's state, the streams of dropout and the sums of the epoch are kept, and
every other draw depends on the seed, the epoch and the image alone.  Nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ablations.records.files import UNREADABLE, arrays, replaced

EVERY_SECONDS = 60.0
WRITING_SHARE = 0.02  # of the time, at most: the next one waits longer where the disk is slow


@dataclass(frozen=True, kw_only=True)
class Kept:
    """How far a training is: named arrays or tensors of a library, and values that JSON holds."""

    tensors: Mapping[str, Any]
    values: Mapping[str, Any]


def unfinished_path(folder: Path, key: str) -> Path:
    """Where a training that is under way is kept in the study's folder; `key` is of what its trials share."""
    return folder / "unfinished" / f"{key}.npz"


def kept_name(key: str) -> str:
    """What the file of a trained network is called that is kept until it is measured, without its suffix."""
    return f"{key}-trained"


class Checkpoint:
    """The file of one training, which only the same `code` goes on with.

    `seconds` is what the training took in the processes before this one, `stops` the steps after which each of those
    that kept any left it, and `started` when the first of them began.  `turns` trainings share the time for writing,
    and `every` seconds one writes at most.  `as_read` makes the library's tensor of an array that was read.
    """

    def __init__(
        self,
        path: Path,
        *,
        code: str,
        started: str = "",
        turns: int = 1,
        every: float | None = None,
        as_read: Callable[[Any], Any] = np.asarray,
    ) -> None:
        self.path, self.code, self.started, self.turns, self.as_read = path, code, started, turns, as_read
        self.every = EVERY_SECONDS if every is None else every
        self.began = time.monotonic()
        self.next = self.began + self.every
        self.seconds = 0.0
        self.stops: list[int] = []

    def read(self) -> Kept | None:
        """What is kept; None where there is nothing, or nothing that this code can go on with."""
        try:
            with arrays(self.path) as file:
                values = json.loads(bytes(file["values"]))
                if values["code"] != self.code:
                    logging.getLogger(__name__).warning("A training that other code had begun starts anew.")
                    return None
                tensors = {name: self.as_read(file[name]) for name in file.files if name != "values"}
                kept = Kept(tensors=tensors, values=values["training"])
                self.started, self.seconds = values["started"], values["seconds"]
                self.stops = [*values["stops"], values["steps"]]
        except UNREADABLE:
            return None
        return kept

    def due(self) -> bool:
        """Whether it is time to write again.  Asked after each step, on a GPU too: it waits for nothing."""
        return time.monotonic() >= self.next

    def write(self, steps: int, kept: Kept) -> None:
        """Keeps what there is after `steps` steps.  A full disk costs no training."""
        began = time.monotonic()
        values = {
            "code": self.code,
            "steps": steps,
            "started": self.started,
            "seconds": self.seconds + began - self.began,
            "stops": self.stops,
            "training": kept.values,
        }
        named: dict[str, Any] = {name: _plain(tensor) for name, tensor in kept.tensors.items()}
        try:
            with replaced(self.path) as file:
                np.savez(file, values=np.frombuffer(json.dumps(values).encode(), np.uint8), **named)
        except OSError as error:
            logging.getLogger(__name__).warning("An unfinished training was not kept: %s.", error.strerror or error)
        now = time.monotonic()
        self.next = now + max(self.every, self.turns * (now - began) / WRITING_SHARE)

    def remove(self) -> None:
        """Takes the file away."""
        self.path.unlink(missing_ok=True)


def _plain(tensor: Any) -> Any:
    """A tensor, on whatever device, as an array."""
    return tensor.detach().cpu().numpy() if hasattr(tensor, "detach") else np.asarray(tensor)


def sweep(folder: Path, wanted: Collection[str]) -> None:
    """Takes away what killed processes have left in the study's folder, but for the trainings of these keys."""
    left = unfinished_path(folder, "").parent
    for path in left.glob("*") if left.is_dir() else ():
        if path.stem not in wanted:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        left.rmdir()
