"""A trial of AlexNet: its data, its training, its evaluation, and how active the components are in it.

Needs torch and numpy, and neither ray, mlflow nor a plotting library: this is all that a worker imports.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ablations.core.subject import DivergedError, Event, Failed, Measured, Place, Report
from ablations.core.trial import Trial
from ablations.models.layers import LocalConv2d
from ablations.models.layout import layout, macs, parameters
from ablations.models.response_norm import implementation
from ablations.models.spec import stored_size
from ablations.records.checkpoint import Checkpoint, unfinished_path
from ablations.records.outcomes import pack
from ablations.records.predictions import Predictions, packed, predictions_path, write_predictions
from ablations.records.provenance import code
from ablations.subjects.alexnet import filters
from ablations.subjects.alexnet.data.catalogue import FOLDER, folder_of
from ablations.subjects.alexnet.data.load import Data, load, memory_bytes, placed
from ablations.subjects.alexnet.data.prepare import prepare
from ablations.subjects.alexnet.measuring import activities, forget, keep, kept
from ablations.subjects.alexnet.setting import budget_of, spec_of
from ablations.subjects.alexnet.training import train
from ablations.subjects.alexnet.training.evaluate import Evaluation
from ablations.subjects.alexnet.training.step import EAGER
from ablations.subjects.alexnet.training.train import Trained, evaluate_as, training
from ablations.subjects.alexnet.version import training_digest


def run(trials: Sequence[Trial], place: Place, report: Report) -> Iterator[Event]:
    """What trials of one training come to, as `ablations.core.subject.Subject.run` says.

    References whose network an earlier process left unmeasured come first, and need no training.
    """
    torch.set_num_threads(place.threads)
    torch.backends.cudnn.deterministic = True  # kernels picked by timing differ from run to run
    device = torch.device("cuda" if place.gpus > 0 else "cpu")
    left = []
    for number, trial in enumerate(trials):
        opened = functools.partial(open_data, trial, place, device)
        found = None if trial.variant.departures else kept(place.folder, trial, opened, device)
        if found is None:
            left.append(number)
            continue
        measured, network, data = found
        yield replace(measured, number=number, to_measure=True)
        yield from _measured_at_last(trial, network, data, place, number)
    if left:
        yield from _run_training(trials, left, place, device, report)


def _run_training(
    trials: Sequence[Trial], left: Sequence[int], place: Place, device: torch.device, report: Report
) -> Iterator[Event]:
    first = trials[left[0]]
    norm = implementation(device)
    checkpoint = Checkpoint(
        unfinished_path(place.folder, first.training.key),
        code=code(training_digest(), device, place.threads, norm),
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        turns=place.turns,
        as_read=torch.from_numpy,
    )

    def origin() -> dict[str, Any]:
        resumed = {"started": checkpoint.started, "went_on_after_steps": checkpoint.stops} if checkpoint.stops else {}
        return {"response_norm": norm, **resumed}

    try:
        data = open_data(first, place, device)
        if data.fingerprint != first.fingerprint:
            raise ValueError(f"the data of {first.data} have changed since the study was planned")
        trained = yield from training(
            spec_of(first.config),
            seed=first.seed,
            budget=budget_of(first.config),
            data=data,
            device=device,
            report=lambda row: report(first, row),
            checkpoint=checkpoint,
        )
    except Exception as error:
        told = _as_the_engine_knows_it(error)
        for number in left:
            yield Failed(number=number, error=told, provenance=origin(), seconds=checkpoint.seconds)
        if isinstance(told, DivergedError):
            checkpoint.remove()
        return
    seconds, ended, to_measure = checkpoint.seconds, True, []
    for number in left:
        trial, where = trials[number], {**origin(), "step": trained.step}
        try:
            measured = _evaluated(trial, trained, place)
        except Exception as error:
            ended = False
            yield Failed(number=number, error=_as_the_engine_knows_it(error), provenance=where, seconds=seconds)
        else:
            measured = replace(measured, number=number, provenance=where, seconds=seconds)
            if not trial.variant.departures:
                measured = replace(measured, to_measure=True)
                keep(place.folder, trial, measured, trained.network)
                to_measure.append(number)
            yield measured
        seconds = 0.0
    for number in to_measure:  # last: it may take longer than all before it, and by now that is on disk
        yield from _measured_at_last(trials[number], trained.network, data, place, number)
    if ended:
        checkpoint.remove()


def _measured_at_last(trial: Trial, network: Any, data: Data, place: Place, number: int) -> Iterator[Event]:
    """The activities of a reference whose record is on disk; what was kept for them goes when they are there too."""
    found = activities(trial, network, data, place.measures, number=number)
    yield found
    if found.complete:
        forget(place.folder, trial)


def _as_the_engine_knows_it(error: Exception) -> Exception:
    """`error` as one that the engine has a word for."""
    if isinstance(error, train.DivergedError):
        return DivergedError(str(error), error.curve)
    if isinstance(error, torch.OutOfMemoryError):
        return MemoryError(str(error))
    return error


def _evaluated(trial: Trial, trained: Trained, place: Place) -> Measured:
    spec, budget, data = spec_of(trial.config), budget_of(trial.config), trained.training.data
    metrics, evaluation = evaluate_as(spec, trained, budget.evaluate_on)
    layers = layout(spec, num_classes=data.num_classes, image_size=budget.image_size, channels=data.channels)
    kernels = "" if trial.variant.departures else _filters(trained)
    return Measured(
        metrics={**metrics, "parameters": parameters(layers), "macs": macs(layers)},
        curve=trained.curve,
        readings=trained.looks,
        outcomes=pack(evaluation.outcomes),
        extras={"filters": kernels} if kernels else {},
        notes=tuple(filter(None, (_keep(trial, evaluation, place), _refused(trained.step)))),
    )


def _refused(step: str) -> str:
    """A sentence where a training step that should have been captured was not: its trial took longer."""
    return f"the training step was {step}" if step.startswith(f"{EAGER}:") else ""


def _keep(trial: Trial, evaluation: Evaluation, place: Place) -> str:
    """Leaves the evaluation's predictions on disk; says in a sentence why not: the trial is not lost by it."""
    if not place.predictions:
        return ""
    path = predictions_path(place.folder, trial.key)
    try:
        if evaluation.probabilities is None:  # too many, as the plan said
            path.unlink(missing_ok=True)
        else:
            probabilities = Predictions(
                probabilities=evaluation.probabilities.numpy(), labels=evaluation.labels.numpy()
            )
            write_predictions(place.folder, trial.key, packed(probabilities))
    except OSError as error:
        return f"predictions were not kept: {error.strerror or error}"
    return ""


def _filters(trained: Trained) -> str:
    """The first layer's kernels, where every place shares them, for a picture in the report."""
    first = next((layer for layer in trained.network.features.modules() if isinstance(layer, nn.Conv2d)), None)
    shared = not any(isinstance(layer, LocalConv2d) for layer in trained.network.features[0].modules())
    return filters.pack(first.weight.detach().cpu()) if first is not None and shared else ""


def open_data(trial: Trial, place: Place, device: torch.device) -> Data:
    """The data of `trial`, decoded first where this machine has not done so: on `device` if they fit, else mapped."""
    options = place.options
    named = f"{FOLDER}{folder_of(trial.data, Path(options['base']))}" if trial.data.startswith(FOLDER) else trial.data
    return _opened(
        named,
        Path(options["data_root"]) if options.get("data_root") else None,
        stored_size(spec_of(trial.config), budget_of(trial.config).image_size),
        Path(options["cache"]),
        device,
        memory_bytes(options.get("memory_budget"), device, share=place.gpus),
    )


@functools.lru_cache(maxsize=1)  # one look at a folder's files, and one copy to a GPU, a process and not a trial
def _opened(
    name: str, data_root: Path | None, size: int, cache: Path, device: torch.device, memory_bytes: float
) -> Data:
    data = load(prepare(name, data_root=data_root, size=size, cache=cache, quiet=True))
    return placed(data, device, memory_bytes=memory_bytes)
