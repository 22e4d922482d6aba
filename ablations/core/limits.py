"""How large a study may be, and bounds of options, which nobody reaches who means it: beyond them a typing error
takes hours.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ablations.core.errors import InputError, shown

MOST_VARIANTS = 4096  # of a study: all combinations of twelve components
MOST_TRIALS = 50_000  # whose plan still takes less than a minute

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")  # s3://, gs://, hdfs://, file://; no drive, which has one letter


class Bounds(NamedTuple):
    """The least and the most that an option takes, and the unit that an error names."""

    least: float
    most: float
    unit: str = ""


def check_numbers(options: Any, numbers: Mapping[str, Bounds]) -> None:
    """Raises InputError on an option whose number is out of its bounds, or not finite."""
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
    """A whole number as it was typed, shortened where it has more digits than anyone reads."""
    text = str(value)
    return text if len(text) <= 20 else f"{text[:6]}... of {len(text)} digits"


def is_there(path: Path, option: str, what: Callable[[Path], bool]) -> bool:
    """Whether `path` is there and of that kind.  Raises InputError where that cannot be told."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{option} {shown(path)} cannot be read: {reason}.") from None
    return what(path)


def check_local(option: str, place: Path | str | None) -> None:
    """Raises InputError where a folder is given as an address, as of an object store: records need a file system."""
    if found := _ADDRESS.match(str(place or "")):
        address = f"{found[1]}://{str(place)[found.end() :]}"  # Path has made one slash of two
        raise InputError(
            f"{option} is {shown(address)}, an address, and must be a folder: mount what is there (as with s3fs, "
            "gcsfuse or blobfuse), or take a folder that all machines share."
        )
