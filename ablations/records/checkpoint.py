"""An unfinished training on disk, where the same command goes on: results/<study>/unfinished/<key>.npz.

The file is written after a step if a minute has passed since it was last written, so short trainings never write one.
It is removed when the records of its trials exist, at the latest when the study ends.  On a CPU, a continued training
is equal bit for bit to one that was never interrupted: the file holds the weights, the optimiser's state, the random
streams of dropout and the sums of the epoch, and every other draw depends on the seed, the epoch and the image alone.
Nothing is unpickled.
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
from ablations.records.leftovers import tidy

EVERY_SECONDS = 60.0  # least time between two checkpoints of a training
WRITING_SHARE = 0.02  # largest share of the time that writing may take: on a slow disk it is done less often


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The state of an unfinished training."""

    tensors: Mapping[str, Any]  # name -> numpy array, or tensor of the subject's library
    values: Mapping[str, Any]  # plain JSON values


def unfinished_path(folder: Path, key: str) -> Path:
    """Returns where the checkpoint of a training lies in the study's folder; `key` is that of `Trial.training`."""
    return folder / "unfinished" / f"{key}.npz"


def kept_name(key: str) -> str:
    """Returns the name, without suffix, of the file that holds a trained network until its activities are measured."""
    return f"{key}-trained"


class Checkpoint:
    """The checkpoint file of one training.

    Attributes:
        code: digest of the code that trains; a checkpoint of other code is not read.
        started: when the first process of this training began.
        seconds: how long earlier processes have trained.
        stops: the number of steps after which each earlier process left off, as far as its checkpoint tells.
        turns: how many trainings take turns in this process and so share the time for writing.
        every: least number of seconds between two writes; None: EVERY_SECONDS.
        as_read: turns an array that was read into a tensor of the subject's library.
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
        """Returns the state in the file; None if there is no readable file, or if other code wrote it."""
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
        """Tells whether it is time to write again.  It is asked after each step, so it must not wait for a GPU."""
        return time.monotonic() >= self.next

    def write(self, steps: int, kept: Kept) -> None:
        """Writes the state after `steps` steps.  If the disk refuses, it warns and the training goes on."""
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
        """Removes the file, if there is one."""
        self.path.unlink(missing_ok=True)


def _plain(tensor: Any) -> Any:
    """Returns a tensor, on whatever device, as an array in the processor's memory."""
    return tensor.detach().cpu().numpy() if hasattr(tensor, "detach") else np.asarray(tensor)


def sweep(folder: Path, wanted: Collection[str]) -> None:
    """Removes what killed processes left of a study, except the checkpoints whose names are `wanted`.

    Names are keys of trainings, or what `kept_name` makes of them.
    """
    tidy(folder)
    left = unfinished_path(folder, "").parent
    for path in left.glob("*") if left.is_dir() else ():
        if path.stem not in wanted:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        left.rmdir()
