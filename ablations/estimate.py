"""How long a study will take here, from timing a few steps of what it trains."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch.nn import functional as F

from ablations.data.load import Data
from ablations.optimizers import optimizer_of
from ablations.registry import derive
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
    reference = next(trial for trial in trials if not trial.variant.departures)
    variants = dict.fromkeys(trial.variant for trial in trials)
    networks: dict[object, float] = {}  # what costs time: the recipe and the pixels hardly do

    def timed(variant: Variant) -> float:
        spec = derive(reference.spec, variant)
        network = (spec.blocks, spec.hidden, spec.dropout_place, spec.adaptive_pool)
        if network not in networks:
            networks[network] = _time(spec, reference.budget, data, device)
        return networks[network]

    alone = timed(reference.variant)
    # Singles that the grid does not hold are timed too: a fraction has none.
    ratios = {
        departure: timed(Variant(departures=(departure,))) / alone
        for departure in dict.fromkeys(departure for variant in variants for departure in variant.departures)
    }
    return {variant: alone * math.prod(ratios[departure] for departure in variant.departures) for variant in variants}


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
    """Seconds of a whole trial that nothing stops early, from those of a training step and of one evaluated image.

    Every epoch ends with an evaluation, unless the trial runs to a threshold, and the last with one of as many
    training images more.
    """
    evaluations = 1 if budget.stop_at_threshold else budget.epochs
    looks = 0 if budget.threshold_percent is None else budget.steps // budget.threshold_every
    images = evaluations * evaluated + min(evaluated, budget.train_examples)
    images += looks * min(budget.threshold_examples, budget.train_examples)
    return budget.steps * step + images * evaluated_image
