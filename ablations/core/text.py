"""Numbers in words, for the terminal and for reports."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from ablations.core.errors import InputError, shown

NONE = "\N{EN DASH}"
LONGEST = 366 * 24 * 3600  # seconds that a study may be given
_UNITS = {"h": 3600, "m": 60, "s": 1}
_TIME = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


def duration(seconds: float) -> str:
    """`4.7 s`, `45 s`, `12 min`, `3 h 20 min`; a dash where there is none."""
    if not math.isfinite(seconds):
        return NONE
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def counted(count: int, noun: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def seconds_in(text: str) -> float:
    """Seconds of `45s`, `30m`, `2h`, `1h30m`.  Raises InputError on anything else."""
    found = _TIME.fullmatch(text.strip().lower())
    parts = found.groups() if found else ()
    total = sum(float(part) * unit for part, unit in zip(parts, _UNITS.values(), strict=False) if part)
    if not total:
        raise InputError(f"--budget is {shown(text)}; it must be a time such as 45s, 30m, 2h or 1h30m.")
    if total > LONGEST:
        raise InputError(f"--budget is {shown(text)}; it must be a year, {LONGEST // 3600}h, or less.")
    return total


def listed(items: Sequence[object]) -> str:
    """`4`, `4 and 7`, `4, 7 and 10`."""
    *first, last = map(str, items)
    return f"{', '.join(first)} and {last}" if first else last
