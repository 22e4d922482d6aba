"""Jobs on Ray Tune.  This file and `ray_cluster` are the only ones that import ray.

Ray spreads the jobs that we list, first in first out, each once; it sees a job of several trials as one
trial of its own, which reports several results.  What is run is decided by our records, never by
`Tuner.restore`, which ignores a larger grid and unpickles.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ablations.execution.ray_environment  # noqa: F401  before ray, which reads it once

# isort: split
import ray
from ray import tune

from ablations.core.errors import InputError, StoppedError
from ablations.core.load import load
from ablations.core.machine import slots
from ablations.core.result import DONE, FINAL, OUT_OF_MEMORY, TIMEOUT, Result
from ablations.core.subject import Place
from ablations.core.text import duration
from ablations.core.trial import Job, Trial, by_training
from ablations.execution.executor import Watch
from ablations.execution.lost import why_lost
from ablations.execution.ray_cluster import GOES_ON, LOOK, BrokenRayError, end, look, machines, node_here, started
from ablations.execution.worker import run_job
from ablations.records.leftovers import own_folder
from ablations.records.predictions import predictions_path, write_predictions
from ablations.records.store import read_result, trial_path, write_result

SILENT = 120.0  # seconds without a worker after which that is said
TRIES = 3  # of a trial whose worker was lost, or for which there was not enough memory: the first one and two more
ASLEEP = 30.0  # seconds from one look to the next after which it was the driver that stood still, not its workers

Run = Callable[..., Iterable[Result]]  # as `run_job`


def _run(config: dict[str, Any], *, jobs: Sequence[Job], place: Place, home: str, run: Run) -> None:
    """What a worker does, job after job: a fresh process for each would import torch each time.

    Plain values travel: a worker's registry, unlike ours, is empty until the trial fills it.
    """

    def report(trial: Trial, row: Mapping[str, float]) -> None:
        tune.report({"key": trial.key, "row": dict(row)})

    # What takes a process seconds, torch for one, has been imported with this module.
    tune.report({"worker": (node_here(), os.getpid())})
    for result in run(jobs[config["job"]], place, report=report):
        kept = predictions_path(place.folder, result.trial.key)
        if node_here() != home and result.status == DONE and kept.exists():  # on another machine than the driver's
            tune.report({"key": result.trial.key, "predictions": kept.read_bytes()})
        tune.report({"key": result.trial.key, "record": result.to_dict()})


@dataclass(kw_only=True)
class _Heard:
    """What is known of the worker that runs a job."""

    at: float  # when something was last heard of it; `time.monotonic`
    node: str = ""  # its machine, for Ray
    process: int = 0
    hung: bool = False  # it was silent for too long, and was ended


class _Deliver(tune.Callback):
    """Hands each epoch and each result over, and makes results for the trials of a job whose process died.

    Trials whose worker was lost, or for which there was not enough memory, are kept back until `last`.
    """

    def __init__(self, jobs: Sequence[Job], place: Place, watch: Watch) -> None:
        self.jobs, self.place, self.watch = jobs, place, watch
        self.missing = {trial.key: trial for job in jobs for trial in job}
        self.waits_since: float | None = time.monotonic()  # for a first worker
        self.begun = False
        self.patience = math.inf  # seconds without a word from a worker after which it is ended
        self.home = ""  # the driver's machine, for Ray
        self.decoded: set[str] = set()  # machines whose workers have the images: decoding them can take hours
        self.heard: dict[str, _Heard] = {}  # by Tune's name of a job that runs
        self.stepped = self.looked = time.monotonic()
        self.last = False  # this is the last try
        self.kept_back: dict[str, str] = {}  # the key of a trial that is tried again -> status of this try
        self.before: dict[str, list[str]] = {}  # and why each of its tries ended
        self.stopped: StoppedError | None = None  # why whoever follows the study wants no more of it

    def __reduce__(self) -> tuple[type[tune.Callback], tuple[()]]:
        """Nothing of it: Tune writes callbacks down, to restore from what we never restore from."""
        return tune.Callback, ()

    def again(self) -> tuple[tuple[Job, ...], tuple[Job, ...]]:
        """What is to be tried again, each training by itself: those that were lost, and those that lacked memory."""
        jobs = by_training(self.missing[key] for key in self.kept_back)
        starved = {job for job in jobs if any(self.kept_back[trial.key] == OUT_OF_MEMORY for trial in job)}
        self.kept_back = {}
        return tuple(job for job in jobs if job not in starved), tuple(job for job in jobs if job in starved)

    def on_step_end(self, iteration: int, trials: Any, **info: Any) -> None:
        if self.stopped:  # not where it was said: Tune takes what is raised there for a failure of the trial
            raise self.stopped
        now = time.monotonic()
        # Ray starts a worker that dies on its imports anew, without end and without a word.
        if self.waits_since is not None and now - self.waits_since > SILENT:
            self.waits_since = None
            print(
                f"no worker has come up in {duration(SILENT)}: the machines are busy, or a worker cannot import what "
                "it needs; Ctrl-C and --executor serial show which",
                file=sys.stderr,
                flush=True,
            )
        if ray.is_initialized():
            look(far=now - self.looked > LOOK)
            self.looked = now if now - self.looked > LOOK else self.looked
        self._end_silent(now)

    def _end_silent(self, now: float) -> None:
        """Ends workers that have said nothing for too long; what they said while the driver stood still counts."""
        if now - self.stepped > ASLEEP:
            for heard in self.heard.values():
                heard.at = now
        self.stepped = now
        for heard in self.heard.values():
            known = heard.process and heard.node in {self.home, *self.decoded}
            if known and not heard.hung and now - heard.at > self.patience:
                heard.hung = True
                end(heard.node, heard.process, home=self.home)

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.heard[trial.trial_id] = _Heard(at=time.monotonic())

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self.heard.pop(trial.trial_id, None)

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        heard = self.heard.setdefault(trial.trial_id, _Heard(at=0.0))
        heard.at = time.monotonic()
        # Popped: what stays, Tune keeps for each trial, with a history of every number in it (100 kB a trial).
        if "worker" in result:
            heard.node, heard.process = result.pop("worker")
            self._ready()
        elif "row" in result:
            self.decoded.add(heard.node)
            self.watch.epoch(self.missing[result["key"]], result.pop("row"))
        elif "predictions" in result:
            write_predictions(self.place.folder, result["key"], result.pop("predictions"))
        else:
            self._finished(Result.from_dict(result.pop("record")))

    def _ready(self) -> None:
        self.waits_since = None
        if not self.begun:
            self.begun = True
            self.watch.begin()

    def _finished(self, result: Result) -> None:
        """`result`, on disk and handed over, or kept back to be tried again."""
        key = result.trial.key
        reasons = self.before.setdefault(key, [])
        if reasons:
            result = replace(result, provenance={**result.provenance, "tries_before": list(reasons)})
        # On several machines the worker's folder may not be ours; the result travelled, so we write it.
        if read_result(trial_path(self.place.folder, key))[0] != result:
            write_result(self.place.folder, result)
        if result.status == OUT_OF_MEMORY and not self.last:
            self._keep_back(key, OUT_OF_MEMORY, result.error)
        else:
            del self.missing[key]
            self._hand_over(result)

    def _hand_over(self, result: Result) -> None:
        """Tells whoever follows the study; that it is to stop is raised when Tune has done its step."""
        try:
            self.watch.result(result)
        except StoppedError as error:
            self.stopped = self.stopped or error

    def _keep_back(self, key: str, status: str, reason: str) -> None:
        self.kept_back[key] = status
        self.before.setdefault(key, []).append(f"{status}: {reason.strip().splitlines()[-1]}")

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        look()  # where Ray itself is lost, so is every worker, and none of that is a trial's failure
        heard = self.heard.pop(trial.trial_id, None)
        status, reason = why_lost(_said(trial))
        if heard and heard.hung:
            status, reason = TIMEOUT, f"it had said nothing for {duration(self.patience)} and was ended"
        for group in by_training(self.jobs[trial.config["job"]]):
            for lost in group:
                if lost.key in self.missing and lost.key not in self.kept_back:
                    self._lost(lost, group[0], status, f"the worker was lost: {reason}")

    def _lost(self, trial: Trial, first: Trial, status: str, reason: str) -> None:
        """Hands over the result of a trial whose process died: its own where it had written it just before."""
        written, _ = read_result(trial_path(self.place.folder, trial.key))
        if written and written.status in FINAL:
            self._finished(written)
            return
        shared = "" if trial is first else first.key
        before = {"tries_before": list(self.before[trial.key])} if self.before.get(trial.key) else {}
        subject = load(trial.subject)
        result = Result(
            trial=trial,
            status=status,
            trained_with=shared,
            error=reason,
            provenance=before,
            # Without them it would pass for a trial of the first version, and the study for one of two.
            training_version=subject.version,
            training_digest=subject.digest(),
        )
        write_result(self.place.folder, result)
        if self.last or status == TIMEOUT:  # what hangs, hangs again, each time for as long
            del self.missing[trial.key]
            self._hand_over(result)
        else:
            self._keep_back(trial.key, status, reason)


def _said(trial: Any) -> str:
    """What Ray says of a job's end; Tune's own way to ask for it looks where it comes later, and unpickles."""
    try:
        return Path(trial.error_file).read_text()
    except (OSError, TypeError):
        return ""


@dataclass(frozen=True, kw_only=True)
class RayExecutor:
    """An `Executor` on the Ray that is up, or on one that it starts and stops itself."""

    cpus_per_trial: int
    gpus_per_trial: float
    patience: float = math.inf  # seconds without a word from a worker after which it is ended: its trials timed out
    growing: bool = False  # the cluster brings up machines as they are asked for, so more is asked for than it has
    run: Run = run_job  # what a worker does with a job; the benchmark of the overhead puts nothing here

    def __call__(self, jobs: Sequence[Job], place: Place, watch: Watch) -> None:
        """Returns when every trial has a result.

        What lost its worker is tried again, with as many side by side; what lacked memory, with half as many, and the
        last time alone.  Raises InputError when Ray cannot hold one job, and StoppedError when Ray itself is lost.
        """
        # Nobody reads the bookkeeping of Tune: its folder is removed when this run ends, or when the next one begins.
        with started() as ready, own_folder(place.folder, ".tune-") as scratch:
            ready()
            if not self.growing:
                self._check_room()
            deliver = _Deliver(jobs, place, watch)
            deliver.patience, deliver.home = self.patience, node_here()
            widths = self._widths(len(jobs))
            lost: Sequence[Job] = jobs
            starved: Sequence[Job] = ()
            try:
                for attempt, width in enumerate(widths):
                    deliver.last = attempt == len(widths) - 1
                    for name, some, at_once in (("lost", lost, widths[0]), ("starved", starved, width)):
                        if some:
                            self._spread(some, place, deliver, scratch / f"{name}-{attempt}", at_once)
                    lost, starved = deliver.again()
            except BrokenRayError as error:
                raise StoppedError(f"{error}; {GOES_ON}") from None

    def _spread(self, jobs: Sequence[Job], place: Place, deliver: _Deliver, scratch: Path, at_once: int) -> None:
        """Runs each of `jobs` once, `at_once` side by side."""
        deliver.jobs = jobs
        runner = tune.with_parameters(_run, jobs=jobs, place=place, home=node_here(), run=self.run)
        tuner = tune.Tuner(
            tune.with_resources(runner, {"cpu": self.cpus_per_trial, "gpu": self.gpus_per_trial}),
            param_space={"job": tune.grid_search(list(range(len(jobs))))},
            tune_config=tune.TuneConfig(reuse_actors=True, max_concurrent_trials=at_once),
            run_config=tune.RunConfig(name="trials", storage_path=str(scratch), verbose=0, callbacks=[deliver]),
        )
        tuner.fit()

    def _widths(self, jobs: int) -> list[int]:
        """How many of so many jobs run side by side in each try: all that Ray holds, half of them, .., one.

        Of a cluster that grows first all jobs: it brings up machines for what is asked for and has no place.
        """
        most = sum(slots(machine, self.cpus_per_trial, self.gpus_per_trial) for machine in machines())
        first, *later = [*(max(1, most >> attempt) for attempt in range(TRIES - 1)), 1]
        return [jobs if self.growing else first, *later]

    def _check_room(self) -> None:
        has = ray.cluster_resources()
        for kind, wanted in (("CPU", self.cpus_per_trial), ("GPU", self.gpus_per_trial)):
            if wanted > has.get(kind, 0):
                raise InputError(
                    f"--{kind.lower()}s-per-trial {wanted:g} is more than the {has.get(kind, 0):g} that Ray has."
                )


def empty_trials(count: int, ended: Callable[[], None]) -> None:
    """`count` trials of nothing under bare Tune, of which our own overhead is a multiple; `ended` after each."""

    class Clock(tune.Callback):
        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            ended()

    def nothing(config: dict[str, Any]) -> None:
        tune.report({"done": 1})

    with started() as ready, tempfile.TemporaryDirectory() as scratch:
        ready()
        tune.Tuner(
            tune.with_resources(nothing, {"cpu": 1}),
            param_space={"number": tune.grid_search(list(range(count)))},
            tune_config=tune.TuneConfig(reuse_actors=True),
            run_config=tune.RunConfig(name="nothing", storage_path=scratch, verbose=0, callbacks=[Clock()]),
        ).fit()
