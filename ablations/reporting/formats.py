"""Which files a report can be written as."""

from __future__ import annotations

from ablations.core.errors import InputError, unknown

FORMATS = ("html", "md", "csv", "latex", "slide")
USUAL = "html,md"


def formats_of(words: str) -> tuple[str, ...]:
    """Those of FORMATS that `html,csv` names, in their order.  Raises InputError on another one, or on none."""
    asked = words.replace(",", " ").split()
    for word in asked:
        if word not in FORMATS:
            raise unknown("format", word, FORMATS)
    if not asked:
        raise InputError(f"no format is named. Allowed: {', '.join(FORMATS)}.")
    return tuple(name for name in FORMATS if name in asked)
