"""Contenders in processes of their own, one after another within a round; rounds that others disturbed are dropped.

Standard library only.  What a round costs is read from /proc, so this is for Linux.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablations.bench.task import Task

TICKS = os.sysconf("SC_CLK_TCK")  # of /proc, a second
MOST_ATTEMPTS = 3  # rounds begun for each that is wanted


class ContenderError(Exception):
    """A contender's process ended without an answer; the message is the last thing that it said."""


class Contender:
    """A way to train, in one process or in several that run side by side."""

    def __init__(self, name: str, tasks: Sequence[Task], environment: Mapping[str, str]) -> None:
        self.name, self.tasks = name, tasks
        began = time.perf_counter()
        self.logs = [tempfile.TemporaryFile("w+") for _ in tasks]  # noqa: SIM115 - `close` closes them
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-m", "ablations.bench.worker", json.dumps(dataclasses.asdict(task))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **environment, "OMP_NUM_THREADS": str(task.threads)},
                start_new_session=True,  # Ctrl-C is ours to answer
            )
            for task, log in zip(tasks, self.logs, strict=True)
        ]
        try:
            self.first = self._answers()
        except BaseException:
            self.close()
            raise
        self.start_seconds = time.perf_counter() - began

    def run(self, seconds: float) -> float:
        """What is done a second, over all processes, while they run for `seconds` side by side."""
        rates: list[float] = [answer["done"] / answer["seconds"] for answer in self.slice(seconds)]
        return sum(rates)

    def slice(self, seconds: float) -> list[dict[str, Any]]:
        """What each process has `done`, in how many `seconds`, when they have run for that long side by side."""
        for process in self.processes:
            assert process.stdin
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()
        return self._answers()

    def processor_seconds(self) -> float:
        """That its processes have taken so far, loaders' included."""
        return sum(map(_ticks, descendants(*(process.pid for process in self.processes)))) / TICKS

    def _answers(self) -> list[dict[str, Any]]:
        found = []
        for process, log in zip(self.processes, self.logs, strict=True):
            assert process.stdout
            line = process.stdout.readline()
            if not line:
                log.seek(0)
                said = log.read().strip().splitlines()
                raise ContenderError(f"{self.name} ended: {said[-1] if said else 'without a word'}")
            found.append(json.loads(line))
        return found

    def peak_memory_mib(self) -> float:
        """The most that its processes have held, loaders' included; pages that they share are counted in each."""
        return sum(map(_peak_mib, descendants(*(process.pid for process in self.processes))))

    def close(self) -> None:
        """Ends its processes."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)  # with its loaders
        for process, log in zip(self.processes, self.logs, strict=True):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            for stream in (process.stdin, process.stdout, log):
                if stream:
                    with contextlib.suppress(OSError):
                        stream.close()


@contextlib.contextmanager
def closing(contenders: list[Contender]) -> Iterator[list[Contender]]:
    """`contenders`, to be filled; all are closed at the end, whatever happens."""
    try:
        yield contenders
    finally:
        for contender in contenders:
            contender.close()


@dataclass(frozen=True, kw_only=True)
class Round:
    """What each contender did a second, and the share of the machine that others took meanwhile."""

    done_per_second: Mapping[str, float]
    others_percent: float


def rounds(
    contenders: Sequence[Contender],
    *,
    wanted: int,
    seconds: float,
    most_percent: float,
    say: Callable[[str], None],
) -> list[Round]:
    """All rounds that were run: until `wanted` of them were quiet, or three times as many were begun."""
    done: list[Round] = []
    quiet = 0
    while quiet < wanted and len(done) < MOST_ATTEMPTS * wanted:
        order = contenders if len(done) % 2 == 0 else contenders[::-1]
        began, before = time.perf_counter(), others_seconds()
        rates = {contender.name: contender.run(seconds) for contender in order}
        taken = (others_seconds() - before) / (time.perf_counter() - began) / (os.cpu_count() or 1)
        done.append(Round(done_per_second=rates, others_percent=max(0.0, 100 * taken)))
        quiet += done[-1].others_percent <= most_percent
        verdict = "kept" if done[-1].others_percent <= most_percent else "dropped"
        share = f"others took {done[-1].others_percent:.0f}% of the machine"
        say(f"round {len(done)}: {share}, {verdict} ({quiet} of {wanted})")
    return done


def others_seconds() -> float:
    """Processor seconds that were not ours so far: of the whole machine, less this process and its descendants."""
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    fields = dict(zip(names, map(int, Path("/proc/stat").read_text().split()[1:]), strict=False))
    busy = sum(fields.values()) - fields["idle"] - fields["iowait"]
    return (busy - sum(map(_ticks, descendants(os.getpid())))) / TICKS


def descendants(*roots: int) -> list[int]:
    """`roots` and every process below them."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = list(roots)
    for process in found:
        found += children.get(process, [])
    return found


def _stat(process: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none when it has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _ticks(process: int) -> int:
    """Processor time of a process and of those of its children that have ended."""
    return sum(map(int, _stat(process)[11:15]))


def _peak_mib(process: int) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
