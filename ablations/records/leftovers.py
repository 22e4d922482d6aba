"""What a killed run could not remove: its temporary folders, and files that it was writing.  The next run does.

Each temporary folder holds a lock file that its process keeps locked.  The system releases the lock when the process
ends, however it ends, so a folder whose lock is free has no living owner.  The process's number and start time, which
the file `OWNER` holds for a reader, would not tell that: in another container that shares the folder, the same number
is another process or none.
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

from ablations.records.files import PARTIAL

OWNER, LOCK = "owner.json", "owner.lock"
RAY, TRIAL, SERVER = AMONG_TEMPORARY = ("ray-", "ablations-trial-", "abl-")  # prefixes of folders in `_parents`
TUNE = ".tune-"  # of folders in a study's own
OF_USERS = ("files", "code")  # folders of a study in which users' files keep their names


def _parents() -> tuple[Path, ...]:
    """Returns the folders for temporary files, the usual one first."""
    return (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))


def short_parent(longest: int) -> Path | None:
    """Returns a writable folder for temporary files whose path has at most `longest` bytes; None if there is none.

    The usual folder for temporary files is preferred.  A socket is made inside, and systems limit the whole path of a
    socket to 104 or 108 bytes.
    """
    for parent in _parents():
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


def tidy(study: Path) -> None:
    """Removes what killed runs left: temporary folders, and in the folder of a study the files that they were writing.

    It is for a run that holds the study's lock and has no trial running any more.  A run that found nothing to train
    starts no Ray, and so sweeps nothing before.
    """
    for parent in {*_parents()}:
        for prefix in AMONG_TEMPORARY:
            sweep(parent, prefix)
    sweep(study, TUNE)
    for folder in (study, *(one for one in study.glob("*") if one.name not in OF_USERS)):
        for path in folder.glob(".*"):
            if PARTIAL.fullmatch(path.name) and path.is_file():
                path.unlink(missing_ok=True)


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
