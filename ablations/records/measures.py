"""Which activities the record of a trained reference must hold, and which of them it lacks.  Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ablations.core.claim import compared
from ablations.core.load import load
from ablations.core.result import DONE, FINAL, Result
from ablations.core.study import Study

UNMEASURED = "activities were not measured: the process ended before that"
_TOLD = re.compile(r"activity of (\S+) was not measured: ")


def needed(study: Study) -> tuple[str, ...]:
    """Returns the components whose activity verdicts need: those under study, and those that its claims compare.

    Components whose activity the subject does not measure are left out.
    """
    claimed = (name for claim in study.claims for name, _ in compared(claim))
    asked = {*(name for name, _ in study.components), *claimed}
    known = load(study.subject).components
    measured = {name for name in asked if name not in known or known[name].negligible > 0}
    return tuple(sorted(measured))


def not_measured(name: str, why: str) -> str:
    """Returns the note in a record that says why an activity could not be measured; later runs do not try it again."""
    return f"activity of {name} was not measured: {why}"


def lacking(result: Result, names: Iterable[str]) -> tuple[str, ...]:
    """Returns those of `names` whose activity a later run must still measure in the reference of `result`.

    Only a finished reference has activities.  A record of another version of the training code stays as it is, because
    this code cannot train its network again.
    """
    if result.status != DONE or result.trial.variant.departures:
        return ()
    if result.training_version != load(result.trial.subject).version:
        return ()
    told = {found[1] for line in result.notes if (found := _TOLD.match(line))}
    return tuple(name for name in names if name not in result.activity and name not in told)


def complete(result: Result, names: Iterable[str]) -> bool:
    """Tells whether a trial need not run again: it has an outcome, and the activities of `names` if it needs them."""
    return result.status in FINAL and not lacking(result, names)
