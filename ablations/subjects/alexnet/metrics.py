"""The metrics of AlexNet and how each is to be read, and the setting that the trials of a study share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablations.core.result import LOG_STEPS
from ablations.core.setting import EMPTY, LOGS, NATS, POINTS, SIZE, TIME_TO_TARGET, Metric, Setting, Target
from ablations.models.presets import PRESETS
from ablations.subjects.alexnet.setting import Budget, config_of

FITTED, GAP = "clean_train_top1_error_percent", "gap_percent"

METRICS: Mapping[str, Metric] = {  # "test_" stands for the split that a study evaluates on, test or validation
    "test_top1_error_percent": Metric(words="top-1 error", unit=POINTS),
    "test_top5_error_percent": Metric(words="top-5 error", unit=POINTS),
    "test_loss": Metric(words="loss", unit=NATS),
    "train_loss": Metric(words="training loss", unit=NATS),  # as training saw it, with augmentation and dropout
    "train_top1_error_percent": Metric(words="training error, as training saw it,", unit=POINTS),
    FITTED: Metric(words="training error", unit=POINTS),  # without augmentation or dropout
    GAP: Metric(
        words="gap between test and training error", unit=POINTS, lowered_by_failure=True
    ),  # evaluation minus clean training
    # As a logarithm, so that a difference between two arms is the logarithm of their ratio.
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
    """Returns the setting of a study of AlexNet, except for what only its data tell.

    `facts` adds to the facts, such as the "classes" and "channels" of the data.  The caller adds the error of guessing
    and the number of examples.  `every` is --evaluate-every as it was given; the budget's may be smaller, since it is
    never more than the number of epochs.
    """
    spec = budget.given(PRESETS[preset].spec) if preset in PRESETS else None  # an old record may name a removed preset
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
            "reference": f"preset {preset}{budget.at_rate}",
            "train_examples": budget.train_examples,
            "batch_size": budget.batch_size,
            "image_size": budget.image_size,
            "classes": 0,
            "channels": 3,
            **({} if budget.learning_rate is None else {"learning_rate": budget.learning_rate}),
            **facts,
        },
    )
