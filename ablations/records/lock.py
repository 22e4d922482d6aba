"""One driver per study: a second one is refused, in a sentence that says which process runs the study.

The driver holds the kernel's lock on `driver.lock` (filelock), which ends with the process.  `driver.json` beside it
says which process that is: for the sentence, and for network file systems on which two machines do not see each other's
locks.  There the study counts as held as long as its driver touches `driver.json`, which it does every `BEAT` seconds.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ablations.core.errors import InputError
from ablations.records.files import write_json

BEAT = 20.0  # seconds between two signs of life
DEAD = 300.0  # seconds without one after which a driver of another machine counts as dead
# The errors of a file system that has no locks.  `driver.json` alone decides there.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
SHOWN = 200  # most characters of a command that the sentence quotes


@contextlib.contextmanager
def alone(folder: Path, command: str) -> Iterator[None]:
    """Holds the study in `folder` for this process, which runs `command`, until the end of the `with`.

    Raises InputError, and changes nothing, if another process holds the study.  Folders that were made for a new study
    are removed at the end if nothing was written into them, as after a bad command.
    """
    new = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    told = folder / "driver.json"
    with contextlib.ExitStack() as held:
        held.callback(_remove, new)
        _lock(held, folder / "driver.lock", told)
        if _alive(other := _read(told), told):
            raise _taken(other, told, seen=False)
        _write(told, command)
        held.callback(told.unlink, missing_ok=True)
        stop = threading.Event()
        threading.Thread(target=_beat, args=(told, stop), name="heartbeat", daemon=True).start()
        held.callback(stop.set)
        yield


def _lock(held: contextlib.ExitStack, path: Path, told: Path) -> None:
    """Takes the kernel's lock on `path`, and lets `held` release it.  Raises InputError if another process has it."""
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise _taken(_read(told), told, seen=True) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return
    held.callback(lock.release)
    # A process that opened the file before it was removed may then lock a file that is gone, unseen by a third process.
    # `driver.json` keeps the third one out.
    held.callback(path.unlink, missing_ok=True)


def _read(told: Path) -> dict[str, Any]:
    """Returns what the holder says of itself; empty if that cannot be read, for example while it is written."""
    try:
        found = json.loads(told.read_text(encoding="utf-8")) if told.is_file() else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(told: Path, command: str) -> None:
    """Writes down that this process holds the study."""
    since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    mine = {"host": socket.gethostname(), "process": os.getpid(), "began": _began(os.getpid())}
    write_json(told, {**mine, "since": since, "command": command})


def _beat(told: Path, stop: threading.Event) -> None:
    """Touches `told` every `BEAT` seconds, as a sign of life, until `stop` is set."""
    while not stop.wait(BEAT):
        with contextlib.suppress(OSError):
            os.utime(told)


def _alive(other: Mapping[str, Any], told: Path) -> bool:
    """Tells whether the holder that `other` describes is alive, although we hold the kernel's lock, or there is none.

    On this machine that is a process with the same number and start time; on another, a `told` that was touched lately.
    """
    if not other:
        return False
    if other.get("host") == socket.gethostname():
        number = other.get("process")
        began = _began(number) if isinstance(number, int) and number != os.getpid() else ""
        return bool(began) and began == other.get("began")
    try:
        return time.time() - told.stat().st_mtime < DEAD
    except OSError:
        return False


def _began(process: int) -> str:
    """Returns when a process of this machine began, in clock ticks since the machine started; "" if there is none."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return fields[19] if fields[0] != "Z" else ""
    except (OSError, IndexError):
        return ""


def _taken(other: Mapping[str, Any], told: Path, *, seen: bool) -> InputError:
    """Returns the error that says who holds the study; `seen`: the kernel has shown that the holder is alive."""
    name = told.parent.name
    who = " ".join(
        [
            f"process {other['process']} on {other['host']}" if {"process", "host"} <= other.keys() else "another one",
            *([f"since {other['since']}"] if "since" in other else []),
            *([f"with `{_plain(str(other['command']))}`"] if "command" in other else []),
        ]
    )
    gone = "" if seen else f"; if that process is no more, remove {told}"
    return InputError(f"study {name!r} is being run by {who}: wait for it, stop it, or take another --name{gone}.")


def _plain(text: str) -> str:
    """Returns `text` as one line without control characters, cut to `SHOWN` characters."""
    text = "".join(one if one.isprintable() else " " for one in text)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _remove(new: Sequence[Path]) -> None:
    """Removes those of the new folders, the innermost first, that are empty."""
    for folder in new:
        with contextlib.suppress(OSError):
            folder.rmdir()
