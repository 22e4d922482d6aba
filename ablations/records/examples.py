"""What each evaluated example gave to a trial's main metric: results/<study>/examples/<key>.npz, beside its record.

If every example is simply right or wrong, the record itself holds that, packed by `ablations.records.outcomes`, and
this file is not written.  Shape: N examples, in the order that all trials share.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ablations.records.files import UNREADABLE, arrays, replaced


def examples_path(folder: Path, key: str) -> Path:
    """Returns where the values of a trial's examples lie in the study's folder."""
    return folder / "examples" / f"{key}.npz"


def write_examples(folder: Path, key: str, values: Sequence[float]) -> Path:
    """Writes `values` (N,) in full precision, whole or not at all, and returns the file's path."""
    path = examples_path(folder, key)
    with replaced(path) as file:
        np.savez_compressed(file, values=np.asarray(values, dtype=np.float64))
    return path


def read_examples(folder: Path, key: str) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Returns the values (N,) of a trial; None if there is no file, or none that can be read.  Nothing is unpickled."""
    try:
        with arrays(examples_path(folder, key)) as file:
            found: np.ndarray[Any, np.dtype[np.float64]] = file["values"]
    except UNREADABLE:
        return None
    return found if found.ndim == 1 and found.dtype == np.float64 else None
