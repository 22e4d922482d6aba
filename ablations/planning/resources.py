"""How many cores and GPUs a trial takes, and how many trials this machine or a cluster can run side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablations.core.errors import InputError
from ablations.core.load import load
from ablations.core.machine import cores_here, slots
from ablations.core.subject import Place
from ablations.core.trial import UNPACKED, Packing, Trial
from ablations.planning.request import Request


def resources(request: Request) -> tuple[float, int]:
    """Returns the number of GPUs per trial (or a share of one), and how many trials run side by side.

    If a cluster was named, both follow from its machines, whatever this machine has.  Raises InputError if no machine
    has what a trial asks for.
    """
    subject: Any = load(request.subject)
    here = {"CPU": float(cores_here()), "GPU": float(subject.accelerators())}
    where = "any machine of the cluster" if request.machines else "this machine"
    has: tuple[Mapping[str, float], ...] = request.machines or (here,)
    cpus, devices = (max(machine.get(kind, 0) for machine in has) for kind in ("CPU", "GPU"))
    usual = min(float(subject.gpus), devices)
    gpus = usual if request.gpus_per_trial is None else request.gpus_per_trial
    if gpus and request.machines and not devices:
        raise InputError(f"--gpus-per-trial is {gpus:g}, and no machine of the cluster has a GPU: leave it out.")
    if gpus > devices:
        raise InputError(f"--gpus-per-trial {gpus:g} is more than the {devices:g} GPUs of {where}.")
    if request.cpus_per_trial > cpus:
        come = "; --autoscaling waits for machines that are still to come" if request.machines else ""
        raise InputError(f"--cpus-per-trial {request.cpus_per_trial} is more than the {cpus:g} of {where}{come}.")
    if request.in_turn:
        return gpus, 1
    workers = sum(slots(machine, request.cpus_per_trial, gpus) for machine in has)
    if not workers:
        raise InputError(
            f"no machine of the cluster has both what --cpus-per-trial {request.cpus_per_trial} asks for and "
            f"--gpus-per-trial {gpus:g}."
        )
    return gpus, workers


def beside(request: Request, gpus: float, workers: int) -> int:
    """Returns the largest number of trials that one machine runs side by side; `workers` is that of all machines."""
    return max((slots(machine, request.cpus_per_trial, gpus) for machine in request.machines), default=workers)


def packing(request: Request, first: Trial, place: Place, *, any_missing: bool) -> Packing:
    """Returns how many trials take turns in one job: as --pack says or, with `auto`, by timing steps of `first`.

    Raises InputError if --pack is `auto` and the trials run on a cluster, whose GPUs cannot be timed from here.
    """
    if request.pack == 1:
        return UNPACKED
    if request.pack and not place.gpus:
        words = f"{request.pack} trials take turns on a core, which finishes no more of them an hour"
        return Packing(request.pack, 1.0, words)
    if request.pack:
        return Packing(request.pack, 1.0, f"{request.pack} trials take turns on each GPU")
    if not place.gpus:
        return Packing(1, 1.0, "1: one trial fills a core, and as many run side by side as there are cores")
    if request.cluster:
        raise InputError("--pack auto times steps on a GPU of this machine; for a cluster give a number, such as 8.")
    if not any_missing:
        return UNPACKED
    subject: Any = load(request.subject)
    count, gain = subject.packing(first, place)
    return Packing(
        count, gain, f"{count} trials take turns on each GPU: {gain:.1f} times the steps an hour of one, by timing some"
    )
