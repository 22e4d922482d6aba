"""Temporary folders that a killed run cannot take away: the next run does.

Each holds a lock that its process keeps for as long as it lives.  The system gives it back when the process ends,
however it ends, so that a folder whose lock is free is nobody's.  The number of a process and when it began, which
`OWNER` tells a reader, would not do: in another container that shares the folder, it is another process or none.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

OWNER, LOCK = "owner.json", "owner.lock"


def short_parent(longest: int) -> Path | None:
    """Where temporary files go or, where its path has more than `longest` bytes, another folder; None without one.

    A socket is made in it, whose whole path systems limit to 104 or 108 bytes.
    """
    for parent in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")):
        if len(os.fsencode(parent)) <= longest and os.access(parent, os.W_OK | os.X_OK):
            return parent
    return None


@contextlib.contextmanager
def own_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder in `parent` that nobody else may enter, gone at the end.

    Those of dead processes go before and after: a driver's children outlive it by seconds, and may write into its
    folder while the next run begins.
    """
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        with FileLock(folder / LOCK):
            # Written under the lock: before it is there, nobody takes the folder for that of a dead process.
            owner = {"host": socket.gethostname(), "process": os.getpid(), "since": time.ctime()}
            (folder / OWNER).write_text(json.dumps(owner))
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        sweep(parent, prefix)


def sweep(parent: Path, prefix: str) -> list[Path]:
    """The folders in `parent` that `own_folder` made for processes that are dead now; they are taken away."""
    dead = [folder for folder in parent.glob(f"{prefix}*") if _is_dead(folder)]
    for folder in dead:
        _remove(folder)
    return dead


def _remove(folder: Path) -> None:
    """Takes `folder` away, its owner last: what is still being written into it is known to the next sweep."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.name not in (OWNER, LOCK):
                shutil.rmtree(path, ignore_errors=True)
                if path.is_symlink() or not path.is_dir():  # a file, or a socket
                    path.unlink(missing_ok=True)
        if {path.name for path in folder.iterdir()} <= {OWNER, LOCK}:
            shutil.rmtree(folder, ignore_errors=True)


def _is_dead(folder: Path) -> bool:
    """Whether the process that made `folder` has ended; no where that cannot be told."""
    try:
        if not (folder / OWNER).is_file():
            return False
        with FileLock(folder / LOCK, timeout=0):
            return True
    except (OSError, Timeout, NotImplementedError):  # of a living process, of another user, or without locks
        return False
