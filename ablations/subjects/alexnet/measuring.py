"""How active the components are in a trained reference: measured after its record is on disk, at the latest by the
next run.

Measuring may take longer than the training did, so a process may end meanwhile.  Until it is over the trained network
is kept under `unfinished/` with its record, and whoever runs the trial again goes on from there.  Nothing is unpickled.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ablations.core.result import Result
from ablations.core.trial import Trial
from ablations.models.network import Network
from ablations.records.checkpoint import kept_name, unfinished_path
from ablations.records.files import UNREADABLE, arrays, replaced
from ablations.records.measures import UNMEASURED, not_measured
from ablations.subjects.alexnet.activity import Probe
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.registry import components, own_file
from ablations.subjects.alexnet.training.step import streams_of
from ablations.subjects.alexnet.training.train import start


def keep(folder: Path, result: Result, network: Network) -> None:
    """Leaves a trained network on disk with its record.  A full disk costs no more than a training again."""
    tensors = {f"network/{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"draws/{number}": stream.get_state() for number, stream in enumerate(streams_of(network))}
    named: dict[str, Any] = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
    try:
        with replaced(unfinished_path(folder, kept_name(result.trial.key))) as file:
            np.savez(file, record=np.frombuffer(json.dumps(result.to_dict()).encode(), np.uint8), **named)
    except OSError as error:
        logging.getLogger(__name__).warning("A trained network was not kept: %s.", error.strerror or error)


def forget(folder: Path, result: Result) -> None:
    """Takes away what `keep` has left of a trial that has been measured by now."""
    if UNMEASURED not in result.error.splitlines():
        unfinished_path(folder, kept_name(result.trial.key)).unlink(missing_ok=True)


def measured_later(
    folder: Path, trial: Trial, names: Sequence[str], open_data: Callable[[], Data], device: torch.device
) -> Result | None:
    """The result of a reference whose trained network an earlier process has left, with its activities, as `measured`.

    None where nothing was left, or nothing that this code can read.
    """
    path = unfinished_path(folder, kept_name(trial.key))
    if not path.is_file():
        return None
    try:
        with arrays(path) as file:
            result = Result.from_dict(json.loads(bytes(file["record"])))
            tensors = {name: torch.from_numpy(file[name]) for name in file.files if name != "record"}
        data = open_data()
        if result.trial.key != trial.key or data.fingerprint != trial.fingerprint:
            return None
        network = start(trial.spec, seed=trial.seed, budget=trial.budget, data=data, device=device)
        weights = {name.removeprefix("network/"): value for name, value in tensors.items() if name.startswith("net")}
        network.load_state_dict(weights)
        for number, stream in enumerate(streams_of(network)):
            stream.set_state(tensors[f"draws/{number}"])
    except (*UNREADABLE, RuntimeError) as error:  # RuntimeError: weights that do not fit
        logging.getLogger(__name__).warning("A trained network that was kept cannot be used: %s.", error)
        return None
    return measured(result, network, data, names)


def measured(result: Result, network: Network, data: Data, names: Sequence[str]) -> Result:
    """`result` with what each component's measure gives, and a sentence for each, and each of `names`, that is missing.

    A measure may be somebody else's; the training that it looks at is done and is not lost by it.
    """
    trial, found, problems = result.trial, dict[str, float](), list[str]()
    device = next(network.parameters()).device
    try:
        probe = Probe(network, trial.spec, seed=trial.seed, budget=trial.budget, data=data, device=device)
    except Exception as error:  # nothing of it is measured: the next run tries again
        failed = f"the network could not be probed: {type(error).__name__}: {error}"
        return replace(result, error=lines(without(result.error, failed), failed))
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
    return replace(result, activity=found, error=lines(without(result.error, UNMEASURED), *problems))


def lines(*sentences: str) -> str:
    """The sentences that there are, a line each."""
    return "\n".join(filter(None, sentences))


def without(text: str, line: str) -> str:
    """`text` without a line of it."""
    return "\n".join(one for one in text.splitlines() if one != line)
