"""Limits on the size of a study and bounds on options.

They are far beyond what anyone needs.  They are there because a typing error could otherwise start hours of work.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ablations.core.errors import InputError, shown

MOST_VARIANTS = 4096  # in a study: all combinations of twelve components
MOST_TRIALS = 50_000  # in a study; planning so many still takes less than a minute

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")  # s3://, gs://, file://, but not C:/: a drive has one letter


class Bounds(NamedTuple):
    """The least and the most that an option accepts, and the unit that an error names."""

    least: float
    most: float
    unit: str = ""


def check_numbers(options: Any, numbers: Mapping[str, Bounds]) -> None:
    """Raises InputError if the number of an option is out of its bounds or not finite; None is accepted."""
    for name, (least, most, unit) in numbers.items():
        value = getattr(options, name)
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
    """Writes a whole number, shortened if it has more digits than anyone reads."""
    text = str(value)
    return text if len(text) <= 20 else f"{text[:6]}... of {len(text)} digits"


def is_there(path: Path, option: str, what: Callable[[Path], bool]) -> bool:
    """Tells whether `path` exists and is of the kind that `what` tests.  Raises InputError if that cannot be read."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{option} {shown(path)} cannot be read: {reason}.") from None
    return what(path)


def check_local(option: str, place: Path | str | None) -> None:
    """Raises InputError if a folder is given as an address, such as s3://bucket, because a file system is needed."""
    if found := _ADDRESS.match(str(place or "")):
        address = f"{found[1]}://{str(place)[found.end() :]}"  # with the slash that Path has dropped
        raise InputError(
            f"{option} is {shown(address)}, an address, and must be a folder: mount what is there (as with s3fs, "
            "gcsfuse or blobfuse), or take a folder that all machines share."
        )
