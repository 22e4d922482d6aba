"""Runs trials of AlexNet: opens the data, trains, evaluates, and measures how active the components are.

This is all that a worker imports.  It needs torch and numpy, but neither ray, mlflow nor a plotting library.
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

from ablations.core.errors import DivergedError
from ablations.core.subject import Event, Failed, Measured, Place, Report
from ablations.core.trial import Trial
from ablations.models.layers import LocalConv2d
from ablations.models.layout import layout, macs, parameters
from ablations.models.response_norm import implementation
from ablations.models.spec import stored_size
from ablations.records.checkpoint import Checkpoint, unfinished_path
from ablations.records.files import replaced
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
    """Runs the trials of one training and yields their results, as `ablations.core.subject.Subject.run` describes.

    References that an earlier process trained, but whose activities it did not finish measuring, come first and need no
    training.
    """
    torch.set_num_threads(place.threads)
    torch.backends.cudnn.deterministic = True  # otherwise cuDNN picks kernels by timing them, and results vary
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
    """Trains once for the trials with the numbers `left`, and yields an event for each.

    The order matters.  Every trial's result is yielded, and so written to disk, before any activity is measured, since
    measuring may take longer than all before it.  The seconds of the training go to the first result that is yielded,
    so that they are counted once.  The checkpoint stays until every trial has a result, so that the next run need not
    train again.
    """
    first = trials[left[0]]
    norm = implementation(device)
    checkpoint = _checkpoint(first, place, device, norm)

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
    for number in to_measure:
        yield from _measured_at_last(trials[number], trained.network, data, place, number)
    if ended:
        checkpoint.remove()


def _checkpoint(trial: Trial, place: Place, device: torch.device, norm: str) -> Checkpoint:
    """Returns where the training of `trial` goes on, if an earlier process began it; `norm` is its implementation."""
    return Checkpoint(
        unfinished_path(place.folder, trial.training.key),
        code=code(training_digest(), device, place.threads, norm),
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        turns=place.turns,
        as_read=torch.from_numpy,
    )


def _measured_at_last(trial: Trial, network: Any, data: Data, place: Place, number: int) -> Iterator[Event]:
    """Yields the activities of a reference whose record is on disk; removes the kept network once they are complete."""
    found = activities(trial, network, data, place.measures, number=number)
    yield found
    if found.complete:
        forget(place.folder, trial)


def _as_the_engine_knows_it(error: Exception) -> Exception:
    """Returns `error` as the type by which the engine knows it, such as MemoryError; other errors stay as they are."""
    if isinstance(error, train.DivergedError):
        return DivergedError(str(error), error.curve)
    if isinstance(error, torch.OutOfMemoryError):
        return MemoryError(str(error))
    return error


def _evaluated(trial: Trial, trained: Trained, place: Place) -> Measured:
    """Evaluates a trained network as `trial` asks for, and keeps its predictions."""
    spec, budget, data = spec_of(trial.config), budget_of(trial.config), trained.training.data
    metrics, evaluation = evaluate_as(spec, trained, budget.evaluate_on)
    layers = layout(spec, num_classes=data.num_classes, image_size=budget.image_size, channels=data.channels)
    kernels = "" if trial.variant.departures else _filters(trained)
    weights, unkept = _keep_weights(trial, trained, place)
    return Measured(
        metrics={**metrics, "parameters": parameters(layers), "macs": macs(layers)},
        curve=trained.curve,
        readings=trained.looks,
        outcomes=pack(evaluation.outcomes),
        extras={"filters": kernels} if kernels else {},
        artifacts=weights,
        notes=tuple(filter(None, (_keep(trial, evaluation, place), unkept, _refused(trained.step)))),
    )


def _refused(step: str) -> str:
    """Returns a sentence if the training step should have been captured and was not, since the trial took longer."""
    return f"the training step was {step}" if step.startswith(f"{EAGER}:") else ""


def _keep(trial: Trial, evaluation: Evaluation, place: Place) -> str:
    """Writes the evaluation's predictions to disk; returns a sentence if that fails, which is not worth a trial."""
    if not place.predictions:
        return ""
    path = predictions_path(place.folder, trial.key)
    try:
        if evaluation.probabilities is None:  # there are too many, as the plan has announced
            path.unlink(missing_ok=True)
        else:
            probabilities = Predictions(
                probabilities=evaluation.probabilities.numpy(), labels=evaluation.labels.numpy()
            )
            write_predictions(place.folder, trial.key, packed(probabilities))
    except OSError as error:
        return f"predictions were not kept: {error.strerror or error}"
    return ""


def _keep_weights(trial: Trial, trained: Trained, place: Place) -> tuple[tuple[str, ...], str]:
    """Writes the final weights to disk if the user asks; returns the file's name, and a sentence if that fails.

    `torch.load` with `weights_only` reads them.  Trials that choose a rate, which keep no predictions, keep none.
    """
    if not (place.options.get("keep_weights") and place.predictions):
        return (), ""
    name = f"weights/{trial.key}.pt"
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in trained.network.state_dict().items()}
    try:
        with replaced(place.folder / name) as file:
            torch.save(state, file)
    except OSError as error:
        return (), f"weights were not kept: {error.strerror or error}"
    return (name,), ""


def _filters(trained: Trained) -> str:
    """Returns the first layer's kernels, encoded for the record; empty if the first layer is locally connected."""
    first = next((layer for layer in trained.network.features.modules() if isinstance(layer, nn.Conv2d)), None)
    shared = not any(isinstance(layer, LocalConv2d) for layer in trained.network.features[0].modules())
    return filters.pack(first.weight.detach().cpu()) if first is not None and shared else ""


def open_data(trial: Trial, place: Place, device: torch.device) -> Data:
    """Returns the data of `trial`: on `device` if they fit, otherwise mapped from disk.

    They are decoded first if this machine has not done so yet.
    """
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


@functools.lru_cache(maxsize=1)  # so that a process lists the files and copies images to a GPU once, not for each trial
def _opened(
    name: str, data_root: Path | None, size: int, cache: Path, device: torch.device, memory_bytes: float
) -> Data:
    data = load(prepare(name, data_root=data_root, size=size, cache=cache, quiet=True))
    return placed(data, device, memory_bytes=memory_bytes)
