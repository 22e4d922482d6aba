"""Errors that a user sees: their types, sentences on wrong names, text that is safe to print, and exit codes."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import sys
import tempfile
import traceback
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

LONGEST_NAME = 200  # bytes of a study's name: file systems allow 255, and temporary names add some
_LONGEST_SHOWN = 200  # characters of a value that an error quotes

# Characters that a terminal acts on, or that a page hides: control characters (ESC among them), line separators,
# changes of text direction, and surrogates, which no UTF-8 file can hold.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_NOT_IN_NAMES = re.compile(r'[/\\<>:"|?*]')  # separators of paths, and what Windows, shells or URLs interpret
_DEVICES = {"con", "prn", "aux", "nul", *(f"{word}{digit}" for word in ("com", "lpt") for digit in range(1, 10))}
_TAKEN = {"mlflow", "mlflow.db", "mlruns"}  # MLflow's own files, beside the studies in the folder of records


class InputError(ValueError):
    """What a user asked for cannot be done; the message is one sentence that says why and what can be done instead."""


class StoppedError(RuntimeError):
    """Something that was begun cannot continue; the message is one sentence that says why and what helps."""


class DivergedError(ArithmeticError):
    """The numbers of a training are no longer finite.  That is an outcome and no fault.  `curve` holds earlier rows."""

    def __init__(self, message: str, curve: Sequence[Mapping[str, float]] = ()) -> None:
        super().__init__(message)
        self.curve = tuple(curve)


def unknown(kind: str, name: str, allowed: Iterable[str]) -> InputError:
    """Returns the error for an unknown `name`, which gives the name, the nearest one and all that are allowed."""
    allowed = sorted(allowed)
    return InputError(f"unknown {kind} {shown(name)}{nearest(name, allowed)} Allowed: {', '.join(allowed)}.")


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Returns `; did you mean 'lrn'?` if one of `allowed` is near to `name`, otherwise a semicolon."""
    near = difflib.get_close_matches(name[:_LONGEST_SHOWN], list(allowed), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ";"


def shown(value: object) -> str:
    """Returns `value` as an error can quote it: in quotes if it is text, shortened, and without control characters."""
    quoted = repr(shortened(str(value))) if isinstance(value, str | os.PathLike) else shortened(repr(value))
    return printable(quoted)


def shortened(text: str) -> str:
    """Returns `text`, without its middle if it is longer than an error can quote."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:120]}...{text[-60:]}"


def printable(text: str) -> str:
    r"""Returns `text` with control characters escaped, such as ESC as \x1b.  Tabs and ends of lines stay."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def acting(text: str) -> str:
    """Returns the first control character of `text`, tabs and ends of lines included; "" if there is none."""
    return next((char for char in text if char in "\t\n" or _OBEYED.match(char)), "")


def study_name(name: str) -> str:
    """Returns `name` if a folder can have it on every system.  Raises InputError, which says why, if not."""
    if reason := _no_name(name):
        raise InputError(f"--name is {shown(name)}; {reason}.")
    return name


def _no_name(name: str) -> str:
    """Returns why no study can be called `name`, or "" if one can."""
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
    """Returns `text`, changed as little as possible so that it can be part of a study's name."""
    plain = unicodedata.normalize("NFC", text)
    plain = "".join(char if char.isprintable() and not _NOT_IN_NAMES.match(char) else "-" for char in plain)
    return plain.encode()[: LONGEST_NAME // 2].decode(errors="ignore").strip()


def at_home(path: Path | str) -> Path:
    """Returns `path` with a leading `~` or `~user` replaced.  Raises InputError if there is no such home folder."""
    home = os.path.expanduser(path)  # of the string if there is one: a Path turns `./~`, a folder called ~, into `~`
    if home.startswith("~"):
        raise InputError(f"The path {path} begins with a home folder that is not known; write it out.")
    return Path(home)


def answered(command: Callable[[], int], *, stopped: str = "stopped; the same command goes on where it was") -> int:
    """Runs `command` and returns its exit code; an exception becomes one sentence on standard error.

    The exit code is 2 on bad input, 130 after an interrupt, and 1 if the system refused something, such as space on a
    disk, or if the program itself is at fault.  Then the traceback is written to a file that the sentence names.
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
        return _told(f"error: {_hidden(what)}; what was finished is kept, and {_details(error)}", 1)
    except Exception as error:
        first = " ".join(str(error).split())
        what = f"{type(error).__name__}{f': {first[:200]}' if first else ''}"
        loop = isinstance(error, RuntimeError) and first.startswith("Symlink loop")  # pathlib says so of a path
        remedy = f"error: {printable(first)}: the link leads to itself; mend or remove it."
        said = remedy if loop else f"error: the program is at fault ({_hidden(what)}); {_details(error)}"
        return _told(said, 2 if loop else 1)


def _told(sentence: str, code: int) -> int:
    """Prints the sentence on standard error, if anybody can still read that, and returns `code`."""
    for stream, text in ((sys.stdout, ""), (sys.stderr, f"{sentence}\n")):
        try:
            stream.write(text)
            stream.flush()
        # Nobody reads the stream, or its disk is full.  Without another target, Python would complain again at its end.
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


def _hidden(text: str) -> str:
    """Returns `text` without the secrets that were typed on the command line."""
    from ablations.core.secrets import hidden

    return hidden(text, *sys.argv)


def _details(error: Exception) -> str:
    """Writes the traceback of `error` to a file and says in a clause where it is."""
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
