"""Chooses how many trainings take turns on one GPU: the number with the most trials per hour, by timing a few steps."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import torch

from ablations.core.trial import Trial
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.setting import budget_of, spec_of
from ablations.subjects.alexnet.training.examples import split_examples
from ablations.subjects.alexnet.training.optimizers import Rate
from ablations.subjects.alexnet.training.step import WARM_UP, Capture, Step, cuda_graph
from ablations.subjects.alexnet.training.train import start

COUNTS = (1, 2, 4, 8, 16, 32)  # numbers of trainings that are tried, in this order
TIMED = 30  # steps of each training that are timed
WORTH = 1.05  # a number must give this many times the best rate so far; otherwise the search ends
FULL = 0.9  # share of the memory that may be used


def chosen(trial: Trial, data: Data, *, device: torch.device, share: float) -> tuple[int, float]:
    """Returns how many trainings like that of `trial` to run at once, and the gain: trials per hour relative to one.

    `share` is the share of the memory of `device` that they may use together.
    """
    pack: list[_Timed] = []

    def rate(count: int) -> float | None:
        free, total = torch.cuda.mem_get_info(device)
        taken = sum(one.memory for one in pack)
        # The trainings so far predict what `count` of them would need; out-of-memory errors catch what this misses.
        if pack and taken / len(pack) * count > min(FULL * share * total, taken + FULL * free):
            return None
        try:
            while len(pack) < count:
                pack.append(_Timed(trial, data, device, seed=len(pack), capture=cuda_graph))
            return steps_a_second(pack, device)
        except torch.OutOfMemoryError:
            return None

    found = best(rate)
    pack.clear()
    torch.cuda.empty_cache()
    return found


def best(rate: Callable[[int], float | None]) -> tuple[int, float]:
    """Returns the largest of COUNTS that was worth it, and its gain over one; `rate` gives None if there is no room."""
    rates: dict[int, float] = {}
    for count in COUNTS:
        now = rate(count)
        if now is None or (rates and now < WORTH * max(rates.values())):
            break
        rates[count] = now
    if not rates:
        return 1, 1.0
    return max(rates), rates[max(rates)] / rates[1]


class _Timed:
    """A training that takes one step per call, without end and without evaluation."""

    def __init__(
        self, trial: Trial, data: Data, device: torch.device, *, seed: int, capture: Capture | None = None
    ) -> None:
        before = torch.cuda.memory_reserved(device) if device.type == "cuda" else 0
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        spec, budget = spec_of(trial.config), budget_of(trial.config)
        self.seed, self.epoch, self.rate = seed, 1, Rate(spec)
        with self._own_stream():
            training, _ = split_examples(spec, seed=seed, budget=budget, data=data, device=device)
            network = start(spec, seed=seed, budget=budget, data=data, device=device)
            self.step = Step(network, spec, training, budget, capture=capture)
            self.step.begin(training, seed, self.epoch, self.rate)
        self.steps = budget.steps_per_epoch
        for _ in range(WARM_UP + 2):
            self()
        self.memory = torch.cuda.memory_reserved(device) - before if device.type == "cuda" else 0

    def __call__(self) -> None:
        with self._own_stream():
            if self.step.taken == self.steps:
                self.epoch += 1
                self.step.begin(self.step.training, self.seed, self.epoch, self.rate)
            self.step()

    def _own_stream(self) -> contextlib.AbstractContextManager[object]:
        return torch.cuda.stream(self.stream) if self.stream else contextlib.nullcontext()


def steps_a_second(pack: list[_Timed], device: torch.device) -> float:
    """Returns the steps per second of all trainings of `pack` together, taking turns, from TIMED steps of each."""
    for last in (False, True):  # the first, untimed round lets work finish that is still queued
        began = time.perf_counter()
        for _ in range(TIMED if last else 1):
            for one in pack:
                one()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    return TIMED * len(pack) / (time.perf_counter() - began)
