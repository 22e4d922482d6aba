"""Finds why a worker was lost, in the text of the error that Ray gives.  Imports no ray."""

from __future__ import annotations

import re

from ablations.core.result import ERROR, OUT_OF_MEMORY

_MEMORY = re.compile(r"low on memory.*?was (\S+) used / (\S+) limit", re.DOTALL)
_EXIT = re.compile(r"Worker exit type: (\w+) Worker exit detail: (.*?)\s*(?:Some common causes|If the process|$)")


def why_lost(said: str) -> tuple[str, str]:
    """Returns the status of a trial whose worker was lost, and the reason in a clause; `said` is Ray's error."""
    if found := _MEMORY.search(said):
        used, limit = found.groups()
        return OUT_OF_MEMORY, f"Ray's memory monitor ended it, as {used} of {limit} were in use"
    if found := _EXIT.search(said):
        kind, detail = found.groups()
        return ERROR, f"a signal ended it, as of the system's out-of-memory killer, or it crashed ({kind}: {detail})"
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("Failure #")]
    return ERROR, lines[0][:300] if lines else "its process died"
