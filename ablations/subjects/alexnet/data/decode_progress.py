"""Shows how far a long decode is: a bar on a terminal, a plain line every few seconds in a log, or nothing."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

from ablations.core.text import duration

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts up to `total` images on stderr while it is open, or prints nothing if `quiet`.

    The first `again` images were decoded by an earlier run and are only read, which is faster, so the estimate of the
    time left is based on the others.
    """

    def __init__(self, total: int, what: str, *, again: int = 0, quiet: bool) -> None:
        self._total, self._what, self._again, self._done = total, what, again, 0
        terminal = sys.stderr.isatty()
        self._bar = tqdm(total=total, desc=what, unit=" images", disable=quiet or not terminal)
        self._lines = not quiet and not terminal
        self._began = self._last = time.monotonic()
        if again and not quiet:
            tqdm.write(f"{what}: {again:,} of {total:,} images were decoded before; going on", file=sys.stderr)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def add(self, count: int) -> None:
        """Counts `count` more images as done, and updates the bar or prints a line with the estimated time left."""
        self._done += count
        self._bar.update(count)
        now = time.monotonic()
        if self._done <= self._again:
            self._began = now
        elif self._lines and now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            left = (now - self._began) * (self._total - self._done) / (self._done - self._again)
            line = f"{self._what}: {self._done:,} of {self._total:,} images, about {duration(round(left))} left"
            print(line, file=sys.stderr, flush=True)
