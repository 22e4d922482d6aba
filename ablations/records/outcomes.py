"""Which evaluation images a trial got right, as text for a record and back.  Needs numpy alone."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np


def pack(outcomes: Any) -> str:
    """Returns the base64 of `outcomes` (N,) bool, an array or a tensor: eight bits per byte, the first one highest."""
    return base64.b64encode(np.packbits(np.asarray(outcomes)).tobytes()).decode()


def unpack(text: str, count: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Returns the `count` bools (count,) that `pack` wrote."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text), dtype=np.uint8), count=count)
    return bits.astype(bool)
