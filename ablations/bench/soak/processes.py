"""The processes of a soak, found by a mark in their environment: whoever started them, and whoever has died since."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MARK = "ABLATIONS_SOAK"
WORKER = "ray::ImplicitFunc"  # what Ray calls a process that runs our trials
MIB = 2**20


@dataclass(frozen=True)
class Process:
    """A process that runs, and what it calls itself."""

    number: int
    title: str
    name: str  # of its program, as the kernel has it

    @property
    def is_worker(self) -> bool:
        """Whether it runs trials."""
        return self.title.startswith(WORKER)


def marked(mark: str) -> list[Process]:
    """All processes that live and were started with `mark` in their environment, this one not among them."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if wanted not in (entry / "environ").read_bytes().split(b"\0"):
                continue
            title = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            name = (entry / "comm").read_text().strip()
        except OSError:  # it has ended, or is another user's
            continue
        if title:  # one that has ended and is not collected yet has none
            found.append(Process(int(entry.name), title, name))
    return found


def left_after(mark: str, seconds: float) -> list[Process]:
    """The processes of `mark` that still live after so many seconds; at once where there are none."""
    until = time.monotonic() + seconds
    while (left := marked(mark)) and time.monotonic() < until:
        time.sleep(0.2)
    return left


def memory_mib(process: int) -> float:
    """What `process` holds of the machine's memory; 0 when it has ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def processor_seconds(process: int) -> float:
    """What `process` has computed so far; 0 when it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def workers(mark: str) -> Sequence[Process]:
    """The processes that run trials."""
    return [process for process in marked(mark) if process.is_worker]
