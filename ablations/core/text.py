"""Writes numbers, times, lists and errors as text, for the terminal and for reports."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from math import isfinite

from ablations.core.errors import InputError, shown

MINUS = "\N{MINUS SIGN}"
FIXED, SMALL = 8, 1e-4  # a number with more digits after the point and below SMALL is written with an exponent
LARGE = 1e12  # a number from here on is written with an exponent
NUMBER = 24  # characters of the longest number or interval; a longer cell of a table is taken for a sentence

MISSING = "\N{EN DASH}"  # in place of a number that is not there
PRINTED = "\nIt had printed:\n"  # in the error of a trial, what precedes the last lines of its output
LONGEST = 366 * 24 * 3600  # most seconds that --budget may give a study
_FRAME = re.compile(r'\s+File ".*", line \d+')  # of a traceback
_UNITS = {"h": 3600, "m": 60, "s": 1}
_TIME = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


def last_line(error: str, longest: int = 200) -> str:
    """Returns the last line of an error that is not blank, or the exception of a traceback, in `longest` characters.

    The message of an exception may have several lines, which are joined.  The output of a failed trial, which may
    follow, is not looked at.
    """
    lines = [line for line in error.partition(PRINTED)[0].splitlines() if line.strip()]
    frames = [place for place, line in enumerate(lines) if _FRAME.match(line)]
    # Below a frame stands its source, indented; the exception begins with the next line that is not.
    after = range(frames[-1] + 1, len(lines)) if frames else range(0)
    first = next((place for place in after if not lines[place][0].isspace()), len(lines) - 1)
    found = " ".join(line.strip() for line in lines[first:]) if lines else "no reason recorded"
    return found if len(found) <= longest else f"{found[: longest - 1]}…"


def duration(seconds: float) -> str:
    """Writes a time as `4.7 s`, `45 s`, `12 min` or `3 h 20 min`; a dash if it is not finite."""
    if not math.isfinite(seconds):
        return MISSING
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def counted(count: int, noun: str) -> str:
    """Writes `1 seed` or `3 seeds`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def seconds_in(text: str) -> float:
    """Returns the seconds of a time such as `45s`, `30m`, `2h` or `1h30m`.  Raises InputError on anything else."""
    found = _TIME.fullmatch(text.strip().lower())
    parts = found.groups() if found else ()
    total = sum(float(part) * unit for part, unit in zip(parts, _UNITS.values(), strict=False) if part)
    if not total:
        raise InputError(f"--budget is {shown(text)}; it must be a time such as 45s, 30m, 2h or 1h30m.")
    if total > LONGEST:
        raise InputError(f"--budget is {shown(text)}; it must be a year, {LONGEST // 3600}h, or less.")
    return total


def listed(items: Sequence[object]) -> str:
    """Writes `4`, `4 and 7` or `4, 7 and 10`."""
    *first, last = map(str, items)
    return f"{', '.join(first)} and {last}" if first else last


def few(items: Sequence[object], most: int) -> str:
    """Writes `a, b and 5 more`, for a sentence: the first `most` of the items, and how many more there are."""
    words = [*map(str, items)]
    return listed([*words[:most], *[f"{len(words) - most:,} more"] * (len(words) > most)])


def capped(items: Sequence[object], most: int = 12) -> str:
    """Writes `a, b, c and 5 more`: the first `most` of the items, or all of them if at most one is left over."""
    words = [*map(str, items)]
    if len(words) <= most + 1:
        return ", ".join(words)
    return f"{', '.join(words[:most])} and {len(words) - most:,} more"


def number(value: float, digits: int = 2) -> str:
    """Writes `12.34`, with a real minus sign; a dash if the number is not finite.

    A small number with many digits is written as `1.23e-11`, with its last digit at the same place, and a huge one as
    `1.23e+20`.
    """
    return _written(value, digits, "") if isfinite(value) else MISSING


def signed(value: float, digits: int = 2) -> str:
    """Writes `+1.23`, with a real minus sign if it is negative; zero has a plus.  A dash if it is not finite."""
    return _written(value, digits, "+") if isfinite(value) else MISSING


def _written(value: float, digits: int, sign: str) -> str:
    rounded = round(value, digits) + 0.0  # never -0.00
    if abs(rounded) >= LARGE:
        return f"{rounded:{sign}.2e}".replace("-", MINUS)
    if digits > FIXED and abs(rounded) < SMALL:
        figures = digits + math.floor(math.log10(abs(rounded))) if rounded else 0
        return f"{rounded:{sign}.{figures}e}".replace("-", MINUS) if rounded else f"{rounded:{sign}.0f}"
    return f"{rounded:{sign},.{digits}f}".replace("-", MINUS)


def interval(low: float, high: float, *, sign: bool = True, digits: int = 2) -> str:
    """Writes `[+0.10, +2.56]`; a dash if a bound is not finite.  Without `sign`, positive bounds have no plus.

    A negative bound that rounds to zero keeps its sign, as in `[-0.00, +0.60]`: such an interval holds zero.
    """
    if not (isfinite(low) and isfinite(high)):
        return MISSING
    write = signed if sign else number
    bounds = [
        MINUS + number(0.0, digits) if bound < 0 and round(bound, digits) == 0 else write(bound, digits)
        for bound in (low, high)
    ]
    return f"[{', '.join(bounds)}]"


def probability(value: float) -> str:
    """Writes a p-value as `0.031` or `<0.001`."""
    return "<0.001" if value < 0.001 else number(value, 3)


def change(ratio: float) -> str:
    """Writes the relative change that a ratio stands for: `+12.3%`, or `0`."""
    if not isfinite(ratio):
        return MISSING
    return "0" if abs(ratio - 1) < 5e-4 else f"{signed(100 * (ratio - 1), 1)}%"


def told(what: str, parts: list[str]) -> str:
    """Writes the text alternative of a figure: `what` it shows, and the first 30 of its parts."""
    more = f"; and {len(parts) - 30} more" if len(parts) > 30 else ""
    return f"{what}: {'; '.join(parts[:30])}{more}."
