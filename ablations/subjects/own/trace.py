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

# Whole words of the names of times and speeds: "train_time" has one, "timesteps" and "lifetime" do not.
TIMES = re.compile(
    "times?|seconds?|secs?|minutes|hours|[mun]s|[mu]secs?|durations?|elapsed|(run|wall|up)time|throughput|latency|"
    "[sfit]ps|mfu|eta"
)
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")  # of train_time, train/time and trainTime


def trace_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Returns sixteen hex digits of the rows, in their order, without numbers whose names say that they are times."""
    digest = hashlib.sha256()
    for row in rows:
        kept = {name: value for name, value in row.items() if not is_time(name)}
        digest.update(json.dumps(kept, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()[:16]


def is_time(name: str) -> bool:
    """Tells whether a number of this name is a time or a speed, which differs between two runs of the same trial."""
    return any(TIMES.fullmatch(word.lower()) for word in WORD.findall(name))
