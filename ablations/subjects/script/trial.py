"""What a trial of a script does in its process: runs the command in a process group, reads what it printed and left."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

from ablations.subjects.own.child import LOOK, TrialError, mebibytes
from ablations.subjects.own.metrics import stopped
from ablations.subjects.script.reading import LAST_LINE, MLFLOW, Read, Row, named, numbers, rows_in, rows_of, stamp
from ablations.subjects.script.taking import diverged_beside, taken

SECRET = re.compile(
    r"TOKEN|SECRET|PASSW|CREDENTIAL|AUTH(?!OR)|_KEY$|^KEY$|APIKEY", re.IGNORECASE
)  # in a variable's name
SHORTEST = 6  # characters of a secret: shorter values are words and numbers of any text
LONGEST = 2**20  # bytes of a line
GRACE = 2.0  # seconds from SIGTERM to SIGKILL of a command that is ended


def rows(task: Mapping[str, Any]) -> Generator[dict[str, Any] | None, None, dict[str, Any]]:
    """The rows of numbers that the command of a trial gives, and last what it came to.

    None where there is nothing to say yet.  Raises TrialError, MemoryError or `Diverged`.
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
    """What is to be known of numbers that stopped, or that are not finite in the end."""
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
    """The last of every number, and the metrics under their names."""
    last: dict[str, float] = {}
    for row in found:
        last |= _given(row, task)
    last.pop("epoch", None)
    for name, one in task["metrics"].items():
        last[name] = taken(found, name, one["from"], take=one["take"], better=one["better"])
    return last


class _Lines:
    """The lines of a command's standard output as they come, None where it is silent; all that it prints is logged."""

    def __init__(self, task: Mapping[str, Any]) -> None:
        self.task, self.last, self.said = task, "", ""  # said last: on standard output, on any
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
        """Ends the whole group, and this process: its time is up, or nobody listens any more."""
        for kind in (signal.SIGTERM, signal.SIGKILL):
            os.killpg(self.process.pid, kind)
            ends = time.monotonic() + GRACE
            while kind == signal.SIGTERM and not self._ended() and time.monotonic() < ends:
                time.sleep(LOOK / 10)
        os._exit(1)

    def _ended(self) -> bool:
        """Whether the command has ended; it is not reaped, so that nobody else can have its number."""
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
                ready = selector.select(0 if ended else LOOK)
                for key, _ in ready:
                    stream: Any = key.fileobj  # of bytes
                    content = stream.read(2**16)
                    if not content:
                        selector.unregister(stream)
                    *lines, rest[stream] = (rest[stream] + (content or b"")).split(b"\n")
                    if not content or len(rest[stream]) > LONGEST:
                        lines, rest[stream] = [*lines, rest[stream]], b""
                    yield from self._lines(lines, stream)
                if not ready:
                    yield None
                    if ended:  # what it has started may hold its output open for ever
                        break
        for one, line in rest.items():
            yield from self._lines([line] if line else [], one)
        while not self._ended():
            time.sleep(LOOK / 10)
            yield None

    def _lines(self, lines: Iterable[bytes], stream: Any) -> Generator[str, None, None]:
        """Those of standard output that hold something; all are logged, without what is secret."""
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip("\r")
            shown = self._masked(text)
            self._log(f"{shown}\n".encode())
            self.said = shown.strip() or self.said
            if text.strip() and stream is self.process.stdout:
                self.last = shown
                yield text

    def _log(self, printed: bytes) -> None:
        """Writes all of it: into a pipe, which may take a part at a time, and which nobody may read any more."""
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
        """What the command used, once it and all that it has started have ended.  Raises where it failed."""
        os.killpg(self.process.pid, signal.SIGKILL)  # what it left running
        _, status, used = os.wait4(self.process.pid, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        code = self.process.returncode = os.waitstatus_to_exitcode(status)
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        _check_code(code, self.said)
        return {"cpu_seconds": used.ru_utime + used.ru_stime, "memory_mib": mebibytes(used)}


def _check_code(code: int, said: str) -> None:
    """Raises where a command has failed, by its exit code; a shell gives the number of a signal with 128 added.

    `said` is the last line that it printed, which is where Python says what was wrong.
    """
    number = -code if code < 0 else code - 128
    if number == signal.SIGKILL:
        raise MemoryError("it was killed (SIGKILL), as a system does that runs out of memory")
    if code < 0:
        raise TrialError(f"it was ended by the signal {signal.Signals(number).name}")
    if code:
        raise TrialError(f"it ended with exit code {code}{': ' * bool(said)}{said[-200:]}")


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """The values of variables that look like tokens or passwords, the longest first."""
    found = {
        line
        for name, value in environment.items()
        if SECRET.search(name)
        for line in value.splitlines()
        if len(line) >= SHORTEST
    }
    return sorted(found, key=len, reverse=True)
