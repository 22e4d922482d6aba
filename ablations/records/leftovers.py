"""Temporary folders that a killed run could not remove: the next run does.

Each folder holds a lock file that its process keeps locked.  The system releases the lock when the process ends,
however it ends, so a folder whose lock is free has no living owner.  The process's number and start time, which the
file `OWNER` holds for a reader, would not tell that: in another container that shares the folder, the same number is
another process or none.
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
    """Returns a writable folder for temporary files whose path has at most `longest` bytes; None if there is none.

    The usual folder for temporary files is preferred.  A socket is made inside, and systems limit the whole path of a
    socket to 104 or 108 bytes.
    """
    for parent in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")):
        if len(os.fsencode(parent)) <= longest and os.access(parent, os.W_OK | os.X_OK):
            return parent
    return None


@contextlib.contextmanager
def own_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Yields a new folder in `parent` that other users cannot enter, and removes it at the end.

    Folders of dead processes are removed before and after.  After as well, because the children of a killed driver
    outlive it by seconds and may still write into its folder while the next run begins.
    """
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        with FileLock(folder / LOCK):
            # This is written under the lock, and a folder without this file is never taken for a dead process's.
            owner = {"host": socket.gethostname(), "process": os.getpid(), "since": time.ctime()}
            (folder / OWNER).write_text(json.dumps(owner))
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        sweep(parent, prefix)


def sweep(parent: Path, prefix: str) -> list[Path]:
    """Removes the folders in `parent` that `own_folder` made for processes that are dead now; returns their paths."""
    dead = [folder for folder in parent.glob(f"{prefix}*") if _is_dead(folder)]
    for folder in dead:
        _remove(folder)
    return dead


def _remove(folder: Path) -> None:
    """Removes `folder`, its owner file last.

    If something is written into the folder meanwhile, the owner file stays, so that the next sweep finds the folder.
    """
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.name not in (OWNER, LOCK):
                shutil.rmtree(path, ignore_errors=True)
                if path.is_symlink() or not path.is_dir():  # a file, or a socket
                    path.unlink(missing_ok=True)
        if {path.name for path in folder.iterdir()} <= {OWNER, LOCK}:
            shutil.rmtree(folder, ignore_errors=True)


def _is_dead(folder: Path) -> bool:
    """Tells whether the process that made `folder` has ended; False if that cannot be told."""
    try:
        if not (folder / OWNER).is_file():
            return False
        with FileLock(folder / LOCK, timeout=0):
            return True
    # Its process lives, or another user owns it, or the file system has no locks.
    except (OSError, Timeout, NotImplementedError):
        return False
