"""Jobs on Ray Tune: the only file that imports ray.

Ray spreads the jobs that we list, first in first out, each once; it sees a job of several trials as one
trial of its own, which reports several results.  What is run is decided by our records, never by
`Tuner.restore`, which ignores a larger grid and unpickles.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Read by ray when it is imported: no telemetry, no files and no banners of its own, Ctrl-C is ours.
for _name, _value in {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # a dump of the stack at SIGTERM
    "RAY_NUM_REDIS_GET_RETRIES": "3",  # of a cluster that does not answer: each try takes 40 s
    "RAY_prestart_worker_first_driver": "0",  # those are never used: Tune asks for an environment of its own
    "RAY_worker_register_timeout_seconds": "600",  # importing torch on a busy machine took more than Ray's 60
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}.items():
    os.environ.setdefault(_name, _value)

import ray
from ray import tune

from ablations.allocator import ENVIRONMENT
from ablations.execute import Watch
from ablations.jobs import Job, by_training
from ablations.machine import cores_here
from ablations.names import InputError
from ablations.predictions import predictions_path, write_predictions
from ablations.store import read_result, trial_path, write_result
from ablations.trial import Context, run_job
from ablations.types import DONE, ERROR, FINAL, Result, Trial
from ablations.words import duration

SILENT = 120.0  # seconds without a worker after which that is said

Run = Callable[..., Iterable[Result]]  # as `run_job`


def _run(config: dict[str, Any], *, jobs: Sequence[Job], context: Context, home: str, run: Run) -> None:
    """What a worker does, job after job: a fresh process for each would import torch each time.

    Plain values travel: a worker's registry, unlike ours, is empty until the trial fills it.
    """

    def report(trial: Trial, row: Mapping[str, float]) -> None:
        tune.report({"key": trial.key, "row": dict(row)})

    _tell_ready()
    for result in run(jobs[config["job"]], context, report=report):
        kept = predictions_path(context.folder, result.trial.key)
        if _node() != home and result.status == DONE and kept.exists():  # on another machine than the driver's
            tune.report({"key": result.trial.key, "predictions": kept.read_bytes()})
        tune.report({"key": result.trial.key, "record": result.to_dict()})


@functools.cache
def _tell_ready() -> None:
    """Once a process: what takes it seconds, torch for one, has been imported with this module."""
    tune.report({"ready": True})


def _node() -> str:
    return str(ray.get_runtime_context().get_node_id())


class _Deliver(tune.Callback):
    """Hands each epoch and each result over, and makes results for the trials of a job whose process died."""

    def __init__(self, jobs: Sequence[Job], context: Context, watch: Watch) -> None:
        self.jobs, self.context, self.watch = jobs, context, watch
        self.missing = {trial.key: trial for job in jobs for trial in job}
        self.waits_since: float | None = time.monotonic()  # for a first worker
        self.begun = False

    def __reduce__(self) -> tuple[type[tune.Callback], tuple[()]]:
        """Nothing of it: Tune writes callbacks down, to restore from what we never restore from."""
        return tune.Callback, ()

    def on_step_end(self, iteration: int, trials: Any, **info: Any) -> None:
        # Ray starts a worker that dies on its imports anew, without end and without a word.
        if self.waits_since is not None and time.monotonic() - self.waits_since > SILENT:
            self.waits_since = None
            print(
                f"no worker has come up in {duration(SILENT)}: the machines are busy, or a worker cannot import what "
                "it needs; Ctrl-C and --executor serial show which",
                file=sys.stderr,
                flush=True,
            )

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        # Popped: what stays, Tune keeps for each trial, with a history of every number in it (100 kB a trial).
        if result.pop("ready", False):
            self._ready()
        elif "row" in result:
            self.watch.epoch(self.missing[result["key"]], result.pop("row"))
        elif "predictions" in result:
            write_predictions(self.context.folder, result["key"], result.pop("predictions"))
        else:
            self._finished(Result.from_dict(result.pop("record")))

    def _ready(self) -> None:
        self.waits_since = None
        if not self.begun:
            self.begun = True
            self.watch.begin()

    def _finished(self, result: Result) -> None:
        del self.missing[result.trial.key]
        # On several machines the worker's folder may not be ours; the result travelled, so we write it.
        if read_result(trial_path(self.context.folder, result.trial.key))[0] != result:
            write_result(self.context.folder, result)
        self.watch.result(result)

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        reason = str(trial.get_pickled_error() or "its process died").strip().splitlines()[-1]
        for group in by_training(self.jobs[trial.config["job"]]):
            for lost in group:
                if self.missing.pop(lost.key, None):
                    self.watch.result(self._lost(lost, group[0], reason))

    def _lost(self, trial: Trial, first: Trial, reason: str) -> Result:
        """The result of a trial whose process died: its own where it had written it just before."""
        written, _ = read_result(trial_path(self.context.folder, trial.key))
        if written and written.status in FINAL:
            return written
        shared = "" if trial is first else first.key
        result = Result(trial=trial, status=ERROR, trained_with=shared, error=f"the worker was lost: {reason}")
        write_result(self.context.folder, result)
        return result


@dataclass(frozen=True, kw_only=True)
class RayExecutor:
    """An `Executor` on the Ray that is up, or on one that it starts and stops itself."""

    cpus_per_trial: int
    gpus_per_trial: float
    run: Run = run_job  # what a worker does with a job; the benchmark of the overhead puts nothing here

    def __call__(self, jobs: Sequence[Job], context: Context, watch: Watch) -> None:
        """Returns when every trial has a result.  Raises InputError when Ray cannot hold one job."""
        resources = {"cpu": self.cpus_per_trial, "gpu": self.gpus_per_trial}
        with started() as ready, _scratch(context.folder) as scratch:
            ready()
            self._check_room()
            runner = tune.with_parameters(_run, jobs=jobs, context=context, home=_node(), run=self.run)
            tuner = tune.Tuner(
                tune.with_resources(runner, resources),
                param_space={"job": tune.grid_search(list(range(len(jobs))))},
                tune_config=tune.TuneConfig(reuse_actors=True),
                run_config=tune.RunConfig(
                    name="trials",
                    storage_path=str(scratch),
                    verbose=0,
                    callbacks=[_Deliver(jobs, context, watch)],
                ),
            )
            tuner.fit()

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


@contextlib.contextmanager
def joined(address: str) -> Iterator[list[dict[str, float]]]:
    """The Ray cluster at `address`, as what each of its machines has of "CPU" and "GPU".

    Raises InputError where it cannot be joined.
    """
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        _init(address=address, runtime_env={"env_vars": dict(ENVIRONMENT)})
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        lines = str(error.__cause__ or error).strip().splitlines()  # a traceback in words, whose last line tells why
        said = lines[-1][:200].rstrip(".") if lines else type(error).__name__
        hint = "" if "RAY_AUTH_MODE" in os.environ else "; one that asks for a token needs RAY_AUTH_MODE=token here too"
        raise InputError(f"no Ray cluster can be joined at --ray-address {address} ({said}){hint}.") from error
    signal.signal(signal.SIGTERM, on_terminate)  # Ray's own leaves without a word
    try:
        yield [node["Resources"] for node in ray.nodes() if node["Alive"]]
    finally:
        ray.shutdown()


@contextlib.contextmanager
def started() -> Iterator[Callable[[], object]]:
    """A Ray of our own, without a dashboard and with a temporary folder that goes with it.

    It starts in a thread, as it mostly waits for its processes; what is yielded waits for it, or raises what kept it
    from starting.  Where a Ray is up already it is that one: a study keeps its Ray over all rounds of tuning and all
    looks.
    """
    if ray.is_initialized():
        yield lambda: None
        return
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # it listens on this machine only
    temporary = tempfile.mkdtemp(prefix="ray-")  # which Ray never cleans; its socket paths must be short
    # The thread lives as long as Ray does: Linux ends what a thread has started with that thread (PR_SET_PDEATHSIG).
    with ThreadPoolExecutor(1, "ray") as thread:
        start = thread.submit(
            _init,
            address="local",  # whatever RAY_ADDRESS says
            num_cpus=cores_here(),
            include_dashboard=False,
            _temp_dir=temporary,
            runtime_env={"env_vars": {**ENVIRONMENT, **_paths()}},
        )
        try:
            yield start.result
        finally:
            try:
                wait([start])
            finally:
                ray.shutdown()
                shutil.rmtree(temporary, ignore_errors=True)


def _init(**options: Any) -> None:
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)


def _paths() -> dict[str, str]:
    """Workers import what this process can: also when it was started from the repository's folder."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Where Tune keeps its bookkeeping, which nobody reads: it goes when the run ends."""
    scratch = folder / ".tune"
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
