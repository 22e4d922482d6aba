"""What a contender is asked to train, and the clock that it reports to."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, TextIO

CHECK_BATCH = 16  # images of a step in the check that contenders do the same work
CLASSES = 10  # of images that are random bytes


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a contender trains, and on what.  Plain values: it travels as JSON."""

    contender: str
    net: str  # a preset
    image_size: int
    batch_size: int
    folder: str  # of a prepared data set; "" for random bytes
    images: int  # of those
    threads: int
    loader_workers: int = 0
    steps: int = 4  # of ours between two looks at the clock


class Clock:
    """Counts what was done and ends a slice at the first call after its time; between slices it waits."""

    def __init__(self, asked: TextIO, answers: TextIO) -> None:
        self.asked, self.answers = asked, answers
        # The first call answers at once: that is the end of the start-up.
        self.seconds, self.began, self.done = 0.0, time.perf_counter(), 0.0

    def __call__(self, amount: float) -> None:
        """Notes that `amount` (images, as a rule) is done.  Raises SystemExit when there is no more to do."""
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
        """Writes one line of JSON."""
        print(json.dumps(values), file=self.answers, flush=True)
