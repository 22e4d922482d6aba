"""Names that a user typed: the one thing meant, or a sentence that helps."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable


class InputError(ValueError):
    """What a user asked for cannot be done; the message is one sentence that says why and what can be."""


def unknown(kind: str, name: str, allowed: Iterable[str]) -> InputError:
    """The error for an unknown `name`: what was wrong, the nearest, what is allowed."""
    allowed = sorted(allowed)
    near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return InputError(f"unknown {kind} {name!r}{hint} Allowed: {', '.join(allowed)}.")


def answered(command: Callable[[], int], *, stopped: str = "stopped; the same command goes on where it was") -> int:
    """The exit code of `command`; whatever it raises is told in one sentence on standard error.

    2 on bad input, 130 where it was interrupted, and 1 where the system refused something, such as room on a disk, or
    where the program itself is at fault: the traceback is in a file then, which the sentence names.
    """
    try:
        code = command()
        sys.stdout.flush()
        return code
    except InputError as error:
        return _told(f"error: {error}", 2)
    except KeyboardInterrupt:
        return _told(f"\n{stopped}", 130)
    except OSError as error:
        named = " and ".join(repr(str(name)) for name in (error.filename, error.filename2) if name is not None)
        what = f"{error.strerror or error}{f': {named}' if named else ''}"
        return _told(f"error: {_hidden(what)}; what was finished is whole, and {_details(error)}", 1)
    except Exception as error:
        first = " ".join(str(error).split())
        what = f"{type(error).__name__}{f': {first[:200]}' if first else ''}"
        return _told(f"error: the program is at fault ({_hidden(what)}); {_details(error)}", 1)


def _told(sentence: str, code: int) -> int:
    """`code`, when the sentence has been said as far as anyone can read it."""
    for stream, text in ((sys.stdout, ""), (sys.stderr, f"{sentence}\n")):
        try:
            stream.write(text)
            stream.flush()
        except (OSError, ValueError):  # nobody reads it, or its disk is full: Python would say so again at its end
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


def _hidden(text: str) -> str:
    """`text` without the secrets that were typed."""
    from ablations.mirror import hidden

    return hidden(text, *sys.argv)


def _details(error: Exception) -> str:
    """Where the traceback of `error` was written, in a clause."""
    text = _hidden("".join(traceback.format_exception(error)))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="ablations-error-", suffix=".txt", delete=False, encoding="utf-8", errors="replace"
        ) as file:
            file.write(text)
        return f"details are in {file.name}"
    except OSError:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"it happened in {place.filename}, line {place.lineno}"
