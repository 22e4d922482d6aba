"""Results as a study would leave them, made up from known effects: what reports and effects are tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ablations.core.result import DIVERGED, DONE, ERROR, Result
from ablations.core.study import Study
from ablations.core.trial import Trial
from ablations.models.layout import layout, macs, parameters
from ablations.subjects.alexnet.registry import components
from ablations.subjects.alexnet.setting import budget_of, spec_of
from tests import making

BUDGET = making.BUDGET
EFFECTS: Mapping[str, float] = {
    "activation": 4.0,
    "crop_flip": 5.5,
    "dropout": 1.2,
    "grouping": -0.4,
    "lrn": 0.3,
    "mild_sabotage": 1.5,
    "pca_jitter": 0.0,
    "pooling": 0.6,
    "sabotage": 14.0,
    "width": 2.0,
}
PROVENANCE = {
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "dirty": False,
    "command": "python -m ablations.run --grid one_out",
    "started": "2026-11-23T10:00:00+00:00",
    "hardware": {"cpu": "a processor", "cores": 16, "gpu": "an accelerator"},
    "versions": {"python": "3.11.7", "torch": "2.14.1"},
    "threads": 2,
    "device": "cuda",
}


def plan(
    grid: str, words: Sequence[str] = (), *, seeds: int = 3, name: str = "made_up", resolution: int = 4
) -> tuple[Study, list[Trial]]:
    """A study on the preset `cifar` and its trials; of ten balanced classes guessing names 90% wrongly."""
    command = f"python -m ablations.run --grid {grid} --name {name}"
    study, trials = making.study(grid, words, name=name, seeds=seeds, command=command, resolution=resolution)
    return making.with_setting(study, guessing=90.0), list(trials)


def results(trials: Sequence[Trial], *, noise: float = 0.3, seed: int = 0) -> list[Result]:
    """A finished result for every trial: known effects, a shared part for each seed, independent noise."""
    random = np.random.default_rng(seed)
    shared = {trial.seed: 0.0 for trial in trials}
    shared = {number: float(random.normal(0, noise)) for number in shared}
    return [done(trial, _error(trial) + shared[trial.seed] + float(random.normal(0, noise))) for trial in trials]


def done(trial: Trial, error: float) -> Result:
    """A finished result whose last test error is `error` percent."""
    epochs = budget_of(trial.config).epochs
    curve = tuple(
        _row(trial, epoch, error + 45 * np.exp(-0.45 * epoch) - 45 * np.exp(-0.45 * epochs))
        for epoch in range(1, epochs + 1)
    )
    layers = layout(spec_of(trial.config), num_classes=10, image_size=32)
    clean = max(0.6 * error - 4, 0.1)
    last = {
        "clean_train_top1_error_percent": clean,
        "gap_percent": error - clean,
        "evaluated_examples": 10_000.0,
        "parameters": parameters(layers),
        "macs": macs(layers),
    }
    metrics = {name: value for name, value in curve[-1].items() if name != "epoch"}
    measured = {"activation": 0.8, "lrn": 0.004, "dropout": 0.31, "placebo": 1.2, "sabotage": 0.45}
    activity = {**dict.fromkeys(components(), 0.3), **measured}
    return Result(
        trial=trial,
        status=DONE,
        metrics={**metrics, **last},
        curve=curve,
        activity={} if trial.variant.departures else activity,
        seconds=190.0,
        provenance=PROVENANCE,
    )


def diverged(result: Result) -> Result:
    """The same trial, had its loss gone to nan in the second epoch."""
    return replace(
        result,
        status=DIVERGED,
        metrics={},
        curve=result.curve[:1],
        activity={},
        error="the loss is not finite in epoch 2",
    )


def failed(result: Result) -> Result:
    """The same trial, had it raised an error whose text is hostile to both renderings."""
    text = "Traceback (most recent call last):\n  File x\nRuntimeError: <script>alert(1)</script> | `x` *y*"
    return replace(result, status=ERROR, metrics={}, curve=(), activity={}, error=text)


def _error(trial: Trial) -> float:
    named = dict(trial.variant.departures)
    both = -0.8 if {"activation", "lrn"} <= set(named) else 0.0
    return 21.0 + sum(EFFECTS.get(name, 0.0) for name in named) + both


def _row(trial: Trial, epoch: int, error: float) -> dict[str, float]:
    grouped = dict(trial.variant.departures).get("grouping")
    return {
        "epoch": epoch,
        "test_top1_error_percent": float(error),
        "test_top5_error_percent": float(error) / 12,
        "test_loss": float(error) / 30,
        "train_loss": float(error) / 28,
        "train_top1_error_percent": float(error) + 6,
        "learning_rate": 0.02,
        "images_per_second": 3300.0,
        "seconds_per_epoch": (18.0 if grouped else 15.0) + 0.2 * trial.seed,
    }
