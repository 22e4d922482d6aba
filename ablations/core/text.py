"""Numbers and errors in words, for the terminal and for reports."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from math import isfinite

from ablations.core.errors import InputError, shown

MINUS = "\N{MINUS SIGN}"
NUMBER = 24  # characters that the longest number or interval takes

NONE = "\N{EN DASH}"
PRINTED = "\nIt had printed:\n"  # in the error of a trial, before the last lines of its output
LONGEST = 366 * 24 * 3600  # seconds that a study may be given
_UNITS = {"h": 3600, "m": 60, "s": 1}
_TIME = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


def last_line(error: str, longest: int = 200) -> str:
    """The last line that says something, at most `longest` characters: of a traceback, the exception.

    What a failed trial had printed is no part of it.
    """
    lines = [line.strip() for line in error.partition(PRINTED)[0].splitlines() if line.strip()]
    found = lines[-1] if lines else "no reason recorded"
    return found if len(found) <= longest else f"{found[: longest - 1]}…"


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


def capped(items: Sequence[object], most: int = 12) -> str:
    """`a, b, c and 5 more`: all of the items, or the first `most` where there are over one more."""
    words = [*map(str, items)]
    if len(words) <= most + 1:
        return ", ".join(words)
    return f"{', '.join(words[:most])} and {len(words) - most:,} more"


def number(value: float, digits: int = 2) -> str:
    """`12.34`, with a real minus sign; a dash where there is none."""
    return f"{_rounded(value, digits):,.{digits}f}".replace("-", MINUS) if isfinite(value) else MISSING


def signed(value: float, digits: int = 2) -> str:
    """`+1.23`, or with a real minus sign; zero keeps its plus."""
    return f"{_rounded(value, digits):+,.{digits}f}".replace("-", MINUS) if isfinite(value) else MISSING


def _rounded(value: float, digits: int) -> float:
    return round(value, digits) + 0.0  # never -0.00


def interval(low: float, high: float, *, sign: bool = True, digits: int = 2) -> str:
    """`[+0.10, +2.56]`; a dash where a bound is missing."""
    write = signed if sign else number
    return f"[{write(low, digits)}, {write(high, digits)}]" if isfinite(low) and isfinite(high) else MISSING


def probability(value: float) -> str:
    """`0.031`, `<0.001`."""
    return "<0.001" if value < 0.001 else number(value, 3)


def change(ratio: float) -> str:
    """`+12.3%`, `0`."""
    if not isfinite(ratio):
        return MISSING
    return "0" if abs(ratio - 1) < 5e-4 else f"{signed(100 * (ratio - 1), 1)}%"


def told(what: str, parts: list[str]) -> str:
    """`what` is to be seen, and its parts one by one, for who cannot see a figure: the first 30 of them."""
    more = f"; and {len(parts) - 30} more" if len(parts) > 30 else ""
    return f"{what}: {'; '.join(parts[:30])}{more}."


MISSING = NONE
