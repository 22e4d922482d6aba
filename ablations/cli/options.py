"""The options of `python -m ablations.run`, and the checks of them that need no data.

It imports only light modules, since --help imports it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, make_dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro

from ablations.cli.limits import NUMBERS, check_places, pack_of
from ablations.core.errors import InputError, as_name, at_home, shown, study_name, unknown
from ablations.core.limits import check_numbers
from ablations.core.load import FIRST, KINDS, is_file, load
from ablations.core.signed import signed
from ablations.core.text import listed, seconds_in
from ablations.planning import grids
from ablations.planning.claims import check_epochs, with_own
from ablations.planning.factors import departures_of
from ablations.planning.request import Request, look_seeds
from ablations.reporting import formats

ANSWERS = 10.0  # seconds that the head of a cluster has to answer

# For options without a default value: help shows the type, and the docstring says what happens without the option.
_INT, _FLOAT, _STR, _PATH = (
    tyro.conf.arg(metavar=word, help_behavior_hint="") for word in ("INT", "FLOAT", "STR", "PATH")
)


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """What is compared with what."""

    group: ClassVar[str] = "study"
    subject: Annotated[str, tyro.conf.arg(metavar="STR")] = FIRST
    """What is ablated: alexnet, or MODULE:OBJECT of your own, which may bring options of its own."""
    grid: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="STR",
            help_behavior_hint="",
            help=f"Which variants: {', '.join(grids.GRIDS)}, or the subject's own (default: one_out, or --budget's).",
        ),
    ] = None
    components: Annotated[
        str,
        tyro.conf.arg(help="Which components, as lrn,activation=tanh,pooling=all; empty: the grid's own choice."),
    ] = ""
    resolution: Annotated[int | None, _INT] = None
    """Resolution of --grid fractional: 4 keeps main effects clear of two-way interactions, 5 and 6 also keep these
    interactions clear of each other (default: 4)."""
    claims: Annotated[Path | None, _PATH] = None
    """A TOML file with claims of your own, judged beside the published ones."""
    tune: Annotated[int | None, _INT] = None
    """Learning rates to try for each variant before the study, with three trainings at each, on validation images; with
    0, all variants have the preset's rate (default: 0, or the grid's own)."""
    retrain: bool = False
    """Train again the trials that another version of the training code trained; the old records are kept."""


@dataclass(frozen=True, kw_only=True)
class TimeOptions:
    """How long a study may take."""

    group: ClassVar[str] = "time"
    seeds: Annotated[int | None, _INT] = None
    """Trainings of each variant (default: 10, or the grid's own, or what --budget picks)."""
    budget: Annotated[str | None, _STR] = None
    """Time for the whole study, such as 45s, 30m, 2h or 1h30m: grid, seeds and epochs that are not given are picked to
    fit into it, and the plan says what that gives up."""
    sequential: bool = False
    """Judge the study at looks before its end: a claim that a look settles gets no more seeds, and the error rate stays
    the same."""
    looks: Annotated[str | None, _STR] = None
    """Numbers of seeds at which --sequential looks, such as 4,7,10 (default: 40%, 70% and all of --seeds)."""


@dataclass(frozen=True, kw_only=True)
class HardwareOptions:
    """What trials run on."""

    group: ClassVar[str] = "hardware"
    executor: str = "ray"
    """ray, or serial: one trial after another in this process."""
    ray_address: Annotated[str | None, _STR] = None
    """A running Ray cluster that this machine is part of: HOST:PORT of its head, or auto (default: Ray is started
    here)."""
    autoscaling: bool = False
    """The cluster starts machines when they are asked for: wait for the first one, and use all that come."""
    cpus_per_trial: int = 1
    """Processor threads of a trial; two trials of one thread are faster than one trial of two."""
    gpus_per_trial: Annotated[float | None, _FLOAT] = None
    """GPUs of a trial; 0.25 puts four trials on one GPU (default: 1 if there is a GPU, otherwise 0)."""
    timeout: Annotated[float | None, _FLOAT] = None
    """Minutes without a message from a trial's worker after which it counts as hanging and is killed (default: 20 times
    what the trial should take, at least 10; never if that time is not known)."""
    pack: str = "1"
    """Trials that take turns in the place of one, a number or auto: on a GPU, steps of one fill the gaps of others."""


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """What is printed and written, and where."""

    group: ClassVar[str] = "output"
    dry_run: bool = False
    """Print in five lines what would be trained, how long it would take and what it could tell; train nothing."""
    power: bool = False
    """Dry run with tables: every variant, what the seeds can tell of each claim, and other designs."""
    name: Annotated[str | None, _STR] = None
    """Name of the study and of its folder (default: grid, data set and preset)."""
    results: Path = Path("results")
    """Folder for records."""
    reports: Path = Path("reports")
    """Folder for reports."""
    format: str = formats.USUAL
    """Formats of the report, with commas between them: html, md, csv (tidy tables of effects and verdicts), latex (the
    same, and the table for a paper) and slide (one figure, as PNG and SVG)."""
    mlflow_uri: Annotated[str | None, _STR] = None
    """MLflow's tracking server or database (default: an SQLite file under --results)."""
    no_mlflow: bool = False
    """Do not write to MLflow."""
    mlflow_system_metrics: bool = False
    """Log the load of this machine's processors, memory, disk, network and GPUs to MLflow; needs psutil."""


@dataclass(frozen=True, kw_only=True)
class EngineOptions(OutputOptions, HardwareOptions, TimeOptions, StudyOptions):
    """Trains variants of a subject that differ in one component or more, and reports what each component is worth."""

    left_open: tyro.conf.Suppress[tuple[str, ...]] = ()  # options that --budget picks, as they were not given


Config = Any  # one dataclass of EngineOptions and the options of a subject: see `options_of`
_USUAL: dict[str, str | int | float] = {"grid": "one_out", "seeds": 10, "tune": 0}


@cache
def options_of(subject: str = FIRST) -> type:
    """Returns a dataclass of the engine's options and the subject's.  Raises InputError if there is no such subject."""
    own: type = signed(subject).options
    made = make_dataclass("Config", [], bases=(own, EngineOptions), frozen=True, kw_only=True)
    made.__doc__ = EngineOptions.__doc__
    return made


def subject_among(arguments: Sequence[str]) -> str:
    """Returns the subject that a command line names, which decides which other options there are.

    Raises InputError if --subject has no value, or if two subjects are named.
    """
    named = []
    for word, value in zip(arguments, [*arguments[1:], "--"], strict=False):
        if word == "--subject":
            named.append(value)
        if word.startswith("--subject="):
            named.append(word.partition("=")[2])
    if len(named) > 1:
        raise InputError(
            f"a study has one subject, but {listed([*map(shown, named)])} are named; leave all but one out."
        )
    if named and not named[0].strip():
        raise InputError(f"--subject has an empty value: {KINDS}.")
    if named and named[0].startswith("-"):
        raise InputError(f"--subject needs a value: {KINDS}.")
    return named[0] if named else FIRST


def with_subject(arguments: Sequence[str]) -> list[str]:
    """Returns the words of a command line with a study file that comes first written as --subject and a full path."""
    first = arguments[0] if arguments else ""
    named = first and not first.startswith("-") and (is_file(first) or ":" in first)
    words = ["--subject", *arguments] if named else list(arguments)
    for place, word in enumerate(words[:-1]):
        if word == "--subject" and is_file(words[place + 1]):
            words[place + 1] = str(Path(words[place + 1]).resolve())
    return words


def _usual(config: Config) -> dict[str, str | int | float]:
    """Returns the default values of options that neither the user nor the grid chooses."""
    return {**_USUAL, **load(config.subject).usual}


def resolved(config: Config) -> tuple[Config, dict[str, str | int | float]]:
    """Returns `config` with all open options filled in and each `~` replaced, and the options that the grid chose.

    Raises InputError on an unknown grid, and on a home folder that does not exist.
    """
    work = f"{load(config.subject).work_unit}s"
    left = tuple(name for name in ("grid", "seeds", work) if getattr(config, name, 0) is None)
    left = tuple("work" if name == work else name for name in left)
    chosen = grids.find(config.grid or str(_USUAL["grid"]), config.subject).options
    # False is a flag that was not given, but 0 is a value that was.
    left_open = {name: value for name in chosen if (value := getattr(config, name, 0)) is None or value is False}
    by_grid = {name: chosen[name] for name in left_open}
    values = {**{name: value for name, value in _usual(config).items() if getattr(config, name) is None}, **by_grid}
    address = config.ray_address if config.executor == "ray" else None
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", address)  # as Ray would take it
    paths = _at_home(config)
    dry = config.dry_run or config.power
    return replace(config, left_open=left, ray_address=address, dry_run=dry, **paths, **values), by_grid


def _at_home(config: Config) -> dict[str, Path | str]:
    """Returns the options that are paths, with `~` replaced here, since a worker may have another home folder."""
    given = {name: getattr(config, name) for name in ("claims", "results", "reports")}
    paths: dict[str, Path | str] = {name: at_home(path) for name, path in given.items() if path}
    return {**paths, **load(config.subject).at_home(config)}


def default_name(config: Config) -> str:
    """Returns the name of a study without --name, made of its options so that different studies differ in it."""
    grid = config.grid or str(_USUAL["grid"])
    asked = [grid]
    if config.budget:  # what the budget picks is not known yet, and may differ the next time
        asked = ["budget" if "grid" in config.left_open else grid, as_name(config.budget)]
    if config.resolution not in (None, grids.RESOLUTIONS[0]):
        asked += [f"resolution-{config.resolution}"]
    return "-".join([*asked, *map(as_name, load(config.subject).called(config))])


def as_options(values: Mapping[str, str | int | float]) -> str:
    """Returns options as they would be typed: `--seeds 5 --stop-at-threshold`."""
    words = [f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}") for name, value in values.items()]
    return " ".join(words)


def check(config: Config) -> None:
    """Raises InputError if an option is wrong, as far as that can be told without data.  Creates nothing."""
    check_numbers(config, NUMBERS)
    grid = grids.find(config.grid or str(_USUAL["grid"]), config.subject)
    departures = departures_of(config.subject, words_of(config) or grid.defaults)
    formats.formats_of(config.format)
    if config.executor not in ("ray", "serial"):
        raise unknown("executor", config.executor, ("ray", "serial"))
    subject = load(config.subject)
    subject.check_options(config)
    subject.check_departures(config, departures)
    _check_choices(config)
    check_places(config, study_name(config.name) if config.name is not None else default_name(config))
    work = getattr(config, f"{subject.work_unit}s", None)
    open_yet = "work" in config.left_open and config.budget
    check_epochs(with_own(config.claims, config.subject), None if open_yet else work, config.subject)
    _check_machines(config)


def request_of(config: Config, *, command: str, machines: Sequence[Mapping[str, float]] = ()) -> Request:
    """Returns what a resolved command line asks for; `machines` are the resources of a named cluster."""
    return Request(
        subject=config.subject,
        options=config,
        name=config.name or default_name(config),
        grid=config.grid,
        words=tuple(words_of(config)),
        seeds=config.seeds,
        sequential=config.sequential,
        looks=config.looks,
        resolution=config.resolution or grids.RESOLUTIONS[0],
        claims=config.claims,
        tune=config.tune or 0,
        time=config.budget,
        left_open=config.left_open,
        results=config.results,
        retrain=config.retrain,
        command=command,
        cpus_per_trial=config.cpus_per_trial,
        gpus_per_trial=config.gpus_per_trial,
        pack=pack_of(config.pack),
        in_turn=config.executor == "serial",
        cluster=bool(config.ray_address),
        machines=tuple(machines),
    )


def _check_choices(config: Config) -> None:
    """Raises InputError on options that cannot be combined, or that have no such value."""
    if config.resolution is not None:
        if config.resolution not in grids.RESOLUTIONS:
            raise InputError(f"--resolution is {config.resolution}; it is 4, 5 or 6.")
        if not grids.find(config.grid or str(_USUAL["grid"]), config.subject).resolved or "grid" in config.left_open:
            raise InputError("--resolution needs --grid fractional, since only a fraction has one.")
    if config.budget:
        seconds_in(config.budget)
        if config.tune:
            raise InputError("--budget cannot plan the time that --tune will take; give one of the two.")
    if config.looks and not config.sequential:
        raise InputError("--looks says when --sequential looks; give both.")
    if config.sequential and (config.tune or getattr(config, "stop_at_threshold", False)):
        raise InputError("--sequential goes neither with --tune nor with --stop-at-threshold.")
    if config.sequential and not config.budget:
        look_seeds(config.seeds, config.looks)
    if config.mlflow_system_metrics and config.no_mlflow:
        raise InputError("--mlflow-system-metrics writes to MLflow, which --no-mlflow leaves out; give one of the two.")
    if config.mlflow_system_metrics and not find_spec("psutil"):
        raise InputError("--mlflow-system-metrics needs psutil, which is not installed: python -m pip install psutil")


def _check_machines(config: Config) -> None:
    """Raises InputError if options of the hardware do not fit together, or if no cluster answers."""
    pack_of(config.pack)
    if config.timeout is not None and config.executor == "serial":
        raise InputError("--timeout kills workers of Ray, but --executor serial has none; leave one of the two out.")
    if config.autoscaling and not config.ray_address:
        raise InputError("--autoscaling is for a cluster: it needs --ray-address and --executor ray.")
    if config.ray_address:
        _check_answers(config.ray_address)


def _check_answers(address: str) -> None:
    """Raises InputError if no cluster answers at `address`, where Ray itself would try for a quarter of an hour."""
    if address == "auto":  # Ray looks for a cluster on this machine
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or len(port) > 5 or int(port) >= 2**16:
        raise InputError(
            f"--ray-address is {shown(address)}; it must be HOST:PORT of a cluster's head, or auto on its machines."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWERS).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"nothing answers at --ray-address {address[:100]}: {reason}.") from None


def words_of(config: Config) -> list[str]:
    """Returns the words of --components.  Raises InputError if there are only commas."""
    words: list[str] = config.components.replace(",", " ").split()
    if config.components and not words:
        raise InputError(
            f"--components is {shown(config.components)}, which names no component; leave it out for the usual ones."
        )
    return words
