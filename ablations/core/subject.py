"""What a subject signs: everything that the engine asks of what it ablates.

A subject is an object that `ablations.core.load.load` finds by its name: one of `ablations/subjects/`, or
`package.module:object` of a user's own.  It signs `Subject` and takes from `Defaults` what it has nothing to say about.
The engine plans, pairs, schedules, records, judges and reports; the subject knows what is changed, run and read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ablations.core.claim import Claim
from ablations.core.errors import InputError
from ablations.core.setting import EMPTY, Config, Metric, Setting
from ablations.core.study import Study
from ablations.core.trial import Trial
from ablations.core.variant import Departure, Variant


@dataclass(frozen=True, kw_only=True)
class Component:
    """What can be changed of a subject, as designs, verdicts and reports know it."""

    reference: str  # the word for what the reference does
    levels: tuple[str, ...]  # what it can be changed to; designs take the first unless another is asked for
    summary: str  # one line: what it does
    source: str = ""  # where it is described, with the section
    control: bool = False  # a placebo or a sabotage, told by its name: it rides along in every study
    negligible: float = 0.0  # activity below which it counts as inactive; 0: its activity is not measured
    unit: str = ""  # of its activity, in words


@dataclass(frozen=True, kw_only=True)
class Doses:
    """A component whose levels, and the reference, are so much of one thing."""

    reference: float
    levels: Mapping[str, float]  # each level's dose
    log: bool = False  # whether steps are ratios: a trend is then that of a doubling, and every dose is above zero
    unit: str = ""  # "channels"; empty: no name


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A named study of a subject: a grid with the components and the options that it takes unless others are given."""

    summary: str
    grid: str = "one_out"
    components: tuple[str, ...] = ()  # as --components writes them
    options: Mapping[str, str | int | float] = field(default_factory=dict)  # of the command line -> value
    controls: tuple[str, ...] | None = None  # that ride along; None: all of them


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a trial finds its data and leaves its record, and what it may use.  Absolute paths."""

    folder: Path  # the study's, under results/
    threads: int = 1  # processor threads a trial
    gpus: float = 0.0  # of a GPU that a trial holds; 0: a processor alone
    turns: int = 1  # trainings of a job that take turns, each after a step
    command: str = ""  # for the provenance
    declared: str = ""  # digest of the claims and the rule that were in force, for the provenance
    measures: tuple[str, ...] = ()  # components whose activity the record of a trained reference must have
    predictions: bool = True  # whether a trial keeps its predictions beside its record
    options: Mapping[str, Any] = field(default_factory=dict)  # the subject's own, from `Subject.place`


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one trial came to."""

    number: int = 0  # of the trial, among those that run together
    metrics: Mapping[str, float]  # of its end
    curve: Sequence[Mapping[str, float]] = ()  # a row for each unit of work, with the key "epoch"
    readings: Sequence[tuple[int, float]] = ()  # (step, value of the target's metric), where there is a target
    outcomes: str = ""  # which evaluated examples were right, as `ablations.records.outcomes` writes them
    extras: Mapping[str, str] = field(default_factory=dict)  # what the subject's own sections of a report show
    notes: tuple[str, ...] = ()  # sentences worth a reader's eye; none is a failure
    provenance: Mapping[str, Any] = field(default_factory=dict)  # what the subject adds to where the result came from
    seconds: float = 0.0  # that earlier processes have spent on it, where an unfinished training went on
    trace: str = ""  # digest of everything that it reported, but for times; empty: not known
    to_measure: bool = False  # `Activities` of it follow, when its record is on disk
    kept: bool = False  # it was trained by an earlier process, which left its network to be measured


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A trial that came to nothing, while others of its training may have."""

    number: int = 0
    error: Exception
    provenance: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Activities:
    """How active the components are in a trained reference."""

    number: int = 0
    found: Mapping[str, float]
    notes: tuple[str, ...] = ()
    complete: bool = True  # False: the next run measures it again


class DivergedError(ArithmeticError):
    """A training whose numbers are no longer finite: an outcome, and no fault.  `curve` is what came before."""

    def __init__(self, message: str, curve: Sequence[Mapping[str, float]] = ()) -> None:
        super().__init__(message)
        self.curve = tuple(curve)


class Card(NamedTuple):
    """What `python -m ablations.show` prints of one thing: its name, a word beside it, and labelled rows."""

    name: str
    beside: str
    rows: Sequence[tuple[str, str]]  # of a label and a text; one without text is left out


class Seconds(NamedTuple):
    """Expected seconds of the two parts of a trial; trials that share a training share the first."""

    training: float
    evaluation: float

    @property
    def whole(self) -> float:
        """Of a trial that shares nothing."""
        return self.training + self.evaluation


Event = Measured | Failed | Activities | None  # None ends a turn, where several trainings take turns
Report = Callable[["Trial", Mapping[str, float]], None]  # a row of a curve, as it comes


class Subject(Protocol):
    """What only a subject knows."""

    @property
    def name(self) -> str:
        """By which `ablations.core.load.load` finds it; it stands in every record."""
        ...

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """What its trials are measured by, by name; "test_" stands for whatever a study evaluates on."""
        ...

    @property
    def components(self) -> Mapping[str, Component]:
        """Everything that can be changed, and the controls, by name."""
        ...

    def setting(self, options: Any, place: Place, before: Study | None, *, beside: int) -> Setting:
        """What the trials of a study share, from the subject's own options; data are made ready here.

        `before` is the study on disk, if there is one, and `beside` is how many trials one machine runs at a time.
        Raises InputError in a sentence where the data cannot be had.
        """
        ...

    def configure(self, setting: Setting, departures: Sequence[Departure]) -> Config:
        """The reference's config with the departures made, in their order.  Raises InputError on an unknown one."""
        ...

    def run(self, trials: Sequence[Trial], place: Place, report: Report) -> Iterator[Event]:
        """What each of the trials comes to, in their order: they differ in nothing that training reads.

        A `Measured` or `Failed` for each trial, then `Activities` for each that is `to_measure`.  What it raises is
        the result of every trial that has none yet.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """Of a subject that has none of its own."""


class Defaults:
    """What a subject may leave out; each hook says what it is asked for and what the engine does without it."""

    version: int = 1  # raised by hand when a trial comes out otherwise than before; two versions are never paired
    claims: Sequence[Path] = ()  # TOML files with what publications say of it
    more: str = "--seeds, --components"  # options that a study names when it announces itself
    sabotage: str = "changes that must do harm"  # what its sabotage does, as a subject of a sentence in the plural
    gpus: float = 0.0  # share of a GPU that a trial takes where there is one, without --gpus-per-trial
    work_unit: str = "epoch"  # what `Setting.work` counts, in the singular
    recipes: Mapping[str, Recipe] = EMPTY  # studies of its own that --grid names beside the engine's grids
    own_claims: Sequence[Claim] = ()  # that it brings itself, beside those of files
    every: Sequence[str] = ()  # as headline, for grids that take several levels of a component; empty: the headline
    headline: Sequence[str] = ()  # components that designs take where none are named, as --components writes them

    @property
    def options(self) -> type:
        """A frozen dataclass of its options of the command line."""
        return NoOptions

    @property
    def usual(self) -> Mapping[str, str | int | float]:
        """What its options are where they are not given."""
        return EMPTY

    def help(self) -> Mapping[str, str]:
        """What `--help` adds to the text of options, by their names; under "" what the study asks, in a sentence."""
        return {}

    def check_options(self, options: Any) -> None:
        """Raises InputError on what can be seen to be wrong with its options before any data are read."""

    def check_departures(self, options: Any, departures: Sequence[Departure]) -> None:
        """Raises InputError on a change whose rewrite fails on the reference, before any data are read."""

    def at_home(self, options: Any) -> Mapping[str, Path | str]:
        """Those of its options that are paths, with their `~` replaced."""
        return {}

    def called(self, options: Any) -> Sequence[str]:
        """What a study's usual name holds beside its grid."""
        return ()

    def broken(self) -> Sequence[str]:
        """A sentence on each file of the user's own that cannot be used; a report can be made all the same."""
        return ()

    def with_baseline(self, setting: Setting, options: Any, before: Study | None) -> Setting:
        """`setting` with what trivial learning gives, where finding that out takes long: asked of a study that has
        been planned, so that one that cannot be had is refused at once.  `before` is the study on disk.
        """
        return setting

    def place(self, options: Any) -> Mapping[str, Any]:
        """What a worker must know of the subject's options, for `Place.options`."""
        return {}

    def warm(self) -> None:
        """Imports what a trial needs, so that a worker that has reported itself is ready to train."""

    def topics(self) -> Mapping[str, Callable[[Sequence[str]], tuple[Sequence[str], Sequence[Card]]]]:
        """What `python -m ablations.show` can show of it: topic -> names asked for -> what comes first, and cards."""
        return {}

    def digest(self) -> str:
        """Of the sources that decide a result; studies say where it changed.  Empty: not known."""
        return ""

    def sources(self) -> Mapping[str, bytes]:
        """Name -> content of the files behind `digest`, to be kept beside the records; empty: none are kept."""
        return EMPTY

    def check(self, setting: Setting, config: Config) -> None:
        """Raises ValueError where a config cannot be run; a design leaves its variant out then, with that reason."""

    def canonical(self, config: Config) -> Hashable:
        """Equal for configs that give equal results: a departure that leaves it unchanged is refused as a no-op."""
        return json.dumps(config, sort_keys=True)

    def training_part(self, config: Config) -> Config:
        """Equal for configs that one training serves: trials that differ in their evaluation alone share it."""
        return config

    def at_rate(self, config: Config, factor: float) -> Config:
        """`config` at so many times its learning rate.  Without it there is no --tune."""
        raise InputError("this subject has no learning rate that --tune could search.")

    def rate(self, config: Config) -> float:
        """The learning rate of a config, which a line of progress names."""
        return float("nan")

    def for_tuning(self, setting: Setting) -> Setting:
        """`setting` as trials that choose a learning rate have it: evaluated on what the study does not report."""
        raise InputError("this subject has no learning rate that --tune could search.")

    def tuned(self, tuning: Setting, config: Config) -> Config:
        """The config of a trial of the study as a trial of its tuning, whose setting `for_tuning` gave, has it."""
        raise InputError("this subject has no learning rate that --tune could search.")

    def capped(self, config: Config, steps: int) -> Config:
        """`config` whose trial ends after so many steps, reached or not.  Only races to a target ask for it."""
        return config

    def steps(self, config: Config) -> int:
        """Steps of a trial that nothing stops early; 0: it counts none."""
        return 0

    def with_work(self, config: Config, work: int) -> Config:
        """`config` with so many units of work.  Without it --budget chooses seeds and design alone."""
        return config

    def with_setting(self, setting: Setting, work: int) -> Setting:
        """`setting` whose trials have so many units of work."""
        return replace(setting, work=work, config=self.with_work(setting.config, work))

    def paces(self, trials: Sequence[Trial], place: Place) -> Mapping[Variant, Any] | None:
        """How fast each variant goes here, by timing a little of it, for `seconds`.

        None: not known beforehand, as on a machine without the GPUs that trials hold elsewhere.
        """
        return None

    def seconds(self, config: Config, pace: Any) -> Seconds:
        """Expected seconds of one trial at a pace that `paces` gave; where it gives none, that of a trial was timed."""
        return Seconds(training=float(pace), evaluation=0.0)

    def packing(self, trial: Trial, place: Place) -> tuple[int, float]:
        """How many trainings should take turns on one GPU, and how many times the trials an hour that gives."""
        return 1, 1.0

    def accelerators(self) -> int:
        """GPUs of this machine that a trial could hold."""
        return 0

    def notes(self, study: Study, place: Place) -> Sequence[tuple[str, str]]:
        """(word, sentence): what is worth saying before a study starts, such as where its images are kept."""
        return ()

    def data_words(self, setting: Setting) -> str:
        """What follows the name of the data where a study announces itself: how much there is of them."""
        return ""

    def trial_words(self, setting: Setting) -> str:
        """What a trial is, in a line."""
        return f"{setting.facts.get('reference', 'the reference')}, {setting.work} {self.work_unit}s"

    def command(self, config: Config, seed: int, place: Place) -> str:
        """What a trial types, for --dry-run; empty: a trial is no command."""
        return ""

    def sizes(self, config: Config, setting: Setting) -> Mapping[str, float]:
        """The metrics of kind "size" of a config, for the list of variants; empty where they cost a training."""
        return {}

    def doses(self, setting: Setting) -> Mapping[str, Doses]:
        """The components that are doses of something, by name."""
        return {}

    def differences(self, before: Config, after: Config) -> str:
        """What a reader must know that a departure changes beside itself, such as map sizes; empty: nothing."""
        return ""

    def report(self) -> Any:
        """`ablations.reporting.parts.Parts`: what it says of itself in a report.  None: what is said of any subject."""
        return None
