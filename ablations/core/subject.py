"""The contract between the engine and a subject: everything that the engine asks of what it ablates.

A subject is an object that `ablations.core.load.load` finds by its name: one in `ablations/subjects/`, or
`package.module:object` of a user's own.  It implements `Subject`, and inherits from `Defaults` the hooks that it does
not need.  The engine plans, pairs, records, judges and reports; the subject knows its components, trials and numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ablations.core.claim import Claim
from ablations.core.errors import InputError
from ablations.core.samples import Samples
from ablations.core.setting import EMPTY, Config, Metric, Setting
from ablations.core.study import Study
from ablations.core.text import counted
from ablations.core.trial import Trial
from ablations.core.variant import Departure, Variant


@dataclass(frozen=True, kw_only=True)
class Component:
    """One part of a subject that can be changed, as designs, verdicts and reports see it."""

    reference: str  # what the reference does, in words
    levels: tuple[str, ...]  # what it can be changed to; designs take the first unless another is asked for
    summary: str  # one line: what it does
    source: str = ""  # where it is described, with the section
    control: bool = False  # whether it is a control, which is part of every study; its name says which: see `load`
    negligible: float = 0.0  # activity below which it counts as inactive; 0: its activity is not measured
    unit: str = ""  # what its activity is a number of, in words
    labels: Mapping[str, str] = field(default_factory=dict)  # level -> name, as "no dropout"; others by `core.labels`


@dataclass(frozen=True, kw_only=True)
class Doses:
    """A component whose reference and levels are different amounts, or doses, of one thing."""

    reference: float  # the reference's dose
    levels: Mapping[str, float]  # each level's dose
    log: bool = False  # whether a trend is per doubling rather than per unit; every dose is then above zero
    unit: str = ""  # such as "channels"; empty: it has no name


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A named study of a subject: a grid, with components and options that it takes unless others are given."""

    summary: str  # one line
    grid: str = "one_out"
    components: tuple[str, ...] = ()  # as --components writes them
    options: Mapping[str, str | int | float] = field(default_factory=dict)  # command-line option -> value
    controls: tuple[str, ...] | None = None  # the controls that are trained too; None: all of them


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a trial writes its files, and what it may use of the machine.  Paths are absolute."""

    folder: Path  # of the study, under results/
    threads: int = 1  # processor threads per trial
    gpus: float = 0.0  # share of a GPU that a trial holds; 0: it runs on processor cores
    turns: int = 1  # trainings of a job that take turns, step by step
    command: str = ""  # for the provenance
    declared: str = ""  # digest of the claims and the rule that are in force, for the provenance
    measures: tuple[str, ...] = ()  # components whose activity the record of a trained reference must hold
    predictions: bool = True  # whether a trial keeps its predictions beside its record
    options: Mapping[str, Any] = field(default_factory=dict)  # what the subject's hook `place` returned


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The result of one trial."""

    number: int = 0  # place of the trial among those that run together
    metrics: Mapping[str, float]  # at the end of the trial
    curve: Sequence[Mapping[str, float]] = ()  # a row for each unit of work, with the key "epoch"
    readings: Sequence[tuple[int, float]] = ()  # (step, value of the target's metric), if there is a target
    outcomes: str = ""  # which evaluated examples were right, as `ablations.records.outcomes` writes them
    extras: Mapping[str, str] = field(default_factory=dict)  # what the subject's own sections of a report show
    notes: tuple[str, ...] = ()  # remarks that a reader should see; none of them is a failure
    artifacts: tuple[str, ...] = ()  # files that it has kept, as paths from `Place.folder`; tracking shows them
    provenance: Mapping[str, Any] = field(default_factory=dict)  # what the subject adds to the provenance
    seconds: float = 0.0  # spent on it by earlier processes, if an unfinished training was continued
    trace: str = ""  # digest of everything that it reported, except times; empty: not known
    to_measure: bool = False  # whether `Activities` of it follow once its record is on disk
    kept: bool = False  # whether an earlier process trained it and left its activities to be measured


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A trial that failed; others that share its training may have succeeded.  Fields are as in `Measured`."""

    number: int = 0
    error: Exception  # its type decides the status of the trial
    provenance: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Activities:
    """How active the components are in a trained reference."""

    number: int = 0  # as in `Measured`
    found: Mapping[str, float]  # component -> activity
    notes: tuple[str, ...] = ()  # sentences on components whose activity could not be measured
    complete: bool = True  # False: the next run measures them again


class Card(NamedTuple):
    """What `python -m ablations.show` prints about one thing."""

    name: str
    beside: str  # text that is printed after the name
    rows: Sequence[tuple[str, str]]  # (label, text); rows without text are left out
    control: bool = False  # whether it is of a control, which every study has


class Seconds(NamedTuple):
    """Expected seconds of the two parts of a trial.  Trials that share a training share the seconds of that part."""

    training: float
    evaluation: float

    @property
    def whole(self) -> float:
        """The seconds of a trial that shares nothing."""
        return self.training + self.evaluation


Event = Measured | Failed | Activities | None  # None ends a turn, where several trainings take turns
Report = Callable[["Trial", Mapping[str, float]], None]  # is called with a row of a trial's curve when it is there


class Subject(Protocol):
    """What every subject has to implement."""

    @property
    def name(self) -> str:
        """The name by which `ablations.core.load.load` finds it; it is part of every record."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics of its trials, by name; "test_" in a name stands for what a study evaluates on."""

    @property
    def components(self) -> Mapping[str, Component]:
        """All components, controls included, by name."""

    def setting(self, options: Any, place: Place, before: Study | None, *, beside: int) -> Setting:
        """Returns what the trials of a study share, by the subject's own options; prepares the data first.

        `before` is the study on disk, if there is one, and `beside` is how many trials one machine runs at a time.
        Raises InputError, in one sentence, when the data are not available.
        """

    def configure(self, setting: Setting, departures: Sequence[Departure]) -> Config:
        """Returns the reference's config with the departures made in order.  Raises InputError on an unknown one."""

    def run(self, trials: Sequence[Trial], place: Place, report: Report) -> Iterator[Event]:
        """Runs trials that differ in nothing that training reads, and yields their results.

        It yields a `Measured` or `Failed` for each trial, then `Activities` for each that is `to_measure`, and calls
        `report` with each row of a curve.  If it raises, the exception is the result of every trial that has none yet.
        """


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """The options of a subject that has none of its own."""


class Defaults:
    """What a subject may leave out: each hook says what it is for and what the engine does without it."""

    version: int = 1  # raise it by hand when a trial gives another result than before; two versions are never paired
    claims: Sequence[Path] = ()  # TOML files with what publications say of it
    more: str = "--seeds, --components"  # options that the announcement of a study mentions
    sabotage: str = "changes that must do harm"  # what its sabotage is, as the subject of a sentence in the plural
    fitted: str = ""  # metric: the error on a trial's own training data; claims on evaluation data need a low one
    gap: str = ""  # metric: the evaluation error less that error; claims on it need a gap above zero
    gpus: float = 0.0  # share of a GPU that a trial takes if there is one and --gpus-per-trial is not given
    work_unit: str = "epoch"  # what `Setting.work` counts, in the singular
    recipes: Mapping[str, Recipe] = EMPTY  # studies of its own, which --grid names like the engine's grids
    own_claims: Sequence[Claim] = ()  # claims that it brings itself, in addition to those of files
    every: Sequence[str] = ()  # as headline, for grids that take several levels of a component; empty: the headline
    headline: Sequence[str] = ()  # components that designs take when none are named, as --components writes them

    @property
    def options(self) -> type:
        """A frozen dataclass of its own command-line options."""
        return NoOptions

    @property
    def usual(self) -> Mapping[str, str | int | float]:
        """The values of its options that are not given."""
        return EMPTY

    def help(self) -> Mapping[str, str]:
        """Returns text that `--help` adds to options, by their names; under "", a sentence on what the study asks."""
        return {}

    def check_options(self, options: Any) -> None:
        """Raises InputError if its options are wrong in a way that can be seen before any data are read."""

    def check_departures(self, options: Any, departures: Sequence[Departure]) -> None:
        """Raises InputError if a departure cannot be made from the reference, before any data are read."""

    def at_home(self, options: Any) -> Mapping[str, Path | str]:
        """Returns those of its options that are paths, by name, with `~` replaced."""
        return {}

    def called(self, options: Any) -> Sequence[str]:
        """Returns the words that a study's default name has in addition to its grid."""
        return ()

    def broken(self) -> Sequence[str]:
        """Returns a sentence on each file of the user's own that cannot be used; reports can be made all the same."""
        return ()

    def with_baseline(self, setting: Setting, options: Any, before: Study | None) -> Setting:
        """Returns `setting` with the baseline of trivial learning; asked for after planning, since it may take long."""
        return setting

    def place(self, options: Any) -> Mapping[str, Any]:
        """Returns what a worker must know of the subject's options, as plain values; it becomes `Place.options`."""
        return {}

    def warm(self) -> None:
        """Imports what a trial needs, so that a worker is ready to train when it reports that it is."""

    def topics(self) -> Mapping[str, Callable[[Sequence[str]], tuple[Sequence[str], Sequence[Card]]]]:
        """Returns the topics of `python -m ablations.show`: each is a function from names to paragraphs and cards."""
        return {}

    def digest(self) -> str:
        """Returns a digest of the sources that decide a result, so that changes are noticed.  Empty: not known."""
        return ""

    def sources(self) -> Mapping[str, bytes]:
        """Returns name -> content of the files behind `digest`, which are kept beside the records; empty: none are."""
        return EMPTY

    def check(self, setting: Setting, config: Config) -> None:
        """Raises ValueError if a config cannot be run; a design then leaves its variant out, with that reason."""

    def canonical(self, config: Config) -> Hashable:
        """Returns equal values for configs with equal results; a departure that changes nothing in it is refused."""
        return json.dumps(config, sort_keys=True)

    def training_part(self, config: Config) -> Config:
        """Returns the part of a config that training reads; trials that are equal in it share one training."""
        return config

    def at_rate(self, config: Config, factor: float) -> Config:
        """Returns `config` with its learning rate multiplied by `factor`.  Without this hook there is no --tune."""
        raise InputError("this subject has no learning rate that --tune could search.")

    def rate(self, config: Config) -> float:
        """Returns the learning rate of a config, which the progress of a search shows."""
        return float("nan")

    def for_tuning(self, setting: Setting) -> Setting:
        """Returns `setting` for trials that choose a learning rate: evaluated on data that the study never reports."""
        raise InputError("this subject has no learning rate that --tune could search.")

    def tuned(self, tuning: Setting, config: Config) -> Config:
        """Returns a config of the study as a trial of its tuning needs it; `tuning` is what `for_tuning` gave."""
        raise InputError("this subject has no learning rate that --tune could search.")

    def capped(self, config: Config, steps: int) -> Config:
        """Returns `config` with an end after `steps` steps at the latest.  Only asked for if trials end at a target."""
        return config

    def steps(self, config: Config) -> int:
        """Returns the steps of a trial that nothing ends early; 0: the subject counts no steps."""
        return 0

    def with_work(self, config: Config, work: int) -> Config:
        """Returns `config` with `work` units of work.  Without this hook --budget chooses only seeds and design."""
        return config

    def longer(self, work: int) -> Sequence[str]:
        """Words of the command line that ask for so many units of work; none where there are no such words."""
        return ()

    def with_setting(self, setting: Setting, work: int) -> Setting:
        """Returns `setting` for trials with `work` units of work."""
        return replace(setting, work=work, config=self.with_work(setting.config, work))

    def paces(self, trials: Sequence[Trial], place: Place) -> Mapping[Variant, Any] | None:
        """Returns how fast each variant runs here, by timing a little of it, for `seconds`; None: it is not known."""
        return None

    def seconds(self, config: Config, pace: Any) -> Seconds:
        """Returns the expected seconds of one trial; `pace` is from `paces` or, if that gave none, measured seconds."""
        return Seconds(training=float(pace), evaluation=0.0)

    def packing(self, trial: Trial, place: Place) -> tuple[int, float]:
        """Returns how many trainings should take turns on one GPU, and the gain in trials per hour over one."""
        return 1, 1.0

    def accelerators(self) -> int:
        """Returns the number of GPUs of this machine that trials could use."""
        return 0

    def notes(self, study: Study, place: Place) -> Sequence[tuple[str, str]]:
        """Returns (word, sentence) pairs to print before a study starts, such as where its images are kept."""
        return ()

    def samples(self, study: Study, place: Place) -> Samples | None:
        """Returns examples for the report to show, asked for before training; None: it has no section on them."""
        return None

    def data_words(self, setting: Setting) -> str:
        """Returns what follows the name of the data in the announcement of a study, such as how many there are."""
        return ""

    def trial_words(self, setting: Setting) -> str:
        """Returns one line on what a trial is."""
        return f"{setting.facts.get('reference', 'the reference')}, {counted(setting.work, self.work_unit)}"

    def command(self, config: Config, seed: int, place: Place) -> str:
        """Returns the command that a trial runs, which --dry-run prints; empty: a trial is no command."""
        return ""

    def sizes(self, config: Config, setting: Setting) -> Mapping[str, float]:
        """Returns the metrics of kind "size" of a config, for the list of variants; empty if that needs a training."""
        return {}

    def doses(self, setting: Setting) -> Mapping[str, Doses]:
        """Returns, by name, the components whose levels are doses of something."""
        return {}

    def differences(self, before: Config, after: Config) -> str:
        """Returns what else a departure changes that a reader must know, such as map sizes; empty: nothing."""
        return ""

    def report(self) -> Any:
        """Returns its own parts of a report, an `ablations.reporting.parts.Parts`; None: the report uses plain ones."""
        return None
