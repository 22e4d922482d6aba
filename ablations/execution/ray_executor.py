"""The executor that runs jobs on Ray Tune.  This file and `ray_cluster` are the only ones that import ray.

Tune runs each job of our list once, first in, first out.  To Tune, a job of several trials is one trial that reports
several results.  Our records decide what is run, and never `Tuner.restore`, which ignores a larger grid and unpickles.
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
from ablations.core.text import duration, last_line
from ablations.core.trial import Job, Trial, by_training
from ablations.execution.executor import Watch
from ablations.execution.lost import why_lost
from ablations.execution.ray_cluster import GOES_ON, LOOK, BrokenRayError, end, look, machines, node_here, started
from ablations.execution.worker import run_job
from ablations.records.leftovers import TUNE, own_folder
from ablations.records.predictions import predictions_path, write_predictions
from ablations.records.store import read_result, trial_path, write_result

SILENT = 120.0  # seconds after which a message says that no worker has started yet
TRIES = 3  # tries of a trial, the first included, whose worker was lost or for which there was too little memory
ASLEEP = 30.0  # seconds between two steps of the driver after which it was itself stopped, and its workers not silent

Run = Callable[..., Iterable[Result]]  # a function like `run_job`


def _run(config: dict[str, Any], *, jobs: Sequence[Job], place: Place, home: str, run: Run) -> None:
    """Runs one job in a worker and reports its rows and results to the driver.

    One worker runs many jobs in turn, since a new process would have to import torch again.  Only plain values are
    sent: a worker starts with an empty registry of components, which the trial itself fills.
    """

    def report(trial: Trial, row: Mapping[str, float]) -> None:
        tune.report({"key": trial.key, "row": dict(row)})

    # Slow imports, such as that of torch, were made with this module, so the worker is ready now.
    tune.report({"worker": (node_here(), os.getpid())})
    for result in run(jobs[config["job"]], place, report=report):
        kept = predictions_path(place.folder, result.trial.key)
        if node_here() != home and result.status == DONE and kept.exists():  # on another machine than the driver's
            tune.report({"key": result.trial.key, "predictions": kept.read_bytes()})
        tune.report({"key": result.trial.key, "record": result.to_dict()})


@dataclass(kw_only=True)
class _Heard:
    """What the driver knows of the worker that runs a job."""

    at: float  # time of its last message, by `time.monotonic`
    node: str = ""  # Ray's id of its machine
    process: int = 0  # its process id; 0 until it has reported it
    hung: bool = False  # whether it was silent for too long and was killed


class _Deliver(tune.Callback):
    """Passes each epoch and each result on to a `Watch`, and makes results for trials whose worker died.

    Failed results of trials whose worker was lost, or that lacked memory, are passed on only in the last try: until
    then these trials are tried again.
    """

    def __init__(self, jobs: Sequence[Job], place: Place, watch: Watch) -> None:
        self.jobs, self.place, self.watch = jobs, place, watch
        self.missing = {trial.key: trial for job in jobs for trial in job}
        # The time from which it waits for a first worker; None: one has started.
        self.waits_since: float | None = time.monotonic()
        self.begun = False
        self.patience = math.inf  # seconds without a message from a worker after which it is killed
        self.home = ""  # Ray's id of the driver's machine
        # The machines that have decoded the images: while one does, its worker may be silent for hours.
        self.decoded: set[str] = set()
        self.heard: dict[str, _Heard] = {}  # the worker of each running job, by Tune's id of it
        self.stepped = self.looked = time.monotonic()
        self.last = False  # whether this is the last try
        self.kept_back: dict[str, str] = {}  # key of a trial that is to be tried again -> status of this try
        self.before: dict[str, list[str]] = {}  # key of a trial -> why each of its tries ended
        self.stopped: StoppedError | None = None  # raised by the watch, which wants the study to stop

    def __reduce__(self) -> tuple[type[tune.Callback], tuple[()]]:
        """Pickles as an empty callback: Tune saves callbacks in order to restore a run, which we never do."""
        return tune.Callback, ()

    def again(self) -> tuple[tuple[Job, ...], tuple[Job, ...]]:
        """Returns the trainings to try again, as jobs of one each: those whose worker was lost, then those that lacked
        memory.
        """
        jobs = by_training(self.missing[key] for key in self.kept_back)
        starved = {job for job in jobs if any(self.kept_back[trial.key] == OUT_OF_MEMORY for trial in job)}
        self.kept_back = {}
        return tuple(job for job in jobs if job not in starved), tuple(job for job in jobs if job in starved)

    def on_step_end(self, iteration: int, trials: Any, **info: Any) -> None:
        if self.stopped:  # raised here, since Tune takes an exception in `on_trial_result` for a failure of the trial
            raise self.stopped
        now = time.monotonic()
        # Ray restarts a worker that fails in its imports again and again, without a message.
        if self.waits_since is not None and now - self.waits_since > SILENT:
            self.waits_since = None
            print(
                f"no worker has started in {duration(SILENT)}: the machines are busy, or a worker cannot import what "
                "it needs; stop with Ctrl-C and try --executor serial, which shows a failed import",
                file=sys.stderr,
                flush=True,
            )
        if ray.is_initialized():
            look(far=now - self.looked > LOOK)
            self.looked = now if now - self.looked > LOOK else self.looked
        self._end_silent(now)

    def _end_silent(self, now: float) -> None:
        """Kills workers that have been silent for too long.

        If the driver itself was stopped, as on a sleeping machine, the messages of that time wait to be read, so all
        workers get their full time again.
        """
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
        # Values are popped, since Tune keeps what stays, and a history of its numbers: 100 kB a trial.
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
        """Writes the record of `result` and passes it on, or notes that its trial is to be tried again."""
        key = result.trial.key
        reasons = self.before.setdefault(key, [])
        if reasons:
            result = replace(result, provenance={**result.provenance, "tries_before": list(reasons)})
        # On several machines the worker may have written to another folder, so the driver writes the record here.
        if read_result(trial_path(self.place.folder, key))[0] != result:
            write_result(self.place.folder, result)
        if result.status == OUT_OF_MEMORY and not self.last:
            self._keep_back(key, OUT_OF_MEMORY, result.error)
        else:
            del self.missing[key]
            self._hand_over(result)

    def _hand_over(self, result: Result) -> None:
        """Passes `result` on to the watch; if that asks to stop the study, `on_step_end` raises its error."""
        try:
            self.watch.result(result)
        except StoppedError as error:
            self.stopped = self.stopped or error

    def _keep_back(self, key: str, status: str, reason: str) -> None:
        self.kept_back[key] = status
        self.before.setdefault(key, []).append(f"{status}: {last_line(reason)}")

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        look()  # raises if Ray itself is lost: then every worker is, and that is no failure of a trial
        heard = self.heard.pop(trial.trial_id, None)
        status, reason = why_lost(_said(trial))
        if heard and heard.hung:
            status, reason = TIMEOUT, f"it had said nothing for {duration(self.patience)} and was killed"
        for group in by_training(self.jobs[trial.config["job"]]):
            for lost in group:
                if lost.key in self.missing and lost.key not in self.kept_back:
                    self._lost(lost, group[0], status, f"the worker was lost: {reason}")

    def _lost(self, trial: Trial, first: Trial, status: str, reason: str) -> None:
        """Handles a trial whose worker died: takes the record that the worker wrote just before, or makes one."""
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
            # Without these two, the record would count as one of the first version, and the study as one of two.
            training_version=subject.version,
            training_digest=subject.digest(),
        )
        write_result(self.place.folder, result)
        if self.last or status == TIMEOUT:  # a trial that hung would hang again, each time for as long
            del self.missing[trial.key]
            self._hand_over(result)
        else:
            self._keep_back(trial.key, status, reason)


def _said(trial: Any) -> str:
    """Returns the text of the error with which a job ended.

    It is read from a file: Tune's own function for this looks where the error arrives only later, and unpickles.
    """
    try:
        return Path(trial.error_file).read_text()
    except (OSError, TypeError):
        return ""


@dataclass(frozen=True, kw_only=True)
class RayExecutor:
    """An `Executor` on the Ray that this process is connected to, or on one that it starts and stops itself."""

    cpus_per_trial: int  # processor threads that a job holds
    gpus_per_trial: float  # GPUs that a job holds, or a share of one
    patience: float = math.inf  # seconds without a message from a worker after which it is killed; its trials timed out
    growing: bool = False  # whether the cluster starts machines when they are asked for
    run: Run = run_job  # what a worker does with a job; the benchmark of the overhead puts an empty function here

    def __call__(self, jobs: Sequence[Job], place: Place, watch: Watch) -> None:
        """Runs the jobs and returns when every trial has a result.

        Trainings whose worker was lost are tried again, with as many side by side as before.  Trainings that lacked
        memory are tried again with half as many side by side, and the last time one by one.  Raises InputError if Ray
        cannot hold one job, and StoppedError if Ray itself is lost or the watch stops the study.
        """
        # Nobody reads the bookkeeping of Tune: its folder is removed when this run ends, or when the next one begins.
        with started() as ready, own_folder(place.folder, TUNE) as scratch:
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
        """Returns how many jobs run side by side in each try: as many as Ray holds, half of that, and one.

        On a growing cluster the first try asks for all `jobs`, since it starts machines for those without a place.
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
    """Runs `count` empty trials under bare Tune, to compare our overhead with; calls `ended` after each."""

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
