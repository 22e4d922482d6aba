"""Names that a user typed: the one thing meant, or a sentence that helps."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable


class InputError(ValueError):
    """What a user asked for cannot be done; the message is one sentence that says why and what can be."""


def unknown(kind: str, name: str, allowed: Iterable[str]) -> InputError:
    """The error for an unknown `name`: what was wrong, the nearest, what is allowed."""
    allowed = sorted(allowed)
    near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return InputError(f"unknown {kind} {name!r}{hint} Allowed: {', '.join(allowed)}.")


def answered(command: Callable[[], int]) -> int:
    """The exit code of `command`, or 2 on bad input, told in a sentence, and 130 where it was interrupted."""
    try:
        return command()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on where it was", file=sys.stderr)
        return 130
