"""What came of a trial, as its record holds it."""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ablations.core.fields import NULLS, check_types
from ablations.core.identity import SCHEMA, current
from ablations.core.trial import Trial

DONE, DIVERGED, OUT_OF_MEMORY, TIMEOUT, ERROR = STATUSES = (
    "done",
    "diverged",
    "out_of_memory",
    "timeout",
    "error",
)
FINAL = frozenset({DONE, DIVERGED})  # outcomes; the other statuses are tried again by the next run
STEPS = "steps_to_threshold"  # missing where the threshold was never reached: see the next two
LOG_STEPS = "log_steps_to_threshold"  # its natural logarithm: differences of it are logarithms of ratios
REACHED = "threshold_reached"  # 1 or 0; with 0 the time is censored at
TRAINED = "steps_trained"
LOOKED = "threshold_train_top1_error_percent"  # at the last look
FIRST_VERSION = 1  # of the training code, in records that do not say


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a trial.  A failure is a result with a word and a reason."""

    trial: Trial
    status: str  # one of STATUSES
    metrics: Mapping[str, float] = field(default_factory=dict, metadata=NULLS)  # of the last epoch
    curve: tuple[Mapping[str, float], ...] = field(default=(), metadata=NULLS)  # one row an epoch
    readings: tuple[tuple[int, float], ...] = ()  # (step, value of the target's metric), where there is a target
    outcomes: str = ""  # base64 of packed bits: which evaluation images were right, in stored order
    activity: Mapping[str, float] = field(default_factory=dict)  # component -> number, references only
    extras: Mapping[str, str] = field(default_factory=dict)  # what sections of a report show that its subject adds
    trace: str = ""  # digest of everything that it reported, but for times; empty: not known
    seconds: float = 0.0  # wall time of the trial; where it shares a training, of its own evaluation alone
    trained_with: str = ""  # the key of the trial whose training it shares, and whose seconds hold that training
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # sentences worth a reader's eye; none is a failure
    error: str = ""  # why it has no outcome, or diverged; empty where it is done
    training_version: int = FIRST_VERSION  # of the code that trained it: see `ablations.core.subject.Defaults.version`
    training_digest: str = ""  # of that code's sources; empty in records older than the digest

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values with the schema's version and the trial's key."""
        return {"schema": SCHEMA, "key": self.trial.key, **_plain(self), "trial": self.trial.to_dict()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Result:
        """The Result of a record.

        Raises ValueError on another schema, an unknown status or a key that does not fit the trial,
        and KeyError or TypeError on a missing or unknown field, or one of another type.
        """
        fields = current(record)
        key = fields.pop("key")
        readings = tuple((step, value) for step, value in fields.get("readings", ()))
        fields |= {"trial": Trial.from_dict(fields["trial"]), "curve": tuple(fields["curve"]), "readings": readings}
        fields["notes"] = tuple(fields.get("notes", ()))
        result = cls(**fields)
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
    """The fields of `result` but for its trial, as JSON values."""
    fields = {one.name: getattr(result, one.name) for one in dataclasses.fields(result) if one.name != "trial"}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}


def _check_metrics(metrics: Mapping[str, Any]) -> None:
    """Raises ValueError unless a finished trial has metrics, all of them finite numbers."""
    if not metrics:
        raise ValueError("it is done and holds no metrics")
    for name, value in metrics.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"it is done and its metric {name} is {value!r}, which is no finite number")
