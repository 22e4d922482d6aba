"""What a trial holds, and how many of them this machine holds.  Imports torch only when it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablations.cli.limits import pack_of
from ablations.cli.options import Config
from ablations.core.errors import InputError
from ablations.core.machine import cores_here
from ablations.core.trial import UNPACKED, Packing
from ablations.subjects.alexnet.setting import PRECISIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ablations.core.trial import Trial
    from ablations.subjects.alexnet.data.load import Data


def resources(config: Config, machines: Sequence[Mapping[str, float]] = ()) -> tuple[float, int]:
    """GPUs a trial, and how many trials run side by side.

    `machines` are those of a cluster, each as what it has of "CPU" and "GPU"; without any it is this machine.
    Raises InputError where no machine holds what a trial asks for, or has no GPU for a precision of one, and where a
    step on a GPU could not be timed here.
    """
    gpus, workers = _resources(config, machines)
    if not gpus and config.precision != PRECISIONS[0]:
        raise InputError(
            f"--precision {config.precision} is for trials on a GPU, and these hold none: "
            f"a processor would be no faster, or ten times slower."
        )
    return gpus, workers


def _resources(config: Config, machines: Sequence[Mapping[str, float]]) -> tuple[float, int]:
    import torch

    here = {"CPU": cores_here(), "GPU": torch.cuda.device_count()}
    where = "any machine of the cluster" if machines else "this machine"
    has = machines or [here]
    cpus, devices = (max(machine.get(kind, 0) for machine in has) for kind in ("CPU", "GPU"))
    gpus = min(1.0, devices) if config.gpus_per_trial is None else config.gpus_per_trial
    if gpus > devices:
        raise InputError(f"--gpus-per-trial {gpus:g} is more than the {devices:g} GPUs of {where}.")
    if config.cpus_per_trial > cpus:
        raise InputError(f"--cpus-per-trial {config.cpus_per_trial} is more than the {cpus:g} of {where}.")
    if gpus and not here["GPU"]:
        raise InputError(
            "steps are timed on a GPU where the command runs, and this machine has none: start it on one of the "
            "cluster's that has, or give --gpus-per-trial 0."
        )
    if config.executor == "serial":
        return gpus, 1
    workers = sum(room(machine, config.cpus_per_trial, gpus) for machine in has)
    if not workers:
        raise InputError(
            f"no machine of the cluster has both what --cpus-per-trial {config.cpus_per_trial} asks for and "
            f"--gpus-per-trial {gpus:g}."
        )
    return gpus, workers


def room(machine: Mapping[str, float], cpus: int, gpus: float) -> int:
    """How many trials with so much each a machine holds."""
    most = [machine.get("CPU", 0) / cpus, *([machine.get("GPU", 0) / gpus] if gpus else [])]
    return int(min(most))


def packing(config: Config, trials: Sequence[Trial], data: Data, *, gpus: float, any_missing: bool) -> Packing:
    """How many trials take turns in one job; "auto" times steps of the first of `trials` on a GPU of this machine.

    Raises InputError where that cannot be timed here.
    """
    if count := pack_of(config.pack):
        if count == 1:
            return UNPACKED
        if not gpus:
            return Packing(count, 1.0, f"{count} trials take turns on a core, which finishes no more of them an hour")
        return Packing(count, 1.0, f"{count} trials take turns on each GPU")
    if not gpus:
        return Packing(1, 1.0, "1: one trial fills a core, and as many run side by side as there are cores")
    if config.ray_address:
        raise InputError("--pack auto times steps on a GPU of this machine; for a cluster give a number, such as 8.")
    if not any_missing:
        return UNPACKED
    import torch

    from ablations.subjects.alexnet.data.load import memory_bytes, placed
    from ablations.subjects.alexnet.packing import chosen

    device = torch.device("cuda")
    near = placed(data, device, memory_bytes=memory_bytes(config.memory_budget, device, share=gpus))
    count, gain = chosen(trials[0], near, device=device, share=gpus)
    return Packing(
        count, gain, f"{count} trials take turns on each GPU: {gain:.1f} times the steps an hour of one, by timing some"
    )
