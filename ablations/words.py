"""Numbers in words, for the terminal and for reports."""

from __future__ import annotations

import math

NONE = "\N{EN DASH}"


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
