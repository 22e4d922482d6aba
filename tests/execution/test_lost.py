"""The reason in what Ray says of a lost worker; the texts are those of Ray 2.60, shortened."""

from __future__ import annotations

import pytest

from ablations.core.result import ERROR, OUT_OF_MEMORY
from ablations.execution.lost import why_lost

MEMORY = """Failure # 1 (occurred at 2026-11-29_00-17-03)
2 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 192.0.2.2, ID: ba0f) was 4.12GB
 used / 23.54GB limit (0.174981)
OOM kill reason: Memory usage 4420775936B exceeded threshold of 1263825536B (5.0% of 25276510208B limit)
"""
SIGNAL = """Failure # 1 (occurred at 2026-11-29_00-14-32)
The actor died unexpectedly before finishing this task.
\tclass_name: ImplicitFunc
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker \
unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1) the process was killed
"""


@pytest.mark.parametrize(
    ("said", "status", "reason"),
    [
        (MEMORY.replace("\n used", " used"), OUT_OF_MEMORY, "ended it, as 4.12GB of 23.54GB were in use"),
        (SIGNAL, ERROR, "(SYSTEM_ERROR: Worker unexpectedly exits with a connection error code 2. End of file.)"),
        ("Failure # 1 (occurred)\nThe actor died because its node has died.\nmore", ERROR, "its node has died."),
        ("", ERROR, "its process died"),
    ],
)
def test_the_status_and_the_reason_are_taken_from_what_ray_says(said: str, status: str, reason: str) -> None:
    found = why_lost(said)
    assert found[0] == status
    assert found[1].endswith(reason)
    assert "\n" not in found[1]
