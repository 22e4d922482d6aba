"""Stops a study whose first trials all fail in the same way, since the others would fail in that way too."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ablations.core.errors import StoppedError
from ablations.core.load import is_file
from ablations.core.result import FINAL, Result
from ablations.core.text import counted, last_line
from ablations.core.trial import Trial
from ablations.execution.executor import Watch

FIRST = 3  # failures after which a study stops; enough to hold the reference and two changes
# What may differ between two errors of one kind: addresses, keys of trials, and numbers such as seeds or lines.
_DIFFERS = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{12}\b|\d+")


class Alike:
    """A `Watch` that passes all calls on to another, and stops a study whose first trials all failed alike."""

    def __init__(self, watch: Watch, *, total: int, worked: bool) -> None:
        """Passes calls on to `watch`.

        `total` is the number of trials that are to run.  `worked` says whether a trial of the study has already had an
        outcome; if so, the study is never stopped here.
        """
        self.watch, self.total, self.worked = watch, total, worked
        self.failed: list[Result] = []

    def begin(self) -> None:
        """Passes the call on."""
        self.watch.begin()

    def epoch(self, trial: Trial, row: Mapping[str, float]) -> None:
        """Passes the call on."""
        self.watch.epoch(trial, row)

    def result(self, result: Result) -> None:
        """Passes the call on.  Raises StoppedError if `result` completes `FIRST` failures of one kind."""
        self.watch.result(result)
        if self.worked or result.status in FINAL:
            self.worked = True
            return
        self.failed.append(result)
        left = self.total - len(self.failed)
        if len(self.failed) != FIRST or not left or len({*map(_kind, self.failed)}) > 1:
            return
        changed = ", with --retrain where the study's own code has changed" if is_file(result.trial.subject) else ""
        raise StoppedError(
            f"the first {FIRST} trials failed in the same way ({result.status}: {last_line(self.failed[0].error, 300)})"
            f", so the {counted(left, 'trial')} that follow were not run; the records of the {FIRST} hold their "
            f"errors. Mend what is wrong, then give the same command again{changed}."
        )


def _kind(result: Result) -> tuple[str, str]:
    """Returns a value that is equal for failures of one kind: the status, and the error without its numbers."""
    return result.status, _DIFFERS.sub("#", last_line(result.error, 300))
