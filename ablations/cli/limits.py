"""Bounds of the command line's options, which nobody reaches who means it: beyond them a typing error takes hours.

Light, as all that --help imports; only what is read from `Config` is checked, and nothing is created.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ablations.core.errors import InputError, shown

if TYPE_CHECKING:
    from ablations.cli.options import Config

MOST_VARIANTS = 4096  # of a study: all combinations of twelve components
MOST_TRIALS = 50_000  # whose plan still takes less than a minute
MOST_PACKED = 1024  # trials that take turns

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")  # s3://, gs://, hdfs://, file://; no drive, which has one letter


class Bounds(NamedTuple):
    """The least and the most that an option takes, and the unit that an error names."""

    least: float
    most: float
    unit: str = ""


NUMBERS: Mapping[str, Bounds] = {
    "seeds": Bounds(1, 10_000),
    "epochs": Bounds(1, 100_000),
    "train_examples": Bounds(1, 10**9),
    "batch_size": Bounds(1, 10**6),
    "image_size": Bounds(8, 2048),
    "base_size": Bounds(1, 4096),
    "cpus_per_trial": Bounds(1, 10**5),
    "threshold_every": Bounds(1, 10**9),
    "evaluate_every": Bounds(1, 10**6),
    "tune": Bounds(0, 100),
    "gpus_per_trial": Bounds(0, 10**4),
    "memory_budget": Bounds(0, 10**6, "GiB"),
    "timeout": Bounds(0.01, 10**6, "minutes"),
    "read_window": Bounds(0, 10**12),
}


def check_numbers(config: Config) -> None:
    """Raises InputError on a number out of its bounds, and on one that is not finite."""
    for name, (least, most, unit) in NUMBERS.items():
        value = getattr(config, name)
        if value is None or least <= value <= most:
            continue
        if isinstance(value, float) and not math.isfinite(value):
            needed = "a finite number"
        else:
            needed = " ".join(filter(None, (f"{most:,}" if value > most else f"{least:g}", unit)))
            needed += " or less" if value > most else " or more"
        said = f"{value:g}" if isinstance(value, float) else _digits(value)
        raise InputError(f"--{name.replace('_', '-')} is {said}; it must be {needed}.")


def _digits(value: int) -> str:
    """A whole number as it was typed, shortened where it has more digits than anyone reads."""
    text = str(value)
    return text if len(text) <= 20 else f"{text[:6]}... of {len(text)} digits"


def pack_of(text: str) -> int | None:
    """What --pack asks for: None for auto, else how many trials.  Raises InputError on anything else."""
    if text == "auto":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_PACKED)) and int(text) >= 1):
        raise InputError(f"--pack is {shown(text)}; it is auto, or a number of trials of 1 or more.")
    if int(text) > MOST_PACKED:
        raise InputError(f"--pack is {text}; it must be {MOST_PACKED:,} or less.")
    return int(text)


def check_local(option: str, place: Path | str | None) -> None:
    """Raises InputError where a folder is given as an address, as of an object store: records need a file system."""
    if found := _ADDRESS.match(str(place or "")):
        address = f"{found[1]}://{str(place)[found.end() :]}"  # Path has made one slash of two
        raise InputError(
            f"{option} is {shown(address)}, an address, and must be a folder: mount what is there (as with s3fs, "
            "gcsfuse or blobfuse), or take a folder that all machines share."
        )


def check_places(config: Config, name: str) -> None:
    """Raises InputError where what is read is not there, or what a study called `name` writes cannot be written."""
    for option, place in (("results", config.results), ("reports", config.reports), ("data-root", config.data_root)):
        check_local(f"--{option}", place)
    if config.data_root is not None and not _is(config.data_root, "--data-root", os.path.isdir):
        what = "is no folder" if os.path.lexists(config.data_root) else "does not exist"
        raise InputError(f"--data-root {shown(config.data_root)} {what}: make the folder, or leave the option out.")
    if config.claims is not None and not _is(config.claims, "--claims", os.path.isfile):
        what = "is no file" if os.path.lexists(config.claims) else "does not exist"
        raise InputError(f"--claims {shown(config.claims)} {what}; it is a TOML file with a [[claim]] in it.")
    for folder in (config.results, config.reports):
        _writable(folder, name)


def _is(path: Path, option: str, what: Callable[[Path], bool]) -> bool:
    """Whether `path` is there and of that kind.  Raises InputError where that cannot be told."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{option} {shown(path)} cannot be read: {reason}.") from None
    return what(path)


def _writable(folder: Path, name: str) -> None:
    """Raises InputError where the study's folder in `folder` cannot be written, which need not be there yet."""
    try:
        deepest = folder.absolute() / name / "trials" / ".0123456789ab.json.01234567"
        with contextlib.suppress(FileNotFoundError):
            os.lstat(deepest)  # tells a path that is too long, and a file that stands where a folder should
        there = next(path for path in deepest.parents if os.path.lexists(path))
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        with tempfile.TemporaryFile(dir=there):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"folder {shown(folder)} cannot be written: {reason}.") from None
