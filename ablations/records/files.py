"""Files written whole or not at all, strict JSON, and arrays that are never unpickled."""

from __future__ import annotations

import contextlib
import json
import math
import os
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


# What a file of arrays raises that is damaged, or is not what was looked for.
UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)
# What reading a JSON file of ours raises where it is damaged, is no file, or holds something else.
DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


def toml_in(path: Path, called: str) -> dict[str, Any]:
    """What a TOML file holds.  Raises InputError, where the file is `called` so, if it cannot be read or is no TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{called} cannot be read: {error.strerror}.") from None
    # A whole number of thousands of digits is a ValueError of its own.
    except (ValueError, RecursionError) as error:
        raise InputError(f"{called} is no TOML: {error}.") from None


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A file to write what shall stand at `path`: a reader sees the old one or the whole new one, never a part.

    A temporary name in the same folder, flushed to the disk, then renamed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    file = temporary.open("xb")  # who may read it is what the umask says
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)  # a full disk does not say which file had no room
        raise


@contextlib.contextmanager
def arrays(path: Path) -> Iterator[NpzFile]:
    """The arrays of an .npz file by their names, each read when it is asked for and none unpickled.

    Raises what `UNREADABLE` lists.
    """
    import numpy as np

    # numpy leaves a file open that it cannot read.
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        yield file


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Writes `record` as strict JSON, whole or not at all."""
    with replaced(path) as file:
        file.write(json.dumps(_strict(record), indent=1, allow_nan=False).encode() + b"\n")


def write_text(path: Path, text: str) -> None:
    """Writes `text` as UTF-8, whole or not at all."""
    with replaced(path) as file:
        file.write(text.encode())


def read_json(path: Path) -> Any:
    """What the JSON file `path` holds.  Raises what `DAMAGED` lists, and never waits: a pipe is no file."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # without waiting for whoever writes into a pipe
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is no file but a folder, a pipe or a device")
        with os.fdopen(handle, "rb", closefd=False) as file:
            text = file.read().decode()
    finally:
        os.close(handle)
    found = json.loads(text, parse_constant=_refuse)
    if "\\ud" in text.lower():
        json.dumps(found, ensure_ascii=False).encode()  # raises where half a character would break every page
    return found


def why(error: BaseException) -> str:
    """What is wrong with a file, in a clause, from what `read_json` or a value's `from_dict` raised."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, KeyError):
        return f"no {error}"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _strict(value: Any) -> Any:
    """`value` with None for what JSON has no word for: infinities and nan."""
    if isinstance(value, Mapping):
        return {name: _strict(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _refuse(constant: str) -> None:
    raise ValueError(f"it holds {constant}, which is no number")
