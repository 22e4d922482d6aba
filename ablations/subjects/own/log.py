"""What a trial prints, in a file of limited size: a training that prints without end fills no disk.

A log keeps its beginning and its end, and says where it was cut and how much is missing there.
"""

from __future__ import annotations

import os
import re
import threading
from multiprocessing.connection import Connection
from pathlib import Path

from ablations.core.text import PRINTED
from ablations.records.files import replaced

KEPT = 2**20  # bytes that a log keeps of its beginning, and at least of its end
LOOK = 0.2  # seconds from one look at a silent pipe to the next
LAST = 20  # lines of what a failed trial printed that its record keeps
MARK = re.compile(rb"\[\.\.\. (\d+) bytes were printed here and are left out \.\.\.\]\n")


class Log:
    """Appends to the file at `path` what comes through a pipe, until nobody can write into it any more, or `close`."""

    def __init__(self, path: Path, pipe: Connection) -> None:
        """`pipe` is the end that is read.  A disk without room costs what is printed meanwhile, and no trial."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.pipe = path, pipe
        self.file = path.open("ab", buffering=0)
        self.size, self.missing = self.file.tell(), 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._follow, name="log", daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Waits for what is in the pipe; what processes print later that have outlived their trial is lost."""
        self.over.set()
        self.thread.join()

    def last(self) -> str:
        """The last lines, for a record, once what was printed is there; empty where there are none."""
        self.thread.join(1.0)
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.path.stat().st_size - KEPT))
                lines = file.read().decode("utf-8", "replace").splitlines()[-LAST:]
        except OSError:
            return ""
        return PRINTED + "\n".join(lines) if lines else ""

    def _follow(self) -> None:
        left = KEPT  # bytes that are still read when it is over: who has outlived the trial may print for ever
        with self.pipe:
            while left > 0:
                over = self.over.is_set()
                if self.pipe.poll(0 if over else LOOK):
                    if not (printed := os.read(self.pipe.fileno(), 2**16)):
                        break
                    self._add(printed)
                    left -= len(printed) if over else 0
                elif over:
                    break
        self.file.close()

    def _add(self, printed: bytes) -> None:
        try:
            mark = _mark(self.missing) if self.missing else b""
            written = self.file.write(mark + printed)
            self.size, self.missing = self.size + (written or 0), 0
            if self.size > 3 * KEPT:
                self._cut()
        except (OSError, ValueError):  # of a file that could not be opened again
            self.missing += len(printed)

    def _cut(self) -> None:
        """Takes the middle out."""
        content = self.path.read_bytes()
        before = MARK.search(content, 0, KEPT + 100)
        begins = before.start() if before else content.rfind(b"\n", 0, KEPT) + 1 or KEPT
        begun = before.end() if before else begins
        goes_on = content.find(b"\n", len(content) - KEPT) + 1 or len(content) - KEPT
        missing = goes_on - begun + (int(before[1]) if before else 0)
        with replaced(self.path) as file:
            file.write(content[:begins] + _mark(missing) + content[goes_on:])
        self.file.close()
        self.file = self.path.open("ab", buffering=0)
        self.size = self.file.tell()


def _mark(missing: int) -> bytes:
    return b"[... %d bytes were printed here and are left out ...]\n" % missing
