"""python -m ablations.bench.soak: kills processes of studies at random moments, and runs thousands of tiny trials.

Only light modules are imported at the top, so that --help answers at once.
"""

from __future__ import annotations

import contextlib
import json
import math
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from ablations.cli.arguments import parsed
from ablations.core.errors import InputError, answered, at_home
from ablations.core.machine import cores_here

if TYPE_CHECKING:
    from ablations.bench.soak.faults import Struck
    from ablations.bench.soak.tiny import Place

SCHEMA = 1  # version of the record
A_STUDY = 3  # most drivers or workers of one study that are killed


@dataclass(frozen=True, kw_only=True)
class Config:
    """Kills studies at random moments, runs the same command again and counts what was lost; then runs a long study."""

    trials: int = 2000
    """Tiny trials of one long study through Ray, whose memory is sampled; 0 leaves it out."""
    serial: int = 15
    """SIGKILLs of a driver with --executor serial."""
    ray: int = 15
    """SIGKILLs of a driver with --executor ray."""
    workers: int = 10
    """SIGKILLs of a worker."""
    parts: int = 4
    """SIGKILLs of the raylet or the GCS of a study's own Ray."""
    nodes: int = 5
    """SIGKILLs of a node of a cluster."""
    seeds: int = 8
    """Seeds of the studies that are killed, which have six variants."""
    seed: int = 0
    """Seed of the random moments and choices; the results of another seed are added to the file."""
    no_mlflow: bool = False
    """Do not mirror the long study to MLflow, which is timed too."""
    results: Path = Path("results/bench")
    """Folder for NAME.json; a part that is left out keeps its results in the file."""
    name: str = "soak"
    """Name of the file."""
    minutes: float = math.inf
    """Minutes after which no further fault begins."""


EXAMPLES = (
    ("python -m ablations.bench.soak", "an hour"),
    ("python -m ablations.bench.soak --trials 0 --ray 3 --minutes 10", "only some kills, for ten minutes at most"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the soak.  Returns 0 if nothing was lost, 1 if something was, 2 on bad input, 130 if interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments

    def command() -> int:
        flags = (tyro.conf.FlagCreatePairsOff,)
        config = parsed(Config, arguments, prog="python -m ablations.bench.soak", examples=EXAMPLES, config=flags)
        check(config)
        placed = replace(config, results=at_home(config.results))
        return run(placed, shlex.join(["python", "-m", "ablations.bench.soak", *arguments]))

    return answered(command, stopped="stopped; what was finished is in the file")


def check(config: Config) -> None:
    """Raises InputError if an option is wrong, or if this is not Linux."""
    for option in ("trials", "serial", "ray", "workers", "parts", "nodes"):
        if getattr(config, option) < 0:
            raise InputError(f"--{option} is {getattr(config, option)}; it must be 0 or more.")
    if not config.minutes > 0:
        raise InputError(f"--minutes is {config.minutes:g}; it must be above 0.")
    if config.seeds < 1:
        raise InputError(f"--seeds is {config.seeds}; it must be 1 or more.")
    if not Path("/proc/self/environ").exists():
        raise InputError("the soak needs Linux, since it finds processes in /proc.")


def run(config: Config, command: str) -> int:
    """Runs everything, prints the results, and saves them after each fault."""
    from ablations.bench.soak import summary
    from ablations.bench.soak.long import soak
    from ablations.bench.soak.tiny import place

    path = config.results / f"{config.name}.json"
    found = _before(path)
    origin = _origin(command)
    with place() as here:
        for name, struck in _faults(config, here):
            this = _this_run(found["faults"].setdefault(name, []), origin, config.seed)
            this["struck"].append(vars(struck))
            print(f"{name} {len(this['struck'])}: {_line(struck)}", flush=True)
            _save(path, found)
        if config.trials:
            print(f"{config.trials:,} trials through Ray", flush=True)
            found["long"] = {"provenance": origin, **soak(here, config.trials, mlflow=not config.no_mlflow)}
            _save(path, found)
    print(f"\n{summary.fault_lines(found['faults'])}\n")
    if "long" in found:
        print(f"{summary.long_lines(found['long'])}\n")
    print(f"saved: {path}")
    return 1 if summary.lost_of(found) else 0


def _faults(config: Config, here: Place) -> Iterator[tuple[str, Struck]]:
    from ablations.bench.soak.faults import Faults, cluster

    until = time.monotonic() + 60 * config.minutes

    def several(name: str, count: int, strike: Callable[[int], list[Struck]]) -> Iterator[tuple[str, Struck]]:
        # Each kind of fault has its own random moments, so they do not depend on the number of other faults.
        faults.random.seed(f"{config.seed} {name}")
        while count > 0 and time.monotonic() < until:
            struck = strike(min(count, A_STUDY))
            count -= len(struck)
            yield from ((name, one) for one in struck)

    faults = Faults(here, seeds=config.seeds, components="lrn,dropout")
    if config.serial + config.ray + config.workers + config.parts + config.nodes:
        faults.undisturbed("serial", more=[], environment={})
    yield from several("driver, serial", config.serial, lambda most: faults.driver("serial", most))
    yield from several("driver, Ray", config.ray, lambda most: faults.driver("ray", most))
    yield from several("worker", config.workers, faults.worker)
    yield from several("part of Ray", config.parts, lambda most: faults.part())
    with cluster(here) if config.nodes else contextlib.nullcontext() as nodes:
        if nodes:
            yield from several("node", config.nodes, lambda most: faults.node(nodes))


def _this_run(runs: list[dict[str, Any]], origin: dict[str, Any], seed: int) -> dict[str, Any]:
    """Returns the record of this run among the runs of a fault; it replaces an earlier run with the same seed."""
    for run in runs:
        if run["provenance"] == origin:
            return run
    runs[:] = [run for run in runs if run["seed"] != seed]
    runs.append({"provenance": origin, "seed": seed, "struck": []})
    return runs[-1]


def _before(path: Path) -> dict[str, Any]:
    """Returns the record at `path`, or a new one.  Raises InputError if `path` holds something else."""
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and found.get("schema") == SCHEMA:
            return found
        raise InputError(f"{path} is no record of this version of the soak; take another --name, or remove it.")
    return {"schema": SCHEMA, "faults": {}}


def _origin(command: str) -> dict[str, Any]:
    from ablations.records.provenance import provenance

    return provenance(command=command, threads=cores_here(), device="cpu")


def _line(struck: Struck) -> str:
    tried = f", {struck.tried_again} tried again" if struck.tried_again else ""
    when = f"after {struck.after_seconds:.1f} s, {struck.records} of {struck.of} records there"
    said = f" ({struck.sentence})" if struck.code == 1 else ""
    return f"{when}, exit code {struck.code}{said}{tried}; lost: {'; '.join(struck.lost) or 'nothing'}"


def _save(path: Path, found: dict[str, Any]) -> None:
    from ablations.records.files import write_json

    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, found)


if __name__ == "__main__":
    sys.exit(main())
