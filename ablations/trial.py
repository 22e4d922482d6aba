"""run_trial(trial) -> Result: one training, its failure caught, its record written by the process that ran it.

Imports neither ray nor mlflow nor a plotting library: this is all that a worker needs.
"""

from __future__ import annotations

import functools
import math
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ablations.bits import pack
from ablations.data.load import Data, load
from ablations.data.prepare import prepare
from ablations.probe import Probe
from ablations.provenance import provenance
from ablations.registry import components
from ablations.store import write_result
from ablations.train import DivergedError, Row, Trained, train
from ablations.types import DIVERGED, DONE, ERROR, OUT_OF_MEMORY, Result, Trial
from models.layout import layout, macs, parameters
from models.response_norm import implementation
from models.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Context:
    """Where a trial finds its data and leaves its record, and what it may use.  Absolute paths."""

    folder: Path  # the study's, under results/
    cache: Path  # of decoded images
    data_root: Path | None
    base: Path  # what a relative folder:PATH is relative to: a worker may stand elsewhere
    threads: int  # processor threads a trial
    gpus: float  # of a GPU that a trial holds; 0 trains on the CPU
    command: str  # for the provenance
    declared: str = ""  # digest of the claims and the rule that were in force, for the provenance


def run_trial(trial: Trial, context: Context, *, report: Callable[[Row], None] = lambda row: None) -> Result:
    """What came of `trial`, whose record is on disk when this returns; `report` gets each epoch's row.

    No failure of the training escapes.
    """
    torch.set_num_threads(context.threads)
    torch.backends.cudnn.deterministic = True  # kernels picked by timing differ from run to run
    device = torch.device("cuda" if context.gpus > 0 else "cpu")
    origin = provenance(command=context.command, threads=context.threads, device=str(device))
    origin["response_norm"] = implementation(device)
    origin |= {"declared": context.declared} if context.declared else {}
    began = time.perf_counter()
    try:
        outcome = _outcome(trial, context, device, report)
    except DivergedError as error:
        outcome = {"status": DIVERGED, "curve": error.curve, "error": str(error)}
    except (MemoryError, torch.OutOfMemoryError) as error:
        outcome = {"status": OUT_OF_MEMORY, "error": str(error) or "out of memory"}
    except Exception:
        outcome = {"status": ERROR, "error": traceback.format_exc(limit=-8)}
    result = Result(trial=trial, seconds=time.perf_counter() - began, provenance=origin, **outcome)
    write_result(context.folder, result)
    return result


def _outcome(trial: Trial, context: Context, device: torch.device, report: Callable[[Row], None]) -> dict[str, Any]:
    data = open_data(trial, context)
    if data.fingerprint != trial.fingerprint:
        raise ValueError(f"the data of {trial.dataset} have changed since the study was planned")
    trained = train(trial.spec, seed=trial.seed, budget=trial.budget, data=data, device=device, report=report)
    layers = layout(
        trial.spec, num_classes=data.num_classes, image_size=trial.budget.image_size, channels=data.channels
    )
    last = {name: value for name, value in trained.curve[-1].items() if name != "epoch"}
    activity, problems = _activity(trial, trained, data, device) if not trial.variant.departures else ({}, [])
    return {
        "status": DONE,
        "metrics": {**last, "parameters": parameters(layers), "macs": macs(layers)},
        "curve": trained.curve,
        "looks": trained.looks,
        "outcomes": pack(trained.outcomes),
        "activity": activity,
        "error": "\n".join(problems),
    }


def open_data(trial: Trial, context: Context) -> Data:
    """The data of `trial`, mapped into memory; decoded first where this machine has not done so."""
    size = stored_size(trial.spec, trial.budget.image_size)
    kind, colon, path = trial.dataset.partition(":")
    name = f"{kind}:{context.base / path}" if colon else kind
    return _mapped(name, context.data_root, size, context.cache)


@functools.lru_cache(maxsize=2)  # one look at a folder's files a process, not one a trial
def _mapped(name: str, data_root: Path | None, size: int, cache: Path) -> Data:
    return load(prepare(name, data_root=data_root, size=size, cache=cache, quiet=True))


def stored_size(spec: Spec, image_size: int) -> int:
    """Pixels a side at which images are stored, so that crops of `image_size` have room to move."""
    return round(image_size * spec.stored_ratio)


def _activity(trial: Trial, trained: Trained, data: Data, device: torch.device) -> tuple[dict[str, float], list[str]]:
    """What each component's measure gives, and a sentence for each that could not be had.

    A measure may be somebody else's; the training that it looks at is done and is not lost by it.
    """
    probe = Probe(trained.network, trial.spec, seed=trial.seed, budget=trial.budget, data=data, device=device)
    found: dict[str, float] = {}
    problems: list[str] = []
    for name, component in components().items():
        try:
            found[name] = component.activity.measure(probe)
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else ""
            problems.append(f"activity of {name} was not measured: {type(error).__name__}: {reason}")
    return {name: value for name, value in found.items() if math.isfinite(value)}, problems
