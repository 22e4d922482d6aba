"""Measures what a trial costs besides its training, by empty trials through our executor and through Ray Tune."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from ablations.bench.soak.processes import memory_mib
from ablations.core.result import DONE, Result
from ablations.core.subject import Place
from ablations.core.trial import Job, Trial
from ablations.core.variant import Variant
from ablations.models.presets import PRESETS
from ablations.records.store import write_result
from ablations.subjects.alexnet.setting import Budget, config_of


def nothing(job: Job, place: Place, *, report: Callable[[Trial, Mapping[str, float]], None]) -> Iterator[Result]:
    """Yields a result for each trial of `job` without training, and writes its record."""
    for trial in job:
        result = Result(trial=trial, status=DONE, metrics={"test_top1_error_percent": 90.0})
        write_result(place.folder, result)
        yield result


def measure(count: int, *, workers: int) -> dict[str, Any]:
    """Returns the seconds that an empty trial takes one worker, with our executor and with bare Tune, and the memory.

    Times are means over `count` trials, from the first end to the last, so without the start of Ray.  Memory is that of
    the driver in MiB, after the first trial and after the last.  `growth` holds the same at the `marks`: the memory
    then, and the seconds of a trial since the mark before.
    """
    from ablations.execution.ray_executor import RayExecutor

    watch = _Watch()
    with tempfile.TemporaryDirectory() as folder:
        place = Place(folder=Path(folder), command="")
        RayExecutor(cpus_per_trial=1, gpus_per_trial=0.0, run=nothing)(_jobs(count), place, watch)
    # Bare Tune runs in a process of its own, whose memory holds nothing else.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as other:
        bare_ends, bare_memory = other.submit(_bare, count).result()
    return {
        "trials": count,
        "ours_seconds": workers * _mean_gap(watch.ends),
        "tune_seconds": workers * _mean_gap(bare_ends),
        "driver_memory_mib": [watch.memory[0], watch.memory[-1]],
        "tune_memory_mib": [bare_memory[0], bare_memory[-1]],
        "growth": [
            {
                "trials": last,
                "ours_seconds": workers * _mean_gap(watch.ends[first - 1 : last]),
                "tune_seconds": workers * _mean_gap(bare_ends[first - 1 : last]),
                "driver_memory_mib": watch.memory[last - 1],
                "tune_memory_mib": bare_memory[last - 1],
            }
            for first, last in itertools.pairwise([1, *marks(count)])
        ],
    }


def marks(count: int) -> list[int]:
    """Returns 10, 100, 1000, ... below `count`, and `count`: the numbers of trials at which growth is measured."""
    return [10**power for power in range(1, len(str(count))) if 10**power < count] + [count]


def _bare(count: int) -> tuple[list[float], list[float]]:
    """Runs `count` trials of bare Tune.  Returns when each ended, and the memory of this process then, in MiB."""
    from ablations.execution.ray_executor import empty_trials

    watch = _Watch()
    empty_trials(count, watch.ended)
    return watch.ends, watch.memory


def _jobs(count: int) -> list[Job]:
    budget = Budget(epochs=1, train_examples=1, batch_size=1, image_size=32)
    config = config_of("cifar_small", budget, PRESETS["cifar_small"].spec)
    trials = (
        Trial(variant=Variant(), seed=seed, data="none", fingerprint="none", config=config) for seed in range(count)
    )
    return [(trial,) for trial in trials]


class _Watch:
    """Notes when each trial ended, and how much memory this process held then, in MiB."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.memory: list[float] = []

    def begin(self) -> None:
        """Nothing waits."""

    def epoch(self, trial: Trial, row: Mapping[str, float]) -> None:
        """Ignores it."""

    def result(self, result: Result) -> None:
        """A trial has ended."""
        self.ended()

    def ended(self) -> None:
        """Notes the time and the memory."""
        self.ends.append(time.perf_counter())
        self.memory.append(memory_mib(os.getpid()))


def _mean_gap(ends: Sequence[float]) -> float:
    return (ends[-1] - ends[0]) / max(1, len(ends) - 1)
