"""The kernels of a first layer, as text for a record and back (the paper, figure 3).  Needs numpy alone.

Shapes: O filters, C colours, K pixels a side.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def pack(kernels: Any) -> str:
    """Base64 of a .npy file of `kernels` (O, C, K, K) as float16: 10 kB for 48 of 5 x 5, 93 kB for 96 of 11 x 11."""
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(kernels, dtype=np.float16), allow_pickle=False)
    return base64.b64encode(buffer.getvalue()).decode()


def unpack(text: str) -> Array | None:
    """The (O, C, K, K) float32 that `pack` wrote; None where there is nothing, or nothing that can be read."""
    try:
        found = np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)
    except (ValueError, EOFError):
        return None
    return found.astype(np.float32) if found.ndim == 4 and np.isfinite(found).all() else None
