"""How far a decode has come, noted beside its images, so that one that was stopped, however hard, goes on.

The mark holds the number of images that are on the disk for certain, and a digest of the names,
sizes and times of the files that they came from: a change further on costs nothing of what is done.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO

from ablations.records.files import write_json

SECONDS_BETWEEN_MARKS = 10.0


class Mark:
    """The mark in `path`; `lines` gives a line an image, from the first on, that changes when its file does."""

    def __init__(self, path: Path, lines: Callable[[], Iterator[str]]) -> None:
        self._path, self._all_lines = path, lines
        self._start()
        kept = self._trusted()
        if self.images != kept:  # another folder's images, or changed ones
            self._start()

    def _start(self) -> None:
        self.images = 0
        self._lines, self._digest = self._all_lines(), hashlib.sha256()
        self._written = time.monotonic()

    def _trusted(self) -> int:
        """How many images of the mark are those of `lines`: all or none of them."""
        try:
            mark = json.loads(self._path.read_text(encoding="utf-8"))
            images, digest = mark["images"], mark["digest"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):  # not there, or damaged
            return 0
        if not isinstance(images, int) or images < 0:
            return 0
        self._move(images)
        return self.images if self._digest.hexdigest() == digest else 0

    def forget(self) -> None:
        """Starts again: what is on the disk is not what was noted."""
        self._start()

    def _move(self, count: int) -> None:
        for line in islice(self._lines, count):
            self._digest.update(f"{line}\n".encode(errors="surrogateescape"))
            self.images += 1

    def move(self, count: int, file: IO[bytes]) -> None:
        """Counts the next `count` images, just written to `file`, and now and then makes sure of them."""
        self._move(count)
        if time.monotonic() - self._written >= SECONDS_BETWEEN_MARKS:
            self.write(file)

    def write(self, file: IO[bytes]) -> None:
        """Flushes `file` to the disk and then notes how far it goes."""
        file.flush()
        os.fsync(file.fileno())
        write_json(self._path, {"images": self.images, "digest": self._digest.hexdigest()})
        self._written = time.monotonic()
