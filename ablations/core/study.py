"""The values that flow through the harness.  Frozen, plain inside, standard library only."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ablations.core.claim import Claim, Declaration, Rule
from ablations.core.fields import NULLS, check_types
from ablations.core.tuning import Attempt as Attempt  # noqa: PLC0414
from ablations.core.tuning import Tuned as Tuned  # noqa: PLC0414
from ablations.core.tuning import Tuning as Tuning  # noqa: PLC0414
from ablations.core.tuning import TuningTrial as TuningTrial  # noqa: PLC0414
from ablations.core.tuning import tuning_from_dict
from ablations.core.variant import Skipped as Skipped  # noqa: PLC0414
from ablations.core.variant import Variant as Variant  # noqa: PLC0414
from ablations.models.spec import Spec, sparse, spec_from_dict, training_part
from ablations.records.lineage import FIRST_VERSION
from ablations.subjects.alexnet.setting import Allowance
from ablations.subjects.alexnet.setting import Budget as Budget  # noqa: PLC0414  a value like the others

if TYPE_CHECKING:
    from ablations.subjects.alexnet.activity import Probe

SCHEMA = 1  # of every JSON file that the harness writes

DONE, DIVERGED, OUT_OF_MEMORY, TIMEOUT, ERROR = STATUSES = (
    "done",
    "diverged",
    "out_of_memory",
    "timeout",
    "error",
)
FINAL = frozenset({DONE, DIVERGED})  # outcomes; the other statuses are tried again by the next run


@dataclass(frozen=True, kw_only=True)
class Activity:
    """How much a component's presence changes what the trained reference computes.

    `measure` gets a `Probe` of one trained reference and returns a number; `unit` says of what.
    A number near zero means that the toggle is null by construction.
    """

    measure: Callable[[Probe], float]
    unit: str
    negligible: float = 0.01  # below this the component counts as inactive, and no claim on it is judged


@dataclass(frozen=True, kw_only=True)
class Component:
    """One part of a network, of its data or of its recipe that can be changed: a factor.

    `levels` maps a level's name to the pure rewrite of a Spec that brings it about; the reference
    itself is no level.  The first level is the one that designs use unless another is asked for.
    """

    name: str
    reference: str  # the word for what the reference does
    levels: Mapping[str, Callable[[Spec], Spec]]
    summary: str  # one line: what it does
    source: str  # where it is described, with the section
    activity: Activity
    control: bool = False  # a placebo or a sabotage: rides along in every study


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One variant, trained and evaluated with one seed, for one budget and on one data set."""

    variant: Variant
    seed: int
    budget: Budget
    dataset: str  # name or folder:PATH, as the user gave it but for `~`
    fingerprint: str  # of the data themselves
    preset: str
    spec: Spec  # derived: the preset under the variant's rewrites

    @property
    def training(self) -> Trial:
        """What trials that share a training have in common: this one without what evaluation alone reads."""
        return replace(self, variant=Variant(), spec=training_part(self.spec))

    @cached_property
    def key(self) -> str:
        """Twelve hex digits of the sha256 of everything that decides the result.

        A data set is its fingerprint, not its path, so that a moved folder keeps its records.
        """
        choices = sparse(self)
        del choices["dataset"]
        text = json.dumps(choices, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, from which `from_dict` gives an equal Trial."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Trial:
        """The Trial of a record.  Raises KeyError or TypeError when a field is missing or unknown."""
        return cls(
            **{
                **record,
                "variant": Variant.from_dict(record["variant"]),
                "budget": Budget(**record["budget"]),
                "spec": spec_from_dict(record["spec"]),
            }
        )


@dataclass(frozen=True, kw_only=True)
class Study:
    """A grid's whole plan: which variants, how often, for how long, and what is claimed of them."""

    name: str
    grid: str
    preset: str
    dataset: str
    fingerprint: str
    data_note: str = ""  # what a reader must know of the data; reports print it
    components: tuple[tuple[str, str], ...]  # the (component, level) pairs under study
    variants: tuple[Variant, ...]
    seeds: int
    budget: Budget
    controls: tuple[str, ...] = ()  # components that ride along as single departures
    keys: tuple[str, ...] = ()  # of the trials, seed by seed, in the order of `variants`
    skipped: tuple[Skipped, ...] = ()
    aliases: tuple[str, ...] = ()  # of a fractional design, such as "activation = dropout*lrn"
    claims: tuple[Claim, ...] = ()
    rule: Rule | None = None  # None in studies older than the rule
    declared: tuple[Declaration, ...] = ()  # the first before any trial; each later one is a change
    chance_error_percent: float | None = None  # of always naming the commonest class of the evaluation images
    command: str = ""  # that runs it again
    tuning: Tuning | None = None  # None: every arm has the rate of the preset
    allowance: Allowance | None = None  # None: design, seeds and epochs are the user's own
    linear_error_percent: float | None = None  # of a linear classifier on the raw pixels; None: not computed
    resolution: int = 4  # of a fraction; another design has none
    out_of_reach: tuple[tuple[str, int | None], ...] = ()  # claim -> seeds that would decide it; None: over 10,000

    @property
    def looks(self) -> tuple[int, ...]:
        """Seeds at which it is judged, where it is sequential."""
        return self.rule.looks if self.rule else ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values with the schema's version."""
        return {"schema": SCHEMA, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Study:
        """The Study of `study.json`.  Raises ValueError on another schema, KeyError or TypeError on a wrong field."""
        fields = _current(record)
        study = cls(
            **{
                **fields,
                "components": tuple((name, level) for name, level in fields["components"]),
                "variants": tuple(Variant.from_dict(variant) for variant in fields["variants"]),
                "budget": Budget(**fields["budget"]),
                "skipped": tuple(
                    Skipped(variant=Variant.from_dict(row["variant"]), reason=row["reason"])
                    for row in fields["skipped"]
                ),
                "controls": tuple(fields["controls"]),
                "keys": tuple(fields["keys"]),
                "aliases": tuple(fields["aliases"]),
                "claims": tuple(Claim.from_dict(claim) for claim in fields["claims"]),
                "rule": Rule.from_dict(fields["rule"]) if fields.get("rule") else None,
                "declared": tuple(Declaration(**one) for one in fields.get("declared", ())),
                "tuning": tuning_from_dict(fields["tuning"]) if fields.get("tuning") else None,
                "allowance": _allowance_from_dict(fields["allowance"]) if fields.get("allowance") else None,
                "out_of_reach": tuple((name, seeds) for name, seeds in fields.get("out_of_reach", ())),
            }
        )
        check_types(study)
        return study


def _allowance_from_dict(record: Mapping[str, Any]) -> Allowance:
    return Allowance(**{**record, "given_up": tuple(record["given_up"])})


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a trial.  A failure is a result with a word and a reason."""

    trial: Trial
    status: str  # one of STATUSES
    metrics: Mapping[str, float] = field(default_factory=dict, metadata=NULLS)  # of the last epoch
    curve: tuple[Mapping[str, float], ...] = field(default=(), metadata=NULLS)  # one row an epoch
    looks: tuple[tuple[int, float], ...] = ()  # (step, training error in percent), where the budget has a threshold
    outcomes: str = ""  # base64 of packed bits: which evaluation images were right, in stored order
    activity: Mapping[str, float] = field(default_factory=dict)  # component -> number, references only
    filters: str = ""  # base64 of the first layer's kernels, references only: see ablations.subjects.alexnet.filters
    seconds: float = 0.0  # wall time of the trial; where it shares a training, of its own evaluation alone
    trained_with: str = ""  # the key of the trial whose training it shares, and whose seconds hold that training
    provenance: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    training_version: int = FIRST_VERSION  # of the training code: see ablations.records.lineage
    training_digest: str = ""  # of that code's sources; empty in records older than the digest

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values with the schema's version and the trial's key."""
        return {"schema": SCHEMA, "key": self.trial.key, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Result:
        """The Result of a record.

        Raises ValueError on another schema, an unknown status or a key that does not fit the trial,
        and KeyError or TypeError on a missing or unknown field, or one of another type.
        """
        fields = _current(record)
        key = fields.pop("key")
        looks = tuple((step, error) for step, error in fields.get("looks", ()))
        fields |= {"trial": Trial.from_dict(fields["trial"]), "curve": tuple(fields["curve"]), "looks": looks}
        result = cls(**fields)
        check_types(result)
        for packed in (result.outcomes, result.filters):
            base64.b64decode(packed, validate=True)
        if result.status not in STATUSES:
            raise ValueError(f"unknown status {result.status!r}")
        if result.trial.key != key:
            raise ValueError(f"the key {key!r} does not fit the trial, whose key is {result.trial.key!r}")
        if result.status == DONE:
            _check_metrics(result.metrics)
        return result


def _check_metrics(metrics: Mapping[str, Any]) -> None:
    """Raises ValueError unless a finished trial has metrics, all of them finite numbers."""
    if not metrics:
        raise ValueError("it is done and holds no metrics")
    for name, value in metrics.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"it is done and its metric {name} is {value!r}, which is no finite number")


def _current(record: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(record, Mapping):
        raise TypeError("it holds no table of fields")
    fields = dict(record)
    schema = fields.pop("schema", None)
    if schema != SCHEMA:
        raise ValueError(f"schema {schema!r} is not {SCHEMA}")
    return fields


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a departure does to a metric, departure minus reference level, with its interval."""

    component: str
    level: str
    metric: str
    kind: str  # "one out", "one in", or "main": averaged over the settings of the others
    estimate: float
    low: float  # of the 95% interval; nan when n is 1
    high: float
    p: float  # two-sided, unadjusted
    n: int  # seeds: of each a paired difference, or a contrast over the whole design
    correlation: float  # between the two arms over seeds; nan when it cannot be had
    method: str
    error: float = math.nan  # standard, of the estimate
    df: float = math.nan  # degrees of freedom of its t
    spread: float = math.nan  # standard deviation of what one seed says
    departed: tuple[str, ...] = ()  # labels of the variants with the departure; with both or neither, of an interaction
    kept: tuple[str, ...] = ()  # and of those that they are compared with
    trained: tuple[int, int] = (0, 0)  # trainings that did not fail: with the departure, and without it
    ended: tuple[int, int] = (0, 0)  # out of so many that have an outcome
    p_trained: float = math.nan  # exact, that both arms train equally often; nan where none has failed
    p_flip: float = math.nan  # exact, of a mean of zero over seeds where both train; nan where none has failed

    @property
    def failed(self) -> tuple[int, int]:
        """How many trainings failed with the departure, and how many without it."""
        return self.ended[0] - self.trained[0], self.ended[1] - self.trained[1]

    @property
    def unstable(self) -> bool:
        """Whether any training of either arm failed, so that a mean over trainings says little of what to expect."""
        return any(self.failed)

    @property
    def label(self) -> str:
        """`-lrn` or `activation=tanh`, as variants are named."""
        return Variant(departures=((self.component, self.level),)).label
