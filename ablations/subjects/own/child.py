"""Runs one trial of a study file in a process of its own: if it crashes, hangs or takes all memory, that is its result.

The process is forked from a server that has imported the study file once, so that a trial costs no imports.  Only JSON
passes between the processes.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

from ablations.core.errors import DivergedError
from ablations.records.leftovers import SERVER, own_folder, short_parent
from ablations.subjects.own.log import Log

WAIT_SECONDS = 0.2  # how long a silent trial is waited for at a time
ASLEEP = 5.0  # seconds; if a wait took longer, this process stood still, and the time does not count as the trial's
SHORT = 70  # most bytes of a folder's path in which a socket's path fits into the 104 or 108 that systems allow
STUDY = "ABLATIONS_STUDY"  # the environment variable that tells the server which file to import


class TrialError(RuntimeError):
    """A failure of a trial that one sentence explains, so that it needs no traceback."""


def events(task: Mapping[str, Any], *, log: Path, timeout: float) -> Iterator[dict[str, Any] | None]:
    """Yields what a trial sends, as it comes: {"row": ...} and at last {"done": ...}; None after a moment of silence.

    Raises TimeoutError after `timeout` seconds, `DivergedError`, MemoryError, and for any other failure RuntimeError
    with the last lines that the trial printed.
    """
    context = multiprocessing.get_context("forkserver")
    _own_place()
    os.environ[STUDY] = str(task["path"])
    context.set_forkserver_preload(["ablations.subjects.own.preload"])
    ours, theirs = context.Pipe()
    prints, printed = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(json.dumps(task), theirs, printed), daemon=False)
    kept = Log(log, prints)
    try:
        _start(process)
        theirs.close()
        printed.close()
        looked = time.monotonic()
        ends = looked + timeout
        while True:
            heard, now = ours.poll(WAIT_SECONDS), time.monotonic()
            ends += now - looked if now - looked > ASLEEP else 0
            looked = now
            if not heard and now <= ends:
                yield None
                continue
            said = _said(ours, process, kept) if heard else {}
            if "done" in said:  # also after the timeout, as it may have come while this process stood still
                yield said
                return
            if now > ends:
                raise TimeoutError(f"it had not ended after {timeout:g} seconds")
            yield said
    finally:
        _end(process)  # before the pipe is closed: the trial may send a row until its epoch ends
        ours.close()
        kept.close()


@cache
def _own_place() -> None:
    """Makes the server keep its socket in a folder that is removed at the end.

    If this process is killed, the next run removes it.
    """
    if not (parent := short_parent(SHORT)):
        raise RuntimeError(
            f"the path of the temporary folder, {tempfile.gettempdir()}, has more than the {SHORT} bytes that leave "
            "room for a socket; TMPDIR names a shorter one"
        )
    until_the_end = contextlib.ExitStack()
    # The folder's prefix is as short as Python's own, because the path of a socket must be short.
    folder = until_the_end.enter_context(own_folder(parent, SERVER))
    multiprocessing.current_process()._config["tempdir"] = str(folder)  # type: ignore[attr-defined]
    atexit.register(until_the_end.close)


def _said(ours: Connection, process: Any, kept: Log) -> dict[str, Any]:
    """Returns what a trial sent.  Raises the trial's failure, or why it ended without sending anything."""
    try:
        said: dict[str, Any] = json.loads(ours.recv_bytes())
    except EOFError:
        process.join(10)
        raise _ended(process.exitcode, kept) from None
    if "failed" in said:
        raise _failure(said, kept)
    return said


def _start(process: Any) -> None:
    """Starts the process without importing the program that runs here.

    multiprocessing would import it in the child first; in a worker of Ray, that is all of Ray.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        process.start()
    finally:
        sys.modules["__main__"] = main


def _end(process: Any) -> None:
    """Ends the process, and all processes that it started."""
    if process.pid is not None:
        process.join(0.5)
        for kind in (signal.SIGTERM, signal.SIGKILL):
            if process.is_alive():
                try:
                    os.killpg(process.pid, kind)
                except (ProcessLookupError, PermissionError):
                    process.kill()
                process.join(5)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # processes that it left running
    process.close()


def _ended(code: int | None, log: Log) -> Exception:
    """Returns why a trial ended without a message, by the exit code of its process."""
    if code == -signal.SIGKILL:
        return MemoryError("it was killed (SIGKILL), as a system does that runs out of memory")
    if code is not None and code < 0:
        return RuntimeError(f"it was ended by the signal {signal.Signals(-code).name}{log.last()}")
    return RuntimeError(f"its process ended with exit code {code} before the trial had{log.last()}")


def _failure(said: Mapping[str, Any], log: Log) -> Exception:
    kind, text = said["failed"], str(said["text"])
    if kind == "diverged":
        return DivergedError(text)
    return MemoryError(text) if kind == "memory" else RuntimeError(f"{text}{log.last()}")


def _run(task_text: str, to_parent: Connection, printed: Connection) -> None:
    """Runs the trial, in the child.  Its output goes to the log."""
    os.setsid()  # a process group of its own, so that the processes it starts end with it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the driver, which ends this process
    with printed:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.dup2(printed.fileno(), 1)
        os.dup2(printed.fileno(), 2)
    task = json.loads(task_text)
    threading.Thread(target=_listens, args=(to_parent,), name="listens", daemon=True).start()

    def say(**said: Any) -> None:
        to_parent.send_bytes(json.dumps(said).encode())

    try:
        ended = _followed(importlib.import_module(task["runs"]).rows(task), say)
        say(**ended)
    except MemoryError as error:
        say(failed="memory", text=str(error) or "out of memory")
    except BaseException as error:
        diverged = type(error).__name__ == "Diverged" and isinstance(error, ArithmeticError)
        plain = diverged or isinstance(error, TrialError)
        text = str(error) if plain else "".join(traceback.format_exception(error, limit=-8))
        sys.stdout.flush()  # the failure is sent with the last lines of the log
        say(failed="diverged" if diverged else "error", text=text)
    finally:
        sys.stdout.flush()
        to_parent.close()


def _followed(rows: Generator[Any, None, Any], say: Callable[..., None]) -> dict[str, Any]:
    """Sends each row as it comes.  Returns what the trial came to and what it used."""
    while True:
        try:
            row = next(rows)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        if row is not None:
            try:
                say(row=row)
            except BrokenPipeError:
                _unheard()


def _listens(to_parent: Connection) -> None:
    """Ends this process and what it runs when the study that would hear it was killed."""
    with contextlib.suppress(OSError):  # raised when the trial itself ends and closes the pipe
        to_parent.poll(None)  # the parent never sends: this returns when its side is closed
        _unheard()


def _unheard() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def mebibytes(used: resource.struct_rusage) -> float:
    """Returns the largest memory that a process held, in MiB; macOS counts in bytes, Linux in KiB."""
    return used.ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
