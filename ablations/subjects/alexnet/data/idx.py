"""Reads and writes the idx format of the MNIST family: http://yann.lecun.com/exdb/mnist, "FILE FORMATS"."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable, Iterator
from importlib.resources.abc import Traversable

import numpy as np
from numpy.typing import NDArray

from ablations.core.errors import InputError

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.decompress, ".bz2": bz2.decompress}


def find_idx(folder: Traversable) -> tuple[Traversable, ...] | None:
    """Returns the four files of `folder` in the order of FILES, compressed or not, or None when one is missing."""

    def variants(name: str) -> Iterator[Traversable]:
        candidates = (folder / f"{name}{suffix}" for suffix in DECOMPRESS)
        return (file for file in candidates if file.is_file())

    found = tuple(file for name in FILES if (file := next(variants(name), None)) is not None)
    return found if len(found) == len(FILES) else None


def read_idx(file: Traversable) -> NDArray[np.uint8]:
    """Returns the array in `file`, of the shape in its header.  Raises InputError if it is no idx file of bytes."""
    suffix = next(suffix for suffix in (".gz", ".bz2", "") if file.name.endswith(suffix))
    try:
        content = DECOMPRESS[suffix](file.read_bytes())
        zero, kind, dimensions = np.frombuffer(content, dtype=">u2,u1,u1", count=1)[0].tolist()
        if zero != 0 or kind != 8:
            raise ValueError("its first bytes are not those of an idx file of bytes")
        shape = np.frombuffer(content, dtype=">u4", count=dimensions, offset=4).tolist()
        return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"The file {file} cannot be read: {error}.") from error


def write_idx(array: NDArray[np.uint8]) -> bytes:
    """Returns the content of an uncompressed idx file that holds `array`."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    return header + np.ascontiguousarray(array).tobytes()
