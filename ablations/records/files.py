"""Files written whole or not at all, strict JSON, and arrays that are never unpickled."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import secrets
import stat
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ablations.core.errors import InputError

if TYPE_CHECKING:
    from numpy.lib.npyio import NpzFile


# What reading an .npz file raises if it is missing, is damaged, or lacks the array that was asked for.
UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)
# What reading one of our JSON files, and making a value of its content, raises if it is missing or damaged.
DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
PARTIAL = re.compile(r"\..+\.[0-9a-f]{8}")  # the name of a file while `replaced` writes it


def toml_in(path: Path, called: str) -> dict[str, Any]:
    """Returns what a TOML file holds.  Raises InputError, which names the file as `called`, if that cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{called} cannot be read: {error.strerror}.") from None
    # tomllib's own error is a ValueError.  A whole number of thousands of digits raises a plain ValueError.
    except (ValueError, RecursionError) as error:
        raise InputError(f"{called} is no TOML: {error}.") from None


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Yields a file whose content replaces `path` at the end: readers see the old file or the whole new one, no part.

    The content is written under a temporary name in the same folder, flushed to the disk and then renamed.  If the
    body of the `with` raises, `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    file = temporary.open("xb")  # unlike tempfile's, this file has the permissions that the umask gives
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)  # the error of a full disk does not name the file
        raise


@contextlib.contextmanager
def arrays(path: Path) -> Iterator[NpzFile]:
    """Yields the arrays of an .npz file by name.  Each is read when it is asked for, and nothing is unpickled.

    Raises one of `UNREADABLE` if the file or an array cannot be read.
    """
    import numpy as np

    # The file is opened here because numpy does not close a file that it cannot read.
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        yield file


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Writes `record` as strict JSON, whole or not at all; infinities and nan become null."""
    with replaced(path) as file:
        file.write(json.dumps(strict(record), indent=1, allow_nan=False).encode() + b"\n")


def write_text(path: Path, text: str) -> None:
    """Writes `text` as UTF-8, whole or not at all."""
    with replaced(path) as file:
        file.write(text.encode())


def read_json(path: Path) -> Any:
    """Returns what the JSON file `path` holds.  Raises one of `DAMAGED` if it cannot be read, or is no regular file."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would otherwise wait until somebody writes into it
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is no file but a folder, a pipe or a device")
        with os.fdopen(handle, "rb", closefd=False) as file:
            text = file.read().decode()
    finally:
        os.close(handle)
    found = json.loads(text, parse_constant=_refuse)
    if "\\ud" in text.lower():
        # Raises UnicodeEncodeError on half of a surrogate pair, which no page could be written with.
        json.dumps(found, ensure_ascii=False).encode()
    return found


def why(error: BaseException) -> str:
    """Returns a clause on what is wrong with a file, from what `read_json` or a value's `from_dict` raised."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, KeyError):
        return f"no {error}"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def strict(value: Any) -> Any:
    """Returns `value` with None in place of infinities and nan, which JSON cannot hold.

    Half of a surrogate pair, which no UTF-8 can hold, is written as an escape.  It is in text that was decoded from a
    file name in another encoding, for example.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {name: strict(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _refuse(constant: str) -> None:
    """Raises ValueError on `NaN` or `Infinity`, which Python's parser would accept."""
    raise ValueError(f"it holds {constant}, which is no number")
