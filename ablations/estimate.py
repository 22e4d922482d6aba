"""How long a study will take here, from timing a few steps of what it trains."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch.nn import functional as F

from ablations.data.load import Data
from ablations.optimizers import optimizer_of
from ablations.train import EVALUATION_BATCH, batches, evaluate, split_examples, start
from ablations.types import Budget, Trial, Variant
from models.spec import Spec

WARM_UP, TIMED = 1, 3  # steps


def seconds_a_trial(trials: Sequence[Trial], data: Data, *, threads: int, device: torch.device) -> dict[Variant, float]:
    """Expected seconds of one trial of each variant.

    The reference and each single departure are timed; a variant of several departures costs the
    product of their ratios.  Several trials side by side slow each other down, which this leaves out.
    """
    torch.set_num_threads(threads)
    specs = {trial.variant: trial.spec for trial in trials}
    budget = trials[0].budget
    networks: dict[object, float] = {}  # what costs time: the recipe and the pixels hardly do
    timed: dict[Variant, float] = {}
    for variant, spec in specs.items():
        if len(variant.departures) <= 1:
            network = (spec.blocks, spec.hidden, spec.dropout_place, spec.adaptive_pool)
            if network not in networks:
                networks[network] = _time(spec, budget, data, device)
            timed[variant] = networks[network]
    return {variant: timed[Variant()] * _ratio(variant, timed) for variant in specs}


def _ratio(variant: Variant, timed: Mapping[Variant, float]) -> float:
    singles = (Variant(departures=(departure,)) for departure in variant.departures)
    # A single departure that the grid does not hold counts as no slower than the reference.
    return math.prod(timed[single] / timed[Variant()] for single in singles if single in timed)


def _time(spec: Spec, budget: Budget, data: Data, device: torch.device) -> float:
    few = min(budget.train_examples, (WARM_UP + TIMED) * budget.batch_size)
    training, evaluation = split_examples(
        spec, seed=0, budget=replace(budget, train_examples=few), data=data, device=device
    )
    network = start(spec, seed=0, budget=budget, data=data, device=device)
    optimizer = optimizer_of(network, spec)
    seconds = []
    began = time.perf_counter()
    for images, labels in batches(training, 0, 1, budget.batch_size):
        network.train()
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        float(loss.detach())  # waits for the device
        seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
    step = min(seconds[WARM_UP:] or seconds)  # the fastest: the machine may be busy with other things
    began = time.perf_counter()
    evaluate(network, evaluation, limit=EVALUATION_BATCH)
    an_image = (time.perf_counter() - began) / min(EVALUATION_BATCH, evaluation.count)
    return whole(budget, step=step, evaluated_image=an_image, evaluated=evaluation.count)


def whole(budget: Budget, *, step: float, evaluated_image: float, evaluated: int) -> float:
    """Seconds of a whole trial, from those of a training step and of one evaluated image.

    Every epoch ends with an evaluation, and the last with one of as many training images more.
    """
    steps = budget.epochs * math.ceil(budget.train_examples / budget.batch_size)
    images = budget.epochs * evaluated + min(evaluated, budget.train_examples)
    return steps * step + images * evaluated_image
