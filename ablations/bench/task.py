"""What a contender trains, and the clock that it reports to."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, TextIO

CHECK_BATCH = 16  # images of a step in the check that contenders do the same work
CLASSES = 10  # of images that are random bytes


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a contender trains, and on which data.  It holds plain values, as it is sent as JSON."""

    contender: str  # a key of `contenders.CONTENDERS`
    net: str  # name of a preset
    image_size: int  # pixels of a side
    batch_size: int  # images of a step
    folder: str  # the prepared data set; "" for random bytes
    images: int  # number of images of random bytes
    threads: int
    loader_workers: int = 0  # processes that read images
    steps: int = 4  # steps of our training between two reports to the clock


class Clock:
    """Counts what was done, reports it at the first call after the time of a slice, and waits for the next slice."""

    def __init__(self, asked: TextIO, answers: TextIO) -> None:
        self.asked, self.answers = asked, answers
        # The first slice has no time, so the first call reports that the contender has started.
        self.seconds, self.began, self.done = 0.0, time.perf_counter(), 0.0

    def __call__(self, amount: float) -> None:
        """Adds `amount`, mostly images, to what is done.  Raises SystemExit if no further slice is asked for."""
        self.done += amount
        elapsed = time.perf_counter() - self.began
        if elapsed < self.seconds:
            return
        self.answer({"done": self.done, "seconds": elapsed})
        line = self.asked.readline()
        if not line.strip():
            raise SystemExit(0)
        self.seconds, self.done, self.began = float(line), 0.0, time.perf_counter()

    def answer(self, values: dict[str, Any]) -> None:
        """Writes `values` as one line of JSON."""
        print(json.dumps(values), file=self.answers, flush=True)
