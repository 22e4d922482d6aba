"""What AlexNet is measured by, how each number is to be read, and what the trials of a study share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablations.core.result import LOG_STEPS
from ablations.core.setting import EMPTY, LOGS, NATS, POINTS, SIZE, TIME_TO_TARGET, Metric, Setting, Target
from ablations.models.presets import PRESETS
from ablations.subjects.alexnet.setting import Budget, config_of

METRICS: Mapping[str, Metric] = {  # "test_" stands for whatever a study evaluates on
    "test_top1_error_percent": Metric(words="top-1 error", unit=POINTS),
    "test_top5_error_percent": Metric(words="top-5 error", unit=POINTS),
    "test_loss": Metric(words="loss", unit=NATS),
    "train_loss": Metric(words="training loss", unit=NATS),  # as training saw it, with augmentation and dropout
    "train_top1_error_percent": Metric(words="training error, as training saw it,", unit=POINTS),
    "clean_train_top1_error_percent": Metric(words="training error", unit=POINTS),  # without augmentation or dropout
    "gap_percent": Metric(
        words="gap between test and training error", unit=POINTS, lowered_by_failure=True
    ),  # evaluation minus clean training
    # A difference of logarithms is the logarithm of a ratio.
    LOG_STEPS: Metric(words="steps to the threshold", unit=LOGS, kind=TIME_TO_TARGET),
    "parameters": Metric(words="parameters", kind=SIZE),
    "macs": Metric(words="multiply-adds", kind=SIZE),
}


def setting_of(
    preset: str,
    budget: Budget,
    *,
    dataset: str,
    fingerprint: str,
    every: int | None = None,
    facts: Mapping[str, Any] = EMPTY,
) -> Setting:
    """What the trials of a study of AlexNet share, but for what only its data tell: `facts` holds "classes" and
    "channels" of them, and `replace` adds what guessing gives and how many examples there are.

    `every` is --evaluate-every, which a short trial shortens.
    """
    spec = budget.sized(PRESETS[preset].spec) if preset in PRESETS else None  # one that was taken out since
    config = config_of(preset, budget, spec) if spec else {"preset": preset, "budget": {}, "spec": {}}
    stops = budget.stop_at_threshold
    target = (
        None
        if budget.threshold_percent is None
        else Target(value=budget.threshold_percent, every=budget.threshold_every, stops=stops)
    )
    return Setting(
        config=config,
        data=dataset,
        fingerprint=fingerprint,
        main=f"{budget.evaluate_on}_top1_error_percent",
        metrics=METRICS,
        phase=budget.evaluate_on,
        work=budget.epochs,
        every=budget.evaluate_every if every is None else every,
        target=target,
        baseline_words="a linear classifier on the raw pixels",
        facts={
            "preset": preset,
            "reference": f"preset {preset}",
            "train_examples": budget.train_examples,
            "batch_size": budget.batch_size,
            "image_size": budget.image_size,
            "classes": 0,
            "channels": 3,
            **facts,
        },
    )
