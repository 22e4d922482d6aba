"""Finds the processes of a soak by a mark in their environment, even if the process that started them has ended."""

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
    """A running process."""

    number: int  # process id
    title: str  # its command line, which it may have changed
    name: str  # name of its program, as the kernel has it

    @property
    def is_worker(self) -> bool:
        """Whether it is a worker of Ray that runs trials."""
        return self.title.startswith(WORKER)


def marked(mark: str) -> list[Process]:
    """Returns all running processes with `mark` in their environment, except this one."""
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
        if title:  # a process that has ended but was not waited for has none
            found.append(Process(int(entry.name), title, name))
    return found


def left_after(mark: str, seconds: float) -> list[Process]:
    """Waits up to `seconds` for all processes of `mark` to end.  Returns those that still run."""
    until = time.monotonic() + seconds
    while (left := marked(mark)) and time.monotonic() < until:
        time.sleep(0.2)
    return left


def memory_mib(process: int) -> float:
    """Returns the memory of `process` in MiB; 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def processor_seconds(process: int) -> float:
    """Returns the processor time of `process` so far, in seconds; 0 if it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def workers(mark: str) -> Sequence[Process]:
    """Returns the running workers of Ray with `mark` in their environment."""
    return [process for process in marked(mark) if process.is_worker]
