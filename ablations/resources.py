"""What a trial holds, and how many of them this machine holds.  Imports torch only when it is asked."""

from __future__ import annotations

import os

from ablations.budget import PRECISIONS
from ablations.config import Config
from ablations.names import InputError


def resources(config: Config) -> tuple[float, int]:
    """GPUs a trial, and how many trials run side by side; of another machine's cluster, one is assumed.

    Raises InputError where this machine holds less than a trial asks for, or has no GPU for a precision of one.
    """
    gpus, workers = _resources(config)
    if not gpus and config.precision != PRECISIONS[0]:
        raise InputError(
            f"--precision {config.precision} is for trials on a GPU, and these hold none: "
            f"a processor would be no faster, or ten times slower."
        )
    return gpus, workers


def _resources(config: Config) -> tuple[float, int]:
    import torch

    if config.ray_address:
        return config.gpus_per_trial or 0.0, 1
    cpus, devices = len(os.sched_getaffinity(0)), torch.cuda.device_count()
    gpus = min(1.0, devices) if config.gpus_per_trial is None else config.gpus_per_trial
    if gpus > devices:
        raise InputError(f"--gpus-per-trial {gpus:g} is more than the {devices} GPUs of this machine.")
    if config.cpus_per_trial > cpus:
        raise InputError(f"--cpus-per-trial {config.cpus_per_trial} is more than the {cpus} of this machine.")
    if config.executor == "serial":
        return gpus, 1
    return gpus, min(cpus // config.cpus_per_trial, int(devices / gpus) if gpus else cpus)
