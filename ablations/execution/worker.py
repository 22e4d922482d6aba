"""run_job(job) -> Results: each training once, failures caught, records written by the process that ran them.

Imports neither ray nor mlflow nor a plotting library: this is all that a worker needs.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch

from ablations.core.place import Context
from ablations.core.result import DONE, FINAL, Result
from ablations.core.trial import Job, Trial, by_training
from ablations.execution.turns import in_turns
from ablations.models.response_norm import implementation
from ablations.records.checkpoint import Checkpoint, unfinished_path
from ablations.records.lineage import TRAINING_VERSION, training_digest
from ablations.records.measures import UNMEASURED, lacking
from ablations.records.provenance import code, provenance
from ablations.records.store import read_result, trial_path, write_result
from ablations.subjects.alexnet import measuring
from ablations.subjects.alexnet.measuring import lines
from ablations.subjects.alexnet.training.evaluate import Row
from ablations.subjects.alexnet.training.train import Trained
from ablations.subjects.alexnet.trial import _evaluated, _trained, open_data


def run_job(
    job: Job, context: Context, *, report: Callable[[Trial, Row], None] = lambda trial, row: None
) -> Iterator[Result]:
    """What came of each trial of `job`, as it ends; its record is on disk by then.

    `context.pack` trainings take turns, a step each, and no failure of one is that of another.  Trials that share
    a training are trained once, and `report` gets each epoch's row of that under the first of them.  No failure of
    a training or an evaluation escapes; that of a training is the result of each.
    """
    torch.set_num_threads(context.threads)
    torch.backends.cudnn.deterministic = True  # kernels picked by timing differ from run to run
    yield from in_turns((_run_group(group, context, report) for group in by_training(job)), at_once=context.pack)


def run_trial(trial: Trial, context: Context, *, report: Callable[[Row], None] = lambda row: None) -> Result:
    """What came of `trial`, run by itself; see `run_job`."""
    (result,) = run_job((trial,), context, report=lambda trial, row: report(row))
    return result


def _run_group(group: Job, context: Context, report: Callable[[Trial, Row], None]) -> Iterator[Result | None]:
    """The results of the trials of one training, and None after each of its steps.

    Trained references that were left unmeasured come first, and need no training.
    """
    device = torch.device("cuda" if context.gpus > 0 else "cpu")
    left = []
    for trial in group:
        opened = functools.partial(open_data, trial, context, device)
        result = None
        if not trial.variant.departures:
            result = measuring.measured_later(context.folder, trial, context.measures, opened, device)
        if result is None or result.training_version != TRAINING_VERSION:
            left.append(trial)
            continue
        write_result(context.folder, result)
        measuring.forget(context.folder, result)
        yield result
    if left:
        yield from _run_training(tuple(left), context, device, report)


def _run_training(
    group: Job, context: Context, device: torch.device, report: Callable[[Trial, Row], None]
) -> Iterator[Result | None]:
    first = group[0]
    origin, began = _origin(context, device), time.perf_counter()
    checkpoint = Checkpoint(
        unfinished_path(context.folder, first.training.key),
        code=code(device, context.threads, origin["response_norm"]),
        started=origin["started"],
        turns=context.pack,
    )
    trained = yield from _trained(first, context, device, functools.partial(report, first), checkpoint)
    began -= checkpoint.seconds
    if checkpoint.stops:
        origin |= {"started": checkpoint.started, "went_on_after_steps": checkpoint.stops}
    statuses, to_measure = [], list[Result]()
    for trial in group:
        if before := _unmeasured(trial, context):
            result = _again(before, trained)
        else:
            outcome = trained if isinstance(trained, dict) else _evaluated(trial, trained, context)
            result = Result(
                trial=trial,
                seconds=time.perf_counter() - began,
                trained_with="" if trial is first else first.key,
                provenance={**origin, "step": trained.step} if isinstance(trained, Trained) else origin,
                training_version=TRAINING_VERSION,
                training_digest=training_digest(),
                **outcome,
            )
        statuses.append(result.status)
        if result.status == DONE and not trial.variant.departures and isinstance(trained, Trained):
            result = replace(result, error=lines(measuring.without(result.error, UNMEASURED), UNMEASURED))
            measuring.keep(context.folder, result, trained.network)
            to_measure.append(result)
        write_result(context.folder, result)
        if result not in to_measure:
            yield result
        origin, began = _origin(context, device), time.perf_counter()
    for result in to_measure:  # last: it may take longer than all before it, and by now that is on disk
        assert isinstance(trained, Trained)
        complete = measuring.measured(result, trained.network, trained.training.data, context.measures)
        write_result(context.folder, complete)
        measuring.forget(context.folder, complete)
        yield complete
    if FINAL.issuperset(statuses):
        checkpoint.remove()


def _unmeasured(trial: Trial, context: Context) -> Result | None:
    """The record of a reference that was trained and lacks activities, as its network is gone; mostly None.

    Its numbers stand, whatever comes of its training again.
    """
    if trial.variant.departures or not context.measures:
        return None
    before, _ = read_result(trial_path(context.folder, trial.key))
    return before if before and lacking(before, context.measures) else None


def _again(before: Result, trained: Trained | dict[str, Any]) -> Result:
    """The result of a reference that was trained once more for its activities alone."""
    if isinstance(trained, Trained):
        told = {"measured_on": "a second training of the same trial"}
        return replace(before, provenance={**before.provenance, **told})
    reason = (str(trained["error"]).strip().splitlines() or [""])[-1]
    failed = f"its training again, to measure activities, failed: {reason}"
    return replace(before, error=lines(measuring.without(before.error, failed), failed))


def _origin(context: Context, device: torch.device) -> dict[str, Any]:
    origin = provenance(command=context.command, threads=context.threads, device=str(device))
    declared = {"declared": context.declared} if context.declared else {}
    pack = {"pack": context.pack} if context.pack > 1 else {}
    return {**origin, "response_norm": implementation(device), **declared, **pack}
