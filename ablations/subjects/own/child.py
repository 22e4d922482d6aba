"""One trial of a study file in a process of its own: what crashes, hangs or eats the memory is a result with a word.

The process is forked from a server that has imported the study file once, so that a trial costs no imports.  Only
JSON goes to and fro.
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

from ablations.core.subject import DivergedError
from ablations.records.leftovers import own_folder, short_parent
from ablations.subjects.own.log import Log

LOOK = 0.2  # seconds from one look at a silent trial to the next
ASLEEP = 5.0  # seconds from one look to the next that do not count: it was this process that stood still
SHORT = 70  # bytes of a folder under which the path of the server's socket fits into the 104 or 108 of systems
STUDY = "ABLATIONS_STUDY"  # the environment variable that tells the server which file to import


class TrialError(RuntimeError):
    """What a trial did wrong, in a sentence that needs no traceback."""


def events(task: Mapping[str, Any], *, log: Path, timeout: float) -> Iterator[dict[str, Any] | None]:
    """What a trial says, as it says it: {"row": ..}, and last {"done": ..}; None where it was silent for a moment.

    Raises TimeoutError where it took more than `timeout` seconds, `DivergedError`, MemoryError, and RuntimeError with
    the last lines that it printed where it failed in another way.
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
            heard, now = ours.poll(LOOK), time.monotonic()
            ends += now - looked if now - looked > ASLEEP else 0
            looked = now
            if not heard and now <= ends:
                yield None
                continue
            said = _said(ours, process, kept) if heard else {}
            if "done" in said:  # while nobody looked, also where it is late
                yield said
                return
            if now > ends:
                raise TimeoutError(f"it had not ended after {timeout:g} seconds")
            yield said
    finally:
        _end(process)  # while it can still say a row, on the way to the end of its epoch
        ours.close()
        kept.close()


@cache
def _own_place() -> None:
    """Has the server keep its socket in a folder that the next run takes away where this process is killed."""
    if not (parent := short_parent(SHORT)):
        raise RuntimeError(
            f"the path of the temporary folder, {tempfile.gettempdir()}, has more than the {SHORT} bytes that leave "
            "room for a socket; TMPDIR names a shorter one"
        )
    until_the_end = contextlib.ExitStack()
    folder = until_the_end.enter_context(own_folder(parent, "abl-"))  # as short as Python's own
    multiprocessing.current_process()._config["tempdir"] = str(folder)  # type: ignore[attr-defined]
    atexit.register(until_the_end.close)


def _said(ours: Connection, process: Any, kept: Log) -> dict[str, Any]:
    """What a trial says.  Raises what it failed with, or why it ended without a word."""
    try:
        said: dict[str, Any] = json.loads(ours.recv_bytes())
    except EOFError:
        process.join(10)
        raise _ended(process.exitcode, kept) from None
    if "failed" in said:
        raise _failure(said, kept)
    return said


def _start(process: Any) -> None:
    """Starts it without the program that runs here, which it would import first: that of a worker is all of Ray."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        process.start()
    finally:
        sys.modules["__main__"] = main


def _end(process: Any) -> None:
    """Ends the process, and whatever it has started."""
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
            os.killpg(process.pid, signal.SIGKILL)  # what it left running
    process.close()


def _ended(code: int | None, log: Log) -> Exception:
    """Why a trial ended without a word, by the exit code of its process."""
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
    """What the process does: the trial; its output goes to whoever keeps its log."""
    os.setsid()  # a group of its own, so that what it starts ends with it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's, which ends this process
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
        sys.stdout.flush()  # for the last lines of the log, which are told with the failure
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
    """Ends this process, and a script that it runs, when nobody listens any more: the study was killed."""
    with contextlib.suppress(OSError):  # of one that ends by itself
        to_parent.poll(None)  # nobody says anything to it: this is the end of the other side
        _unheard()


def _unheard() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def mebibytes(used: resource.struct_rusage) -> float:
    """The most memory that a process held, which systems count in different units."""
    return used.ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
