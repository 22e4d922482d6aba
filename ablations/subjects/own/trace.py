"""The digest of everything that a trial reported, but for times: equal traces are equal trials, to the last digit.

A change whose trace equals the reference's does nothing.  The main metric alone could not tell: an accuracy may stay
the same for a while where every loss differs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

TIMES = ("seconds", "time", "duration", "per_sec", "throughput", "elapsed")  # anywhere in a name
RATES = re.compile(r"(?<![a-z])(sps|fps|ips|tps|mfu|eta)(?![a-z])")  # as words of it: steps or frames a second, ..


def trace_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Sixteen hex digits of the rows, in their order, without what is named as a time."""
    digest = hashlib.sha256()
    for row in rows:
        kept = {name: value for name, value in row.items() if not _is_time(name.lower())}
        digest.update(json.dumps(kept, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()[:16]


def _is_time(name: str) -> bool:
    return any(word in name for word in TIMES) or RATES.search(name) is not None
