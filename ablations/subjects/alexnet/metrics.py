"""What AlexNet is measured by, and in which units."""

from __future__ import annotations

from ablations.core.result import LOG_STEPS

POINTS, NATS, LOGS = "points", "nats", "log units"
METRICS = {  # that a claim may be about -> unit; "test" stands for whatever a study evaluates on
    "test_top1_error_percent": POINTS,
    "test_top5_error_percent": POINTS,
    "test_loss": NATS,
    "train_loss": NATS,  # as training saw it, with augmentation and dropout
    "train_top1_error_percent": POINTS,
    "clean_train_top1_error_percent": POINTS,  # without augmentation or dropout
    "gap_percent": POINTS,  # evaluation error minus clean training error
    LOG_STEPS: LOGS,  # a difference of logarithms is the logarithm of a ratio
}
