"""How far a long job is: a bar on a terminal, now and then a plain line in a log, or nothing."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

from ablations.core.text import duration

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts up to `total` on stderr while it is open; `quiet` says nothing.

    The first `again` come from an earlier run and are only read: the time left does not count them.
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
        """Counts `count` more as done; the line or bar says the share and the estimated time left."""
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
