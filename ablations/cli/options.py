"""The command line's options, and what can be seen to be wrong with them before any data are read.

Light: --help imports nothing heavier than this.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from ablations.cli.limits import check_numbers, check_places, pack_of
from ablations.core.errors import InputError, as_name, shown, study_name, unknown
from ablations.core.text import seconds_in
from ablations.models.presets import PRESETS
from ablations.planning import grids
from ablations.planning.claims import check_epochs, with_own
from ablations.planning.factors import departures_of
from ablations.reporting import formats
from ablations.subjects.alexnet.data.catalogue import DATASETS, DEFAULT, FOLDER, at_home, dataset, folder_of
from ablations.subjects.alexnet.setting import PRECISIONS

ANSWERS = 10.0  # seconds that a machine has to answer

# Optional values: help names the type alone, and the docstring the default.
_INT, _FLOAT, _STR, _PATH = (
    tyro.conf.arg(metavar=word, help_behavior_hint="") for word in ("INT", "FLOAT", "STR", "PATH")
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Trains variants of AlexNet that differ by one component or several, and reports what each is worth."""

    grid: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="STR",
            help_behavior_hint="",
            help=f"Which variants: {', '.join(grids.GRIDS)} (default: one_out, or what --budget picks).",
        ),
    ] = None
    components: Annotated[
        str,
        tyro.conf.arg(help="Which components, as lrn,activation=tanh,pooling=all; empty: the grid's own choice."),
    ] = ""
    resolution: Annotated[int | None, _INT] = None
    """Of --grid fractional: 4 keeps main effects clear of two-way interactions, 5 and 6 those of each other too
    (default: 4)."""
    claims: Annotated[Path | None, _PATH] = None
    """A TOML file with claims of your own, judged beside the published ones."""
    dataset: Annotated[str, tyro.conf.arg(help=f"{', '.join(DATASETS)}, or folder:PATH.")] = DEFAULT
    data_root: Annotated[Path | None, _PATH] = None
    """A folder where data sets lie, or are downloaded to."""
    preset: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="STR",
            help_behavior_hint="",
            help=f"The reference: {', '.join(PRESETS)} (default: cifar_small, or the grid's own).",
        ),
    ] = None
    seeds: Annotated[int | None, _INT] = None
    """Trainings of each variant (default: 10, or the grid's own, or what --budget picks)."""
    epochs: Annotated[int | None, _INT] = None
    """Passes over the training images (default: 10, or the grid's own, or what --budget picks)."""
    budget: Annotated[str | None, _STR] = None
    """Time for the whole study, as 45s, 30m, 2h or 1h30m: grid, seeds and epochs that are not given are picked to
    fit into it, and what that gives up is said."""
    train_examples: Annotated[int | None, _INT] = None
    """Training images an epoch (default: all)."""
    batch_size: Annotated[int | None, _INT] = None
    """Images a step (default: 64, or the grid's own)."""
    image_size: Annotated[int | None, _INT] = None
    """Pixels a side (default: the preset's, or the data set's if that is smaller)."""
    base_size: Annotated[int | None, _INT] = None
    """Pixels a side of the stored images, of which crops are taken (default: the preset's ratio, 256 for 224)."""
    evaluate_on: str = "test"
    """test, or validation: a tenth held out of training, for anything that is chosen."""
    evaluate_every: int = 1
    """Epochs from one evaluation to the next; the last epoch ends with one in any case."""
    tune: Annotated[int | None, _INT] = None
    """Learning rates to try for each variant before the study, with three trainings at each, on validation images; 0:
    all have the preset's own (default: 0, or the grid's own)."""
    threshold: Annotated[float | None, _FLOAT] = None
    """Training error in percent; the steps to it are measured (default: not, or the grid's own)."""
    threshold_every: int = 50
    """Steps between two looks at that error."""
    stop_at_threshold: bool = False
    """End a trial when it is at the threshold, and evaluate it only then."""
    sequential: bool = False
    """Train the seeds in looks: claims whose size a look tells get no more, and the levels keep the error rate."""
    looks: Annotated[str | None, _STR] = None
    """Seeds at which --sequential looks, as 4,7,10 (default: after 40%, 70% and all of --seeds)."""
    executor: str = "ray"
    """ray, or serial: one trial after another in this process."""
    ray_address: Annotated[str | None, _STR] = None
    """A running Ray cluster of which this machine is one: HOST:PORT of its head, or auto (default: one of our own)."""
    cpus_per_trial: int = 1
    """Processor threads a trial; two trials of one thread beat one of two."""
    gpus_per_trial: Annotated[float | None, _FLOAT] = None
    """Share of a GPU a trial holds, 0.25 for four at once (default: 1 where there is one, else 0)."""
    timeout: Annotated[float | None, _FLOAT] = None
    """Minutes without a word from a trial's worker after which it is ended, as one that hangs (default: 20 times what
    the trial should take, and 10 at least)."""
    pack: str = "1"
    """Trials that take turns where one would run, a number or auto: on a GPU, steps of one fill the gaps of others."""
    precision: str = PRECISIONS[0]
    """Of products in training steps on a GPU: float32, tf32 or bf16; another one is another study."""
    memory_budget: Annotated[float | None, _FLOAT] = None
    """GiB of a GPU's memory for a trial's images; more are read from disk (default: half of the trial's share)."""
    read_window: Annotated[int | None, _INT] = None
    """Images within which an epoch's order is free, so that a disk reads neighbours together; 0: all of them; part of
    a trial's key (default: 0, or about 3 GiB of images where they are more than memory holds)."""
    results: Path = Path("results")
    """Where records go."""
    reports: Path = Path("reports")
    """Where reports go."""
    format: str = formats.USUAL
    """Of the report: html, md, csv (tidy tables of effects and verdicts) and latex (the same for booktabs)."""
    mlflow_uri: Annotated[str | None, _STR] = None
    """Tracking server or database (default: an SQLite file under --results)."""
    no_mlflow: bool = False
    """Leave MLflow out."""
    name: Annotated[str | None, _STR] = None
    """Of the study, and of its folder (default: grid, data set and preset)."""
    retrain: bool = False
    """Train again what another version of the training code trained; the old records are kept beside the new ones."""
    dry_run: bool = False
    """Print the plan, its time and the cheapest design that decides its claims, and train nothing."""
    left_open: tyro.conf.Suppress[tuple[str, ...]] = ()  # options that were not given, of those that --budget picks


_DEFAULTS: dict[str, str | int | float] = {
    "grid": "one_out",
    "preset": "cifar_small",
    "seeds": 10,
    # With fewer, or in larger batches, the reference is hardly ahead of a linear classifier on the embedded images.
    "epochs": 10,
    "batch_size": 64,
    "tune": 0,
}


def resolved(config: Config) -> tuple[Config, dict[str, str | int | float]]:
    """`config` with every option that was left open filled in and `~` replaced, and the options that the grid chose.

    Raises InputError on an unknown grid, and on a `~` of nobody.
    """
    left = tuple(name for name in ("grid", "seeds", "epochs") if getattr(config, name) is None)
    chosen = grids.find(config.grid or str(_DEFAULTS["grid"])).options
    # False is a flag that was not given; 0 was.
    left_open = {name: value for name in chosen if (value := getattr(config, name)) is None or value is False}
    by_grid = {name: chosen[name] for name in left_open}
    values = {**{name: value for name, value in _DEFAULTS.items() if getattr(config, name) is None}, **by_grid}
    address = config.ray_address if config.executor == "ray" else None
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", address)  # as Ray would take it
    paths = _at_home(config)
    return replace(config, left_open=left, ray_address=address, **paths, **values), by_grid  # type: ignore[arg-type]


def _at_home(config: Config) -> dict[str, Path | str]:
    """The options that are paths with their `~` replaced, once and here: on a worker it may be another folder."""
    given = {name: getattr(config, name) for name in ("claims", "data_root", "results", "reports")}
    paths: dict[str, Path | str] = {name: at_home(path) for name, path in given.items() if path}
    if config.dataset.startswith(f"{FOLDER}~"):
        paths["dataset"] = f"{FOLDER}{at_home(config.dataset.removeprefix(FOLDER))}"
    return paths


def default_name(config: Config) -> str:
    """Of the study: what it is about, so that two commands that ask for different things do not share a folder."""
    grid, preset = (getattr(config, option) or str(_DEFAULTS[option]) for option in ("grid", "preset"))
    data = as_name(folder_of(config.dataset).name)
    asked = [grid]
    if config.budget:  # what is picked is not known yet, and may come out otherwise another time
        asked = ["budget" if "grid" in config.left_open else grid, as_name(config.budget)]
    if config.resolution not in (None, grids.RESOLUTIONS[0]):
        asked += [f"resolution-{config.resolution}"]
    return "-".join([*asked, data, preset])


def as_options(values: Mapping[str, str | int | float]) -> str:
    """`--seeds 5 --stop-at-threshold`, as they would be typed."""
    words = [f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}") for name, value in values.items()]
    return " ".join(words)


def check(config: Config) -> None:
    """Raises InputError on what can be seen to be wrong before any data are read; creates nothing."""
    check_numbers(config)
    grids.find(config.grid or str(_DEFAULTS["grid"]))
    departures_of(words_of(config))
    dataset(config.dataset)
    formats.formats_of(config.format)
    for kind, value, allowed in (
        ("preset", config.preset or str(_DEFAULTS["preset"]), PRESETS),
        ("executor", config.executor, ("ray", "serial")),
        ("value of --evaluate-on", config.evaluate_on, ("test", "validation")),
        ("precision", config.precision, PRECISIONS),
    ):
        if value not in allowed:
            raise unknown(kind, value, allowed)
    if config.threshold is not None and not 0 <= config.threshold < 100:
        raise InputError(f"--threshold is {config.threshold:g}; it is a percentage of 0 or more and below 100.")
    if config.stop_at_threshold and config.threshold is None:
        raise InputError("--stop-at-threshold needs a --threshold, such as 25.")
    _check_choices(config)
    check_places(config, study_name(config.name) if config.name is not None else default_name(config))
    check_epochs(with_own(config.claims), None if "epochs" in config.left_open and config.budget else config.epochs)
    _check_machines(config)


def _check_choices(config: Config) -> None:
    """What cannot be had together, or not so."""
    if config.resolution is not None:
        if config.resolution not in grids.RESOLUTIONS:
            raise InputError(f"--resolution is {config.resolution}; it is 4, 5 or 6.")
        if not grids.find(config.grid or str(_DEFAULTS["grid"])).resolved or "grid" in config.left_open:
            raise InputError("--resolution is of a fraction: it goes with --grid fractional alone.")
    if config.budget:
        seconds_in(config.budget)
        if config.tune:
            raise InputError("--budget cannot tell how long --tune will take; give one of the two.")
    if config.looks and not config.sequential:
        raise InputError("--looks says when --sequential looks; give both.")
    if config.sequential and (config.tune or config.stop_at_threshold):
        raise InputError("--sequential goes neither with --tune nor with --stop-at-threshold.")
    if config.sequential and not config.budget:
        looks_of(config)


def _check_machines(config: Config) -> None:
    """What is asked of the machines, and whether a cluster is there."""
    pack_of(config.pack)
    if config.timeout is not None and config.executor == "serial":
        raise InputError("--timeout ends workers of Ray, and --executor serial has none: leave one of the two out.")
    if config.ray_address:
        _check_answers(config.ray_address)


def _check_answers(address: str) -> None:
    """Ray itself tries for a quarter of an hour where nothing answers."""
    if address == "auto":  # Ray looks for one on this machine
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or len(port) > 5 or int(port) >= 2**16:
        raise InputError(
            f"--ray-address is {shown(address)}; it is HOST:PORT of a cluster's head, or auto, on one of its machines."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWERS).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"nothing answers at --ray-address {address[:100]}: {reason}.") from None


def words_of(config: Config) -> list[str]:
    """The words of --components.  Raises InputError where there are only commas."""
    words = config.components.replace(",", " ").split()
    if config.components and not words:
        raise InputError(
            f"--components is {shown(config.components)}, which names none; leave it out for the usual ones."
        )
    return words


def looks_of(config: Config) -> tuple[int, ...]:
    """The seeds after which a sequential study looks; empty for another.

    Raises InputError on what is no rising list that ends at --seeds, and on too few seeds for two looks.
    """
    seeds = config.seeds
    assert seeds
    if not config.sequential:
        return ()
    if seeds < 4:
        raise InputError(f"--sequential needs 4 seeds or more, not {seeds}.")
    if not config.looks:
        return tuple(dict.fromkeys((max(3, -(-2 * seeds // 5)), -(-7 * seeds // 10), seeds)))
    words = [word for word in config.looks.replace(",", " ").split() if word]
    looks = tuple(int(word) for word in words if word.isdecimal() and len(word) < 9)
    rising = all(one < two for one, two in itertools.pairwise(looks))
    if len(looks) < max(2, len(words)) or not rising or looks[0] < 2 or looks[-1] != seeds:
        raise InputError(
            f"--looks is {shown(config.looks)}; it must be two or more rising numbers of seeds, from 2 on, and "
            f"the last is that of --seeds, {seeds}."
        )
    return looks
