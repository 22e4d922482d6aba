"""Runs the command of a trial in its process, in a process group, and reads what it printed and wrote."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

from ablations.core.text import last_line
from ablations.subjects.own.child import WAIT_SECONDS, TrialError, mebibytes
from ablations.subjects.own.metrics import stopped
from ablations.subjects.script.reading import LAST_LINE, MLFLOW, Read, Row, named, numbers, rows_in, rows_of, stamp
from ablations.subjects.script.taking import diverged_beside, taken

# Names of variables that hold secrets.
SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|AUTH(?!OR)|_KEY$|^KEY$|APIKEY", re.IGNORECASE)
SHORTEST = 6  # least characters of a secret: shorter values are common words and numbers
LONGEST = 2**20  # most bytes of a line; a longer one is cut into several
TAIL, WIDTH = 40, 1000  # lines of a command's output, and characters of each, that are kept to tell why it failed
GRACE = 2.0  # seconds from SIGTERM to SIGKILL for a command that is ended


def rows(task: Mapping[str, Any]) -> Generator[dict[str, Any] | None, None, dict[str, Any]]:
    """Yields the rows of numbers that a command gives, and None after a moment of silence.  Returns what it came to.

    Raises TrialError, MemoryError or `Diverged`.
    """
    read = Read(**task["read"])
    where = Path(task["where"]) if task["where"] else None
    before = stamp(where) if where else 0
    found: list[Row] = []
    lines = _Lines(task)
    for line in lines:
        if line is None:
            yield None
            continue
        for row in rows_in(read, line):
            found.append(row)
            yield _given(row, task)
    used = lines.used()
    if read.source == LAST_LINE:
        _check_last(lines.last)
    if where:
        if stamp(where) == before:
            raise TrialError(_unwritten(read, where, before))
        found = rows_of(read, where)
        for row in found:
            yield _given(row, task)
    return {"done": _metrics(found, task), **used, "notes": _notes(found, task["metrics"])}


def _given(row: Row, task: Mapping[str, Any]) -> dict[str, float]:
    return numbers(named(row, task["metrics"]), task["echoes"])


def _notes(found: list[Row], metrics: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Returns notes on numbers that came no more, or that are not finite in the end."""
    ended = [stopped(found, name, one["from"]) for name, one in metrics.items()]
    return [*filter(None, ended), *diverged_beside(found, [one["from"] for one in metrics.values()])]


def _check_last(line: str) -> None:
    try:
        if isinstance(json.loads(line), dict):
            return
    except ValueError:
        pass
    what = f"is {line[:200]!r}" if line else "never came"
    raise TrialError(
        f"the last line of its standard output {what}; it must be a JSON object, or [read] says where else to read"
    )


def _unwritten(read: Read, where: Path, before: int) -> str:
    if read.source == MLFLOW:
        return "it logged nothing to MLflow: does it set a tracking address of its own?"
    there = "was there before it and was not written by it" if before else "was not written"
    return f"{read.source} {where.name} {there}"


def _metrics(found: list[Row], task: Mapping[str, Any]) -> dict[str, float]:
    """Returns the last value of every number, and the metrics under their names."""
    last: dict[str, float] = {}
    for row in found:
        last |= _given(row, task)
    last.pop("epoch", None)
    for name, one in task["metrics"].items():
        last[name] = taken(found, name, one["from"], take=one["take"], better=one["better"])
    return last


class _Lines:
    """The lines of a command's standard output as they come, None after silence.  All that it prints is logged."""

    def __init__(self, task: Mapping[str, Any]) -> None:
        self.task, self.last = task, ""  # the last line of standard output
        self.said = deque[str](maxlen=TAIL)  # the last lines of any output
        self.environment: dict[str, str] = task["environment"]
        self.secrets = secrets_of(self.environment)
        self.process = self._started()
        signal.signal(signal.SIGTERM, self._stopped)

    def _started(self) -> subprocess.Popen[bytes]:
        argv, cwd = self.task["argv"], self.task["cwd"]
        try:
            return subprocess.Popen(
                argv,
                cwd=cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            what = f"the folder {cwd!r}" if not Path(cwd).is_dir() else repr(argv[0])
            raise TrialError(f"{what} cannot be used: {error.strerror}") from None

    def _stopped(self, number: int, frame: object) -> None:
        """Ends the whole group and this process.

        It handles SIGTERM, which comes after the timeout, or if the study was killed.
        """
        for kind in (signal.SIGTERM, signal.SIGKILL):
            os.killpg(self.process.pid, kind)
            ends = time.monotonic() + GRACE
            while kind == signal.SIGTERM and not self._ended() and time.monotonic() < ends:
                time.sleep(WAIT_SECONDS / 10)
        os._exit(1)

    def _ended(self) -> bool:
        """Tells whether the command has ended.  It is not reaped, so that no other process can get its number."""
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def __iter__(self) -> Generator[str | None, None, None]:
        assert self.process.stdout and self.process.stderr
        rest = {self.process.stdout: b"", self.process.stderr: b""}
        with selectors.DefaultSelector() as selector:
            for one in rest:
                os.set_blocking(one.fileno(), False)
                selector.register(one, selectors.EVENT_READ)
            while selector.get_map():
                ended = self._ended()
                ready = selector.select(0 if ended else WAIT_SECONDS)
                for key, _ in ready:
                    stream: Any = key.fileobj
                    content = stream.read(2**16)
                    if not content:
                        selector.unregister(stream)
                    *lines, rest[stream] = (rest[stream] + (content or b"")).split(b"\n")
                    if not content or len(rest[stream]) > LONGEST:
                        lines, rest[stream] = [*lines, rest[stream]], b""
                    yield from self._lines(lines, stream)
                if not ready:
                    yield None
                    if ended:  # processes that it started may hold its output open for ever
                        break
        for one, line in rest.items():
            yield from self._lines([line] if line else [], one)
        while not self._ended():
            time.sleep(WAIT_SECONDS / 10)
            yield None

    def _lines(self, lines: Iterable[bytes], stream: Any) -> Generator[str, None, None]:
        """Yields the lines of standard output that are not empty; logs all lines, without secrets."""
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip("\r")
            shown = self._masked(text)
            self._log(f"{shown}\n".encode())
            self.said += [shown[:WIDTH]] * bool(shown.strip())
            if text.strip() and stream is self.process.stdout:
                self.last = shown
                yield text

    def _log(self, printed: bytes) -> None:
        """Writes all of it into the pipe, which may take a part at a time, and which may have no reader any more."""
        try:
            while printed:
                printed = printed[os.write(1, printed) :]
        except BrokenPipeError:
            os.kill(os.getpid(), signal.SIGTERM)

    def _masked(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text

    def used(self) -> dict[str, float]:
        """Returns what the command used, once it and all processes that it started have ended.  Raises if it failed."""
        os.killpg(self.process.pid, signal.SIGKILL)  # processes that it left running
        _, status, used = os.wait4(self.process.pid, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        code = self.process.returncode = os.waitstatus_to_exitcode(status)
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        _check_code(code, self.said)
        return {"cpu_seconds": used.ru_utime + used.ru_stime, "memory_mib": mebibytes(used)}


def _check_code(code: int, said: Iterable[str]) -> None:
    """Raises TrialError or MemoryError if a command failed, by its exit code.

    A shell returns the number of a signal plus 128.  `said` are the last lines that were printed.
    """
    number = -code if code < 0 else code - 128
    if number == signal.SIGKILL:
        raise MemoryError("it was killed (SIGKILL), as a system does that runs out of memory")
    if code < 0:
        raise TrialError(f"it was ended by the signal {signal.Signals(number).name}")
    if code:
        text = "\n".join(said)
        raise TrialError(f"it ended with exit code {code}{f': {last_line(text)}' if text else ''}")


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """Returns the values of variables that look like tokens or passwords, the longest first."""
    found = {
        line
        for name, value in environment.items()
        if SECRET.search(name)
        for line in value.splitlines()
        if len(line) >= SHORTEST
    }
    return sorted(found, key=len, reverse=True)
