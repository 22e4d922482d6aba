"""What the trials of a study share: the data, the reference's config, the metrics, and the baselines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

Config = Mapping[str, Any]  # plain JSON: everything that decides a result, except the seed and the data
EMPTY: Mapping[str, Any] = MappingProxyType({})

POINTS, NATS, LOGS = "points", "nats", "log units"  # units of metrics
TRAINING, SPLIT = REPLICATES = ("training", "split")  # what a seed changes: the draws of a training, or also the split
TRAIN_SIZE, TEST_SIZE = "train_size", "test_size"  # metrics of a trial that hold the sizes of its split
OUTCOME, SIZE, TIME_TO_TARGET = KINDS = ("outcome", "size", "time to target")


def natural(logarithm: float) -> float:
    """Returns the number with this natural logarithm; infinite if it is too large for a float."""
    try:
        return math.exp(logarithm)
    except OverflowError:
        return math.inf


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that a trial reports, and how it is to be read."""

    words: str  # its name in words, such as "top-1 error"
    unit: str = ""  # "points" of percent, "nats", "seconds"; empty for a count
    kind: str = OUTCOME  # one of KINDS; a size, such as a number of parameters, is a confound and a cost but no outcome
    lower_is_better: bool = True
    lowered_by_failure: bool | None = None  # whether a training that fails lowers it; None: if higher is better
    best: bool = False  # whether a trial's number is the best of its rows rather than the last
    ratio: bool = False  # whether it is always above zero and compared by its logarithm: effects are shown as ratios
    perfect: float | None = None  # the best value that it can have, where that is no percentage; None: not known
    digits: int | None = None  # digits after the point in reports; None: as many as its unit has

    @property
    def percent(self) -> bool:
        """Whether its values are percentages, and its differences points of them."""
        return self.unit == POINTS

    @property
    def noun(self) -> str:
        """Its words in short: `error` for every kind of error, and otherwise all of them."""
        return "error" if self.words.endswith("error") else self.words or "outcome"

    @property
    def worse(self) -> int:
        """The sign of a difference that makes it worse: +1 or -1."""
        return 1 if self.lower_is_better else -1

    @property
    def failing(self) -> int:
        """The sign of the change that a training that fails makes to it: +1 or -1."""
        lowered = not self.lower_is_better if self.lowered_by_failure is None else self.lowered_by_failure
        return -1 if lowered else 1

    def error(self, value: float) -> float:
        """Returns `value` as an error, where higher is worse: itself, or 100 less a percentage, or its negative."""
        if self.lower_is_better:
            return value
        return 100 - value if self.percent else -value

    def taken(self, rows: Sequence[float]) -> float:
        """Returns a trial's number, given those of its rows in their order: the last, or the best."""
        return (min if self.lower_is_better else max)(rows) if self.best else rows[-1]

    def compared(self, value: float) -> float:
        """Returns `value` as it is compared: itself or, for a ratio, its natural logarithm (nan if it has none)."""
        if not self.ratio:
            return value
        return math.log(value) if value > 0 else math.nan

    def told(self, value: float) -> float:
        """Returns what `compared` gave, or a mean of such numbers, in the metric's own unit again.

        It is infinite for a bound of an interval that no float can hold.
        """
        return natural(value) if self.ratio else value

    def after(self, guessing: float, shed: float) -> float:
        """Returns the value that is better than guessing by the share `shed` of the error of guessing.

        Where no best value is known, as where higher is better or values are below zero, it is better by that share of
        the absolute value.
        """
        if self.perfect is not None:
            return self.perfect + (guessing - self.perfect) * (1 - shed)
        if self.lower_is_better:
            return guessing * (1 - shed) if guessing > 0 else guessing * (1 + shed)
        return 100 - (100 - guessing) * (1 - shed) if self.percent else guessing + shed * abs(guessing)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A value whose first crossing is timed in steps, as in figure 1 of the AlexNet paper."""

    value: float  # the value to reach
    metric: str = "training error"  # what has this value, in words
    unit: str = "%"
    every: int = 1  # steps between two readings of it
    stops: bool = False  # whether a trial ends when it reaches the value, so that trials train for different times


def phased(metric: str, phase: str) -> str:
    """Returns the name that trials give a metric which a study evaluates in `phase`, "test" or "validation"."""
    return metric.replace("test_", f"{phase}_", 1) if metric.startswith("test_") else metric


def unphased(metric: str, phase: str) -> str:
    """Returns the name that a subject gives a metric which a study that evaluates in `phase` has under this name."""
    return metric.replace(f"{phase}_", "test_", 1) if metric.startswith(f"{phase}_") else metric


@dataclass(frozen=True, kw_only=True)
class Block:
    """One of several data sets, on each of which every variant is trained under every seed."""

    name: str
    fingerprint: str  # of its name and of what lies at its path, if it has one
    guessing: float | None = None  # what guessing gives on the main metric; None: not known


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the trials of a study share.  A subject makes it once, from its options, before anything is planned."""

    config: Config  # of the reference
    data: str  # the data set, as the user named it
    fingerprint: str  # of the content of the data
    main: str  # name of the main metric, which effects are about
    metrics: Mapping[str, Metric]  # by name; "test_" in a name stands for `phase`
    phase: str = "test"  # what outcomes are measured on: "test" or "validation"
    work: int = 1  # length of a trial in units such as epochs, which --budget may lower
    every: int = 1  # units of work from one evaluation to the next
    target: Target | None = None  # whose first crossing is timed, if there is one
    guessing: float | None = None  # the main metric's value for guessing; None: not known
    guessable: bool = True  # False: guessing has no value on the main metric
    baseline: float | None = None  # the main metric's value for trivial learning; None: not known
    baseline_words: str = ""  # the trivial learner, such as "a linear classifier on the raw pixels"
    replicate: str = TRAINING  # one of REPLICATES: what differs between seeds
    examples: int = 0  # number that a trial is evaluated on; 0: not known
    note: str = ""  # what a reader must know of the data
    facts: Mapping[str, Any] = field(default_factory=dict)  # others, such as "preset", for reports and the subject
    blocks: tuple[Block, ...] = ()  # several data sets, if there are; then `data` and `fingerprint` stand for them all

    @property
    def main_metric(self) -> Metric:
        """The description of the main metric."""
        name = unphased(self.main, self.phase)
        return self.metrics.get(name, Metric(words=name))

    @property
    def on(self) -> str:
        """What the main metric is evaluated on, if its name says so: "test" for `test_loss`, and "" for `loss`."""
        return self.phase if self.main.startswith(f"{self.phase}_") else ""

    def evaluated(self, words: str) -> str:
        """Returns `words` for the main metric with what it is evaluated on, if its name says so: `test top-1 error`."""
        return f"{self.on} {words.removeprefix(f'{self.on} ')}".strip()

    @property
    def races(self) -> bool:
        """Whether trials end at the target, so that their last numbers cannot be compared."""
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
        """Tells whether a trial is evaluated after unit number `unit` of its work, counted from 1."""
        return not self.races and (unit == self.work or unit % self.every == 0)
