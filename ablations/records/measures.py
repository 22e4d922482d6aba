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
    """The components whose activity verdicts ask for: those under study, and those that its claims compare."""
    claimed = (name for claim in study.claims for name, _ in compared(claim))
    asked = {*(name for name, _ in study.components), *claimed}
    known = load(study.subject).components
    measured = {name for name in asked if name not in known or known[name].negligible > 0}
    return tuple(sorted(measured))


def not_measured(name: str, why: str) -> str:
    """The sentence in a record that an activity could not be had; it is not asked for again."""
    return f"activity of {name} was not measured: {why}"


def lacking(result: Result, names: Iterable[str]) -> tuple[str, ...]:
    """Those of `names` whose activity a later run must still measure in the reference of `result`; mostly none.

    Departures have no activities.  What another version of the training code trained stays as it is: its network
    cannot be had again.
    """
    if result.status != DONE or result.trial.variant.departures:
        return ()
    if result.training_version != load(result.trial.subject).version:
        return ()
    told = {found[1] for line in result.notes if (found := _TOLD.match(line))}
    return tuple(name for name in names if name not in result.activity and name not in told)


def complete(result: Result, names: Iterable[str]) -> bool:
    """Whether a trial need not be tried again: it has an outcome, and its activities where it must have them."""
    return result.status in FINAL and not lacking(result, names)
