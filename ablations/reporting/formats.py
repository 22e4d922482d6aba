"""The formats that a report can be written in."""

from __future__ import annotations

from ablations.core.errors import InputError, unknown

FORMATS = ("html", "md", "csv", "latex", "slide")
USUAL = "html,md"  # the default of --format


def formats_of(words: str) -> tuple[str, ...]:
    """Returns those of FORMATS that `words`, such as `html,csv`, names, in the order of FORMATS.

    Raises InputError on an unknown format, or if none is named.
    """
    asked = words.replace(",", " ").split()
    for word in asked:
        if word not in FORMATS:
            raise unknown("format", word, FORMATS)
    if not asked:
        raise InputError(f"no format is named. Allowed: {', '.join(FORMATS)}.")
    return tuple(name for name in FORMATS if name in asked)
