"""Measures how active the components are in a trained reference, once the reference's record is on disk.

Measuring may take longer than the training did, and the process may be stopped meanwhile.  So the trained network is
kept under `unfinished/`, together with its results, until all is measured; the next run of the trial continues from
there.  Files are read as plain arrays, without pickle.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ablations.core.subject import Activities, Measured
from ablations.core.trial import Trial
from ablations.models.network import Network
from ablations.records.checkpoint import kept_name, unfinished_path
from ablations.records.files import UNREADABLE, arrays, replaced
from ablations.records.measures import not_measured
from ablations.subjects.alexnet.activity import Probe
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.registry import components, own_file
from ablations.subjects.alexnet.setting import budget_of, spec_of
from ablations.subjects.alexnet.training.step import streams_of
from ablations.subjects.alexnet.training.train import start
from ablations.subjects.alexnet.version import TRAINING_VERSION


def keep(folder: Path, trial: Trial, measured: Measured, network: Network) -> None:
    """Writes a trained network and its results to disk.

    A failure, such as a full disk, is only a warning: at worst the trial has to be trained again.
    """
    tensors = {f"network/{name}": value for name, value in network.state_dict().items()}
    # The dropout streams as well, so that a measurement draws the same masks in another process.
    tensors |= {f"draws/{number}": stream.get_state() for number, stream in enumerate(streams_of(network))}
    named: dict[str, Any] = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
    fields = {one.name: getattr(measured, one.name) for one in dataclasses.fields(measured)}
    record = {"version": TRAINING_VERSION, "key": trial.key, "measured": fields}
    try:
        with replaced(unfinished_path(folder, kept_name(trial.key))) as file:
            np.savez(file, record=np.frombuffer(json.dumps(record).encode(), np.uint8), **named)
    except OSError as error:
        logging.getLogger(__name__).warning("A trained network was not kept: %s.", error.strerror or error)


def forget(folder: Path, trial: Trial) -> None:
    """Removes what `keep` wrote of a trial whose measurements are complete."""
    unfinished_path(folder, kept_name(trial.key)).unlink(missing_ok=True)


def kept(
    folder: Path, trial: Trial, open_data: Callable[[], Data], device: torch.device
) -> tuple[Measured, Network, Data] | None:
    """Returns the results, the network and the data of a reference that an earlier process trained and did not measure.

    Returns None if there is nothing, or nothing that can be used.
    """
    path = unfinished_path(folder, kept_name(trial.key))
    if not path.is_file():
        return None
    try:
        with arrays(path) as file:
            record = json.loads(bytes(file["record"]))
            tensors = {name: torch.from_numpy(file[name]) for name in file.files if name != "record"}
        data = open_data()
        if (record["version"], record["key"]) != (TRAINING_VERSION, trial.key) or data.fingerprint != trial.fingerprint:
            return None
        fields = record["measured"]
        lists = {"readings": tuple(map(tuple, fields["readings"])), "artifacts": tuple(fields.get("artifacts", ()))}
        measured = Measured(**{**fields, **lists, "curve": tuple(fields["curve"]), "notes": tuple(fields["notes"])})
        spec, budget = spec_of(trial.config), budget_of(trial.config)
        network = start(spec, seed=trial.seed, budget=budget, data=data, device=device)
        weights = {name.removeprefix("network/"): value for name, value in tensors.items() if name.startswith("net")}
        network.load_state_dict(weights)
        for number, stream in enumerate(streams_of(network)):
            stream.set_state(tensors[f"draws/{number}"])
    except (*UNREADABLE, RuntimeError) as error:  # RuntimeError: weights that do not fit
        logging.getLogger(__name__).warning("A trained network that was kept cannot be used: %s.", error)
        return None
    return dataclasses.replace(measured, kept=True), network, data


def activities(trial: Trial, network: Network, data: Data, names: Sequence[str], *, number: int) -> Activities:
    """Returns what each component's measure gives, with a sentence for each that failed and each of `names` not known.

    `names` are components whose activity the record must have.  A measure may be a user's own and fail in any way; the
    training is finished by then and must not be lost, so every exception becomes a sentence.
    """
    found, problems = dict[str, float](), list[str]()
    device = next(network.parameters()).device
    spec, budget = spec_of(trial.config), budget_of(trial.config)
    try:
        probe = Probe(network, spec, seed=trial.seed, budget=budget, data=data, device=device)
    except Exception as error:  # nothing of it is measured: the next run tries again
        failed = f"the network could not be probed: {type(error).__name__}: {error}"
        return Activities(number=number, found={}, notes=(failed,), complete=False)
    for name, component in components().items():
        try:
            value = float(component.activity.measure(probe))
        except (Exception, SystemExit) as error:
            reason = str(error).splitlines()[0] if str(error) else ""
            where = f" ({path})" if (path := own_file(name)) else ""
            problems.append(not_measured(name, f"{type(error).__name__}: {reason}{where}"))
            continue
        if math.isfinite(value):
            found[name] = value
        else:
            problems.append(not_measured(name, f"its measure gives {value}"))
    known = components()
    problems += [not_measured(name, "this machine does not know the component") for name in names if name not in known]
    return Activities(number=number, found=found, notes=tuple(problems))
