"""A study of which nothing works stops after its first trials: all others would fail as they did."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ablations.core.errors import StoppedError
from ablations.core.load import is_file
from ablations.core.result import FINAL, Result
from ablations.core.text import counted, last_line
from ablations.core.trial import Trial
from ablations.execution.executor import Watch

FIRST = 3  # trials: the reference and two changes of it, or three seeds of the reference
# What differs between errors that are alike: addresses, keys, seeds, numbers of lines.
_DIFFERS = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{12}\b|\d+")


class Alike:
    """A `Watch` that hands on what it is told, and stops a study whose first trials have all failed alike."""

    def __init__(self, watch: Watch, *, total: int, worked: bool) -> None:
        """`total` trials were to run; `worked` says whether one of the study has come to an outcome before."""
        self.watch, self.total, self.worked = watch, total, worked
        self.failed: list[Result] = []

    def begin(self) -> None:
        """Hands it on."""
        self.watch.begin()

    def epoch(self, trial: Trial, row: Mapping[str, float]) -> None:
        """Hands it on."""
        self.watch.epoch(trial, row)

    def result(self, result: Result) -> None:
        """Hands it on.  Raises StoppedError where it is the last of the first that have failed alike."""
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
            f"the first {FIRST} trials have failed alike ({result.status}: {last_line(self.failed[0].error, 300)}), so "
            f"the {counted(left, 'trial')} that follow were not run; what the {FIRST} said is in their records. Mend "
            f"what is wrong, then give the same command again{changed}."
        )


def _kind(result: Result) -> tuple[str, str]:
    """Equal for failures that are alike."""
    return result.status, _DIFFERS.sub("#", last_line(result.error, 300))
