"""Runs contenders in processes of their own, one after another in each round, and measures who disturbed a round.

Standard library only.  Processor time is read from /proc, so this needs Linux.
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

TICKS = os.sysconf("SC_CLK_TCK")  # ticks of /proc in a second
MOST_ATTEMPTS = 3  # most rounds that are begun for each round that is wanted


class ContenderError(Exception):
    """A contender's process ended without an answer; the message is the last line that it printed."""


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
                start_new_session=True,  # Ctrl-C reaches this process only
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
        """Runs all processes side by side for `seconds`.  Returns what they did per second, in all."""
        rates: list[float] = [answer["done"] / answer["seconds"] for answer in self.slice(seconds)]
        return sum(rates)

    def slice(self, seconds: float) -> list[dict[str, Any]]:
        """Runs all processes side by side for `seconds`.  Returns what each has `done`, and in how many `seconds`."""
        for process in self.processes:
            assert process.stdin
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()
        return self._answers()

    def processor_seconds(self) -> float:
        """Returns the processor time, in seconds, of its processes so far, with that of their loaders."""
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
        """Returns the peak memory of its processes and their loaders; pages that they share count in each."""
        return sum(map(_peak_mib, descendants(*(process.pid for process in self.processes))))

    def close(self) -> None:
        """Ends its processes, by SIGKILL if SIGTERM does not help within ten seconds."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)  # the group holds its loaders too
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
    """Yields `contenders`, a list that the caller may fill, and closes all of them at the end."""
    try:
        yield contenders
    finally:
        for contender in contenders:
            contender.close()


@dataclass(frozen=True, kw_only=True)
class Round:
    """The measurements of one round."""

    done_per_second: Mapping[str, float]  # contender -> what it did in a second, mostly images
    others_percent: float  # share of the machine that other processes took


def rounds(
    contenders: Sequence[Contender],
    *,
    wanted: int,
    seconds: float,
    most_percent: float,
    say: Callable[[str], None],
) -> list[Round]:
    """Runs rounds until `wanted` of them are quiet, or three times as many were begun, and returns all of them.

    A round is quiet if other processes take at most `most_percent` of the machine.  Contenders change their order from
    round to round.
    """
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
    """Returns the processor seconds of the whole machine so far, without those of this process and its descendants."""
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    fields = dict(zip(names, map(int, Path("/proc/stat").read_text().split()[1:]), strict=False))
    busy = sum(fields.values()) - fields["idle"] - fields["iowait"]
    return (busy - sum(map(_ticks, descendants(os.getpid())))) / TICKS


def descendants(*roots: int) -> list[int]:
    """Returns the processes `roots` and all of their descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = list(roots)
    for process in found:
        found += children.get(process, [])
    return found


def _stat(process: int) -> list[str]:
    """Returns the fields of /proc/PID/stat from the state on; [] if the process has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _ticks(process: int) -> int:
    """Returns the processor time, in ticks, of a process and of its children that have ended."""
    return sum(map(int, _stat(process)[11:15]))


def _peak_mib(process: int) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
