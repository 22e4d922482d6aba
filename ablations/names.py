"""Names that a user typed: the one thing meant, or a sentence that helps."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable


class InputError(ValueError):
    """What a user asked for cannot be done; the message is one sentence that says why and what can be."""


class StoppedError(RuntimeError):
    """What was begun cannot go on; the message is one sentence that says why and what helps."""


def unknown(kind: str, name: str, allowed: Iterable[str]) -> InputError:
    """The error for an unknown `name`: what was wrong, the nearest, what is allowed."""
    allowed = sorted(allowed)
    near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return InputError(f"unknown {kind} {name!r}{hint} Allowed: {', '.join(allowed)}.")


def answered(command: Callable[[], int]) -> int:
    """The exit code of `command`: 2 on bad input and 1 where it cannot go on, told in a sentence, 130 on Ctrl-C."""
    try:
        return command()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except StoppedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on where it was", file=sys.stderr)
        return 130
