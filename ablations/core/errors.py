"""Names that a user typed: the one thing meant, or a sentence that helps; and text that is safe to show."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import sys
import tempfile
import traceback
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

LONGEST_NAME = 200  # bytes of a study's name: file systems take 255, and temporary names add some
_LONGEST_SHOWN = 200  # characters of a value that an error quotes

# What a terminal obeys or a page hides rather than shows: control characters (ESC among them), the separators of lines,
# what turns the direction of text, and halves of characters, which no UTF-8 file can hold.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_NOT_IN_NAMES = re.compile(r'[/\\<>:"|?*]')  # separators, and what Windows, shells or addresses of databases read
_DEVICES = {"con", "prn", "aux", "nul", *(f"{word}{digit}" for word in ("com", "lpt") for digit in range(1, 10))}
_TAKEN = {"mlflow", "mlflow.db", "mlruns"}  # what lies beside the studies in the folder of records


class InputError(ValueError):
    """What a user asked for cannot be done; the message is one sentence that says why and what can be."""


class StoppedError(RuntimeError):
    """What was begun cannot go on; the message is one sentence that says why and what helps."""


def unknown(kind: str, name: str, allowed: Iterable[str]) -> InputError:
    """The error for an unknown `name`: what was wrong, the nearest, what is allowed."""
    allowed = sorted(allowed)
    return InputError(f"unknown {kind} {shown(name)}{nearest(name, allowed)} Allowed: {', '.join(allowed)}.")


def nearest(name: str, allowed: Iterable[str]) -> str:
    """`; did you mean 'lrn'?` where one of `allowed` is near, else a semicolon."""
    near = difflib.get_close_matches(name[:_LONGEST_SHOWN], list(allowed), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ";"


def shown(value: object) -> str:
    """`value` as an error can quote it: text in quotes, the middle of what is long left out, nothing that acts."""
    quoted = repr(shortened(str(value))) if isinstance(value, str | os.PathLike) else shortened(repr(value))
    return printable(quoted)


def shortened(text: str) -> str:
    """`text` without its middle where it is longer than an error can quote."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:120]}...{text[-60:]}"


def printable(text: str) -> str:
    """`text` with all that a terminal obeys in words: ESC as a backslash and x1b.  Tabs and ends of lines stay."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def acting(text: str) -> str:
    """The first character of `text` that a terminal obeys, or that ends a line; "" where there is none."""
    return next((char for char in text if char in "\t\n" or _OBEYED.match(char)), "")


def study_name(name: str) -> str:
    """`name`, which can be that of a folder on every system.  Raises InputError that says why it cannot."""
    if reason := _no_name(name):
        raise InputError(f"--name is {shown(name)}; {reason}.")
    return name


def _no_name(name: str) -> str:
    """Why no study can be called `name`; "" where one can."""
    size = len(name.encode(errors="surrogatepass"))
    separator = _NOT_IN_NAMES.search(name)
    reasons = {
        "a name holds at least one letter or digit": not any(char.isalnum() for char in name),
        f"it is a name and no path, so it holds no {separator and separator[0]}": separator,
        "a name holds no control characters and nothing else that cannot be seen": not name.isprintable(),
        "a name starts with no dot, dash or space, and ends with no dot or space": re.search(r"^[-. ]|[. ]$", name),
        f"it takes {size} bytes, and a name takes {LONGEST_NAME} at most": size > LONGEST_NAME,
        "MLflow's own files have that name beside the studies: take another": name.lower() in _TAKEN,
        "Windows keeps that name for a device: take another": name.partition(".")[0].strip().lower() in _DEVICES,
    }
    return next((reason for reason, applies in reasons.items() if applies), "")


def as_name(text: str) -> str:
    """The nearest thing to `text` that can be part of a study's name."""
    plain = unicodedata.normalize("NFC", text)
    plain = "".join(char if char.isprintable() and not _NOT_IN_NAMES.match(char) else "-" for char in plain)
    return plain.encode()[: LONGEST_NAME // 2].decode(errors="ignore").strip()


def at_home(path: Path | str) -> Path:
    """`path` with the `~` or `~user` that it begins with replaced.  Raises InputError where there is no such folder."""
    home = os.path.expanduser(path)  # of the words as they are: a Path has already made `~` of `./~`
    if home.startswith("~"):
        raise InputError(f"The path {path} begins with a home folder that is not known; write it out.")
    return Path(home)


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
        return _told(f"error: {printable(' '.join(str(error).splitlines()))}", 2)
    except StoppedError as error:
        return _told(f"error: {printable(' '.join(str(error).splitlines()))}", 1)
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
    from ablations.core.secrets import hidden

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
