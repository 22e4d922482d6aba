"""Notes how far a decode has come, so that it can continue after it was stopped in any way, even killed.

The mark holds the number of images that are on the disk for certain, and a digest of the names,
sizes and times of the files that they came from.  Files further on are not part of the digest, so
changing one of those does not undo what is done.
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
    """The mark in the file `path`; `images` is the number of images that it counts.

    `lines` yields one line for each image, from the first on, which changes when the image's file does.
    """

    def __init__(self, path: Path, lines: Callable[[], Iterator[str]]) -> None:
        self._path, self._all_lines = path, lines
        self._start()
        kept = self._trusted()
        if self.images != kept:  # the images have changed since, or are those of another folder
            self._start()

    def _start(self) -> None:
        self.images = 0
        self._lines, self._digest = self._all_lines(), hashlib.sha256()
        self._written = time.monotonic()

    def _trusted(self) -> int:
        """Reads the mark and returns its number of images if their lines are still the same, otherwise 0."""
        try:
            mark = json.loads(self._path.read_text(encoding="utf-8"))
            images, digest = mark["images"], mark["digest"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):  # it is missing or damaged
            return 0
        if not isinstance(images, int) or images < 0:
            return 0
        self._move(images)
        return self.images if self._digest.hexdigest() == digest else 0

    def forget(self) -> None:
        """Starts again at zero images; for when the disk does not hold what the mark says."""
        self._start()

    def _move(self, count: int) -> None:
        for line in islice(self._lines, count):
            self._digest.update(f"{line}\n".encode(errors="surrogateescape"))
            self.images += 1

    def move(self, count: int, file: IO[bytes]) -> None:
        """Counts the next `count` images, just written to `file`, and writes the mark every ten seconds."""
        self._move(count)
        if time.monotonic() - self._written >= SECONDS_BETWEEN_MARKS:
            self.write(file)

    def write(self, file: IO[bytes]) -> None:
        """Writes the mark.

        `file` is flushed to the disk first, so that the mark never counts images that a crash could still lose.
        """
        file.flush()
        os.fsync(file.fileno())
        write_json(self._path, {"images": self.images, "digest": self._digest.hexdigest()})
        self._written = time.monotonic()
