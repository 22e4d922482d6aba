"""The result of a trial, as its record holds it."""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ablations.core.fields import NULLS, check_types, made
from ablations.core.identity import SCHEMA, current
from ablations.core.trial import Trial

DONE, DIVERGED, OUT_OF_MEMORY, TIMEOUT, ERROR = STATUSES = (
    "done",
    "diverged",
    "out_of_memory",
    "timeout",
    "error",
)
FINAL = frozenset({DONE, DIVERGED})  # statuses that are outcomes; trials with another one are run again by the next run
# Metrics of a trial with a target.  The first two are missing if the target was never reached: the time is then
# censored at TRAINED.
STEPS = "steps_to_threshold"
LOG_STEPS = "log_steps_to_threshold"  # natural logarithm of STEPS: its differences are logarithms of ratios
REACHED = "threshold_reached"  # 1 or 0
TRAINED = "steps_trained"
LOOKED = "threshold_train_top1_error_percent"  # the training error at the last reading
FIRST_VERSION = 1  # version of the training code in records that do not say


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of a trial.  A trial that fails has a result too, with a status and an error that says why."""

    trial: Trial
    status: str  # one of STATUSES
    metrics: Mapping[str, float] = field(default_factory=dict, metadata=NULLS)  # at the end of the trial
    curve: tuple[Mapping[str, float], ...] = field(default=(), metadata=NULLS)  # one row per epoch
    readings: tuple[tuple[int, float], ...] = ()  # (step, value of the target's metric), if there is a target
    outcomes: str = ""  # base64 of packed bits: which evaluated examples were right, in stored order
    activity: Mapping[str, float] = field(default_factory=dict)  # component -> activity; only a reference has any
    extras: Mapping[str, str] = field(default_factory=dict)  # for sections of a report that the subject adds
    trace: str = ""  # digest of everything that the trial reported, except times; empty: not known
    seconds: float = 0.0  # wall time of the trial; if it shares a training with another, only of its own evaluation
    trained_with: str = ""  # key of the trial whose training it shares, and whose seconds include that training
    provenance: Mapping[str, Any] = field(default_factory=dict)  # see `ablations.records.provenance`
    notes: tuple[str, ...] = ()  # remarks that a reader should see; none of them is a failure
    artifacts: tuple[str, ...] = ()  # files that the trial has kept, as paths from the study's folder
    error: str = ""  # why the trial has no outcome, or why it diverged; empty if it is done
    training_version: int = FIRST_VERSION  # of the code that trained it: see `ablations.core.subject.Defaults.version`
    training_digest: str = ""  # of that code's sources; empty in records older than the digest

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON values, with the schema's version and the trial's key."""
        return {"schema": SCHEMA, "key": self.trial.key, **_plain(self), "trial": self.trial.to_dict()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Result:
        """Returns the Result of a record.

        Raises ValueError on another schema, an unknown status, metrics that are not finite numbers, or a key that is
        not the trial's, and KeyError or TypeError on a missing or unknown field, or one of the wrong type.
        """
        fields = current(record)
        key = fields.pop("key")
        result = made(cls, fields)
        check_types(result)
        base64.b64decode(result.outcomes, validate=True)
        if result.status not in STATUSES:
            raise ValueError(f"unknown status {result.status!r}")
        if result.trial.key != key:
            raise ValueError(f"the key {key!r} does not fit the trial, whose key is {result.trial.key!r}")
        if result.status == DONE:
            _check_metrics(result.metrics)
        return result


def _plain(result: Result) -> dict[str, Any]:
    """Returns the fields of `result`, except the trial, as JSON values."""
    left_out = {"trial"} if result.artifacts else {"trial", "artifacts"}  # nearly no record names any
    fields = {one.name: getattr(result, one.name) for one in dataclasses.fields(result) if one.name not in left_out}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}


def _check_metrics(metrics: Mapping[str, Any]) -> None:
    """Raises ValueError unless there are metrics and all of them are finite numbers, as in every finished trial."""
    if not metrics:
        raise ValueError("it is done and holds no metrics")
    for name, value in metrics.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"it is done and its metric {name} is {value!r}, which is no finite number")


def by_note(results: Iterable[Result]) -> dict[str, list[Trial]]:
    """Returns note -> the trials that have it, the note of most trials first."""
    found: dict[str, list[Trial]] = {}
    for one in results:
        for note in dict.fromkeys(one.notes):
            found.setdefault(note, []).append(one.trial)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))
