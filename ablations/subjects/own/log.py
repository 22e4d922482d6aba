"""The log of a trial: a file of limited size, so that a trial which prints without end does not fill the disk.

It keeps the beginning and the end of what was printed, with a line that says how much is missing between them.
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
WAIT_SECONDS = 0.2  # how long a silent pipe is waited for at a time
LAST = 20  # last printed lines that the record of a failed trial keeps
MARK = re.compile(rb"\[\.\.\. (\d+) bytes were printed here and are left out \.\.\.\]\n")


class Log:
    """Appends to the file at `path` what comes through a pipe, until all its writers have closed it, or `close`."""

    def __init__(self, path: Path, pipe: Connection) -> None:
        """`pipe` is the reading end.  If the disk is full, what is printed meanwhile is lost, and the trial goes on."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.pipe = path, pipe
        self.file = path.open("ab", buffering=0)
        self.size, self.missing = self.file.tell(), 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._follow, name="log", daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Waits until the pipe is empty.

        What is printed later, by processes that outlive their trial, is lost.
        """
        self.over.set()
        self.thread.join()

    def last(self) -> str:
        """Returns the last printed lines for a record, after a wait of a second at most; empty if there are none."""
        self.thread.join(1.0)
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.path.stat().st_size - KEPT))
                lines = file.read().decode("utf-8", "replace").splitlines()[-LAST:]
        except OSError:
            return ""
        return PRINTED + "\n".join(lines) if lines else ""

    def _follow(self) -> None:
        left = KEPT  # bytes still read after `close`, as a process that outlives the trial may print for ever
        with self.pipe:
            while left > 0:
                over = self.over.is_set()
                if self.pipe.poll(0 if over else WAIT_SECONDS):
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
        except (OSError, ValueError):  # ValueError: `_cut` closed the file and could not open it again
            self.missing += len(printed)

    def _cut(self) -> None:
        """Removes the middle of the file."""
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
