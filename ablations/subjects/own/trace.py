"""The trace of a trial: a digest of all numbers that it reported, except times.  Equal traces mean equal trials.

A change whose trace equals the reference's does nothing.  The main metric alone would not show that: an accuracy may
stay equal for a while though every loss differs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

TIMES = ("seconds", "time", "duration", "per_sec", "throughput", "elapsed")  # as a part of a name
RATES = re.compile(r"(?<![a-z])(sps|fps|ips|tps|mfu|eta)(?![a-z])")  # as a whole word of a name: steps a second, ...


def trace_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Returns sixteen hex digits of the rows, in their order, without numbers whose names say that they are times."""
    digest = hashlib.sha256()
    for row in rows:
        kept = {name: value for name, value in row.items() if not _is_time(name.lower())}
        digest.update(json.dumps(kept, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()[:16]


def _is_time(name: str) -> bool:
    return any(word in name for word in TIMES) or RATES.search(name) is not None
