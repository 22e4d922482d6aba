"""A trial of AlexNet: its data, its training, its evaluation."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ablations.core.place import Context
from ablations.core.result import DIVERGED, DONE, ERROR, OUT_OF_MEMORY
from ablations.core.trial import Trial
from ablations.records.predictions import Predictions, packed, predictions_path, write_predictions
from ablations.subjects.alexnet.training.evaluate import Evaluation
from ablations.subjects.alexnet.training.train import DivergedError

pass
from ablations.models.layers import LocalConv2d
from ablations.models.layout import layout, macs, parameters
from ablations.models.spec import stored_size
from ablations.records.checkpoint import Checkpoint
from ablations.records.outcomes import pack
from ablations.subjects.alexnet import filters
from ablations.subjects.alexnet.data.catalogue import FOLDER, folder_of
from ablations.subjects.alexnet.data.load import Data, load, memory_bytes, placed
from ablations.subjects.alexnet.data.prepare import prepare
from ablations.subjects.alexnet.measuring import lines
from ablations.subjects.alexnet.training.evaluate import Row
from ablations.subjects.alexnet.training.step import EAGER
from ablations.subjects.alexnet.training.train import Trained, Turns, evaluate_as, training


def _trained(
    trial: Trial, context: Context, device: torch.device, report: Callable[[Row], None], checkpoint: Checkpoint
) -> Turns[Trained | dict[str, Any]]:
    """The trained network or, where that fails, the fields of a result that says so."""
    try:
        data = open_data(trial, context, device)
        if data.fingerprint != trial.fingerprint:
            raise ValueError(f"the data of {trial.dataset} have changed since the study was planned")
        return (
            yield from training(
                trial.spec,
                seed=trial.seed,
                budget=trial.budget,
                data=data,
                device=device,
                report=report,
                checkpoint=checkpoint,
            )
        )
    except Exception as error:
        return _failure(error)


def _evaluated(trial: Trial, trained: Trained, context: Context) -> dict[str, Any]:
    """The fields of a result of `trial`, whatever its evaluation comes to."""
    try:
        return _measured(trial, trained, context)
    except Exception as error:
        return _failure(error)


def _measured(trial: Trial, trained: Trained, context: Context) -> dict[str, Any]:
    data = trained.training.data
    metrics, evaluation = evaluate_as(trial.spec, trained, trial.budget.evaluate_on)
    layers = layout(
        trial.spec, num_classes=data.num_classes, image_size=trial.budget.image_size, channels=data.channels
    )
    return {
        "status": DONE,
        "metrics": {**metrics, "parameters": parameters(layers), "macs": macs(layers)},
        "curve": trained.curve,
        "looks": trained.looks,
        "outcomes": pack(evaluation.outcomes),
        "filters": "" if trial.variant.departures else _filters(trained),
        "error": lines(_keep(trial, evaluation, context), _refused(trained.step)),
    }


def _refused(step: str) -> str:
    """A sentence where a training step that should have been captured was not: its trial took longer."""
    return f"the training step was {step}" if step.startswith(f"{EAGER}:") else ""


def _filters(trained: Trained) -> str:
    """The first layer's kernels, where every place shares them, for a picture in the report."""
    first = next((layer for layer in trained.network.features.modules() if isinstance(layer, nn.Conv2d)), None)
    shared = not any(isinstance(layer, LocalConv2d) for layer in trained.network.features[0].modules())
    return filters.pack(first.weight.detach().cpu()) if first is not None and shared else ""


def open_data(trial: Trial, context: Context, device: torch.device) -> Data:
    """The data of `trial`, decoded first where this machine has not done so: on `device` if they fit, else mapped."""
    named = trial.dataset
    return _opened(
        f"{FOLDER}{folder_of(named, context.base)}" if named.startswith(FOLDER) else named,
        context.data_root,
        stored_size(trial.spec, trial.budget.image_size),
        context.cache,
        device,
        memory_bytes(context.memory_budget, device, share=context.gpus),
    )


@functools.lru_cache(maxsize=1)  # one look at a folder's files, and one copy to a GPU, a process and not a trial
def _opened(
    name: str, data_root: Path | None, size: int, cache: Path, device: torch.device, memory_bytes: float
) -> Data:
    data = load(prepare(name, data_root=data_root, size=size, cache=cache, quiet=True))
    return placed(data, device, memory_bytes=memory_bytes)


def _failure(error: Exception) -> dict[str, Any]:
    """The fields of a result that says what came of a trial instead."""
    if isinstance(error, DivergedError):
        return {"status": DIVERGED, "curve": error.curve, "error": str(error)}
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return {"status": OUT_OF_MEMORY, "error": str(error) or "out of memory"}
    return {"status": ERROR, "error": "".join(traceback.format_exception(error, limit=-8))}


def _keep(trial: Trial, evaluation: Evaluation, context: Context) -> str:
    """Leaves the evaluation's predictions on disk; says in a sentence why not: the trial is not lost by it."""
    if not context.predictions:
        return ""
    path = predictions_path(context.folder, trial.key)
    try:
        if evaluation.probabilities is None:  # too many, as the plan said
            path.unlink(missing_ok=True)
        else:
            kept = Predictions(probabilities=evaluation.probabilities.numpy(), labels=evaluation.labels.numpy())
            write_predictions(context.folder, trial.key, packed(kept))
    except OSError as error:
        return f"predictions were not kept: {error.strerror or error}"
    return ""
