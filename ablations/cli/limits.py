"""Bounds on options of the command line, which catch typing errors that would cost hours, and checks of folders.

It imports only light modules, since --help imports it, and its checks create nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ablations.core.errors import InputError, shown
from ablations.core.limits import Bounds, check_local, is_there

MOST_PACKED = 1024  # most trials that may take turns


NUMBERS: Mapping[str, Bounds] = {
    "seeds": Bounds(1, 10_000),
    "cpus_per_trial": Bounds(1, 10**5),
    "tune": Bounds(0, 100),
    "gpus_per_trial": Bounds(0, 10**4),
    "timeout": Bounds(0.01, 10**6, "minutes"),
}


def pack_of(text: str) -> int | None:
    """Returns how many trials --pack asks for; None for auto.  Raises InputError on anything else."""
    if text == "auto":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_PACKED)) and int(text) >= 1):
        raise InputError(f"--pack is {shown(text)}; it is auto, or a number of trials of 1 or more.")
    if int(text) > MOST_PACKED:
        raise InputError(f"--pack is {text}; it must be {MOST_PACKED:,} or less.")
    return int(text)


def check_places(config: Any, name: str) -> None:
    """Raises InputError if a file to be read is missing, or if the study `name` cannot write its folders."""
    for option, place in (("--results", config.results), ("--reports", config.reports)):
        check_local(option, place)
    if config.claims is not None and not is_there(config.claims, "--claims", os.path.isfile):
        what = "is no file" if os.path.lexists(config.claims) else "does not exist"
        raise InputError(f"--claims {shown(config.claims)} {what}; it is a TOML file with a [[claim]] in it.")
    for folder in (config.results, config.reports):
        _writable(folder, name)


def _writable(folder: Path, name: str) -> None:
    """Raises InputError if the study `name` cannot write in `folder`, which need not exist yet."""
    try:
        deepest = folder.absolute() / name / "trials" / ".0123456789ab.json.01234567"
        with contextlib.suppress(FileNotFoundError):
            os.lstat(deepest)  # raises if the path is too long, or if a file is in the place of a folder
        there = next(path for path in deepest.parents if os.path.lexists(path))
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        with tempfile.TemporaryFile(dir=there):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"folder {shown(folder)} cannot be written: {reason}.") from None
