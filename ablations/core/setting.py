"""What the trials of a study share: the data, the reference, what is measured, and what trivial learning gives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

Config = Mapping[str, Any]  # plain JSON: everything that decides a result, but for the seed and the data
EMPTY: Mapping[str, Any] = MappingProxyType({})

POINTS, NATS, LOGS = "points", "nats", "log units"
TRAINING, SPLIT = REPLICATES = ("training", "split")
TRAIN_SIZE, TEST_SIZE = "train_size", "test_size"  # of the split of a trial, in its metrics
OUTCOME, SIZE, TIME_TO_TARGET = KINDS = ("outcome", "size", "time to target")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that a trial leaves, and how it is to be read."""

    words: str  # "top-1 error"
    unit: str = ""  # "points" of percent, "nats", "seconds"; empty for a count
    kind: str = OUTCOME  # one of KINDS: a size is a confound and a cost, and no outcome
    lower_is_better: bool = True
    lowered_by_failure: bool | None = None  # whether a training that fails lowers it; None: where higher is better
    best: bool = False  # whether a trial's number is the best of its rows, and not that of the last one
    ratio: bool = False  # whether it is above zero and compared by its logarithm, so that effects are told as ratios
    digits: int | None = None  # after the point that reports show; None: those of its unit

    @property
    def percent(self) -> bool:
        """Whether its values are percentages, and its differences points of them."""
        return self.unit == POINTS

    @property
    def noun(self) -> str:
        """The last of its words: `error` for the top-1 error."""
        return self.words.split()[-1] if self.words else "outcome"

    @property
    def worse(self) -> int:
        """The sign of a difference that is for the worse."""
        return 1 if self.lower_is_better else -1

    @property
    def failing(self) -> int:
        """The sign of what a training that fails does to it."""
        lowered = not self.lower_is_better if self.lowered_by_failure is None else self.lowered_by_failure
        return -1 if lowered else 1

    def error(self, value: float) -> float:
        """`value` as something that is worse the higher it is: itself, what 100 percent lack, or its negative."""
        if self.lower_is_better:
            return value
        return 100 - value if self.percent else -value

    def taken(self, rows: Sequence[float]) -> float:
        """A trial's number from those of its rows, in their order: the last, or the best."""
        return (min if self.lower_is_better else max)(rows) if self.best else rows[-1]

    def compared(self, value: float) -> float:
        """`value` as it is compared: itself, or its natural logarithm; nan where that has none."""
        if not self.ratio:
            return value
        return math.log(value) if value > 0 else math.nan

    def told(self, value: float) -> float:
        """What `compared` made of a value, or a mean of such, back in the metric's own unit."""
        return math.exp(value) if self.ratio else value

    def after(self, guessing: float, shed: float) -> float:
        """The value that has shed so much of the error of guessing, or of its size where there is no best value."""
        if self.lower_is_better:
            return guessing * (1 - shed)
        return 100 - (100 - guessing) * (1 - shed) if self.percent else guessing + shed * abs(guessing)


@dataclass(frozen=True, kw_only=True)
class Target:
    """An outcome whose first crossing is timed in steps, as in figure 1 of the AlexNet paper."""

    value: float  # that is to be reached
    metric: str = "training error"  # in words
    unit: str = "%"
    every: int = 1  # steps between two looks
    stops: bool = False  # whether a trial ends there, so that trials have unequal trainings


@dataclass(frozen=True, kw_only=True)
class Block:
    """One of several data sets, on each of which every variant is trained under every seed."""

    name: str
    fingerprint: str  # of its name and of what lies at its path, if it has one
    guessing: float | None = None  # what guessing gives on the main metric; None: not known


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the trials of a study share; a subject makes it once, from its options, before anything is planned."""

    config: Config  # of the reference
    data: str  # the data set as the user named it
    fingerprint: str  # of the data themselves
    main: str  # the metric that effects are about
    metrics: Mapping[str, Metric]  # by name; "test_" stands for whatever a study evaluates on
    phase: str = "test"  # what outcomes are measured on: "test" or "validation"
    work: int = 1  # units of a trial, such as epochs, that a time budget may lower
    every: int = 1  # such units from one evaluation to the next
    target: Target | None = None
    guessing: float | None = None  # what guessing gives on the main metric; None: not known
    guessable: bool = True  # False: there is nothing that guessing would give
    baseline: float | None = None  # what trivial learning gives on it
    baseline_words: str = ""  # what learns so: "a linear classifier on the raw pixels"
    replicate: str = TRAINING  # what seeds change: the draws of training, or which examples are trained and tested on
    examples: int = 0  # that a trial is evaluated on; 0: not known
    note: str = ""  # what a reader must know of the data
    facts: Mapping[str, Any] = field(default_factory=dict)  # what readers and the subject itself look up: "preset", ..
    blocks: tuple[
        Block, ...
    ] = ()  # the data sets, where there are several: `data` and `fingerprint` are of all of them

    @property
    def main_metric(self) -> Metric:
        """How the main outcome is to be read."""
        name = self.main.replace(f"{self.phase}_", "test_", 1) if self.main.startswith(f"{self.phase}_") else self.main
        return self.metrics.get(name, Metric(words=name))

    @property
    def races(self) -> bool:
        """Whether trials end at the target, so that what they end with cannot be compared."""
        return self.target is not None and self.target.stops

    @property
    def each(self) -> tuple[Setting, ...]:
        """The setting of each of its data sets, in their order: itself, where there is but one."""
        if not self.blocks:
            return (self,)
        return tuple(
            replace(self, data=one.name, fingerprint=one.fingerprint, guessing=one.guessing, blocks=())
            for one in self.blocks
        )

    def evaluates(self, unit: int) -> bool:
        """Whether a trial is evaluated after so many units of its work, the first of which is 1."""
        return not self.races and (unit == self.work or unit % self.every == 0)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Setting:
        """The Setting of a record.  Raises KeyError or TypeError on a wrong field."""
        target = record.get("target")
        return cls(
            **{
                **record,
                "metrics": {name: Metric(**metric) for name, metric in record["metrics"].items()},
                "blocks": tuple(Block(**block) for block in record.get("blocks", ())),
                "target": Target(**target) if target else None,
            }
        )
