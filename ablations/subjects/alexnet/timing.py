"""Estimates how long trials will take on this machine, by timing a few steps of their training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import NamedTuple

import torch

from ablations.core.machine import HELD, memory_here
from ablations.core.subject import Seconds
from ablations.core.trial import Trial
from ablations.core.variant import Variant
from ablations.models.layout import layout, macs
from ablations.models.spec import Spec
from ablations.subjects.alexnet.data.load import Data, image_bytes
from ablations.subjects.alexnet.registry import derive
from ablations.subjects.alexnet.setting import Budget, budget_of, spec_of
from ablations.subjects.alexnet.training.evaluate import BATCH, evaluate
from ablations.subjects.alexnet.training.examples import split_examples
from ablations.subjects.alexnet.training.optimizers import Rate
from ablations.subjects.alexnet.training.step import WARM_UP as BEFORE_CAPTURE
from ablations.subjects.alexnet.training.step import Step, cuda_graph
from ablations.subjects.alexnet.training.train import WATCHED, start

WARM_UP, TIMED = 1, 2  # steps that are not timed, and steps that are
# Multiply-accumulates of a timed forward pass on a CPU.  There a step's time grows with the batch, so part of a batch
# is enough: 36 images of `cifar` take a quarter of the time of 128, and every variant is timed before a study starts.
ENOUGH = 2e9
FEWEST = 16  # least number of images in a timed batch


class Pace(NamedTuple):
    """How fast a variant trains and is evaluated."""

    step: float  # seconds of one training step on a whole batch
    image: float  # seconds of evaluating one image in one view
    images: int  # how many images a trial is evaluated on


def seconds(budget: Budget, pace: Pace, *, views: int) -> Seconds:
    """Returns the expected seconds of a whole trial that nothing ends early and that is evaluated on `views` views.

    The training's part includes the evaluations after epochs, on one view, and the looks at the training error.  At the
    end a trial is evaluated on all its views, unless that is the one of the last epoch, and on as many training images.
    """
    looks = 0 if budget.threshold_percent is None else budget.steps // budget.threshold_every
    along = budget.evaluations * pace.images + looks * min(budget.threshold_examples, budget.train_examples)
    last = (views > 1) * pace.images + min(pace.images, budget.train_examples)
    return Seconds(training=budget.steps * pace.step + along * pace.image, evaluation=views * last * pace.image)


def paces_of(trials: Sequence[Trial], data: Data, *, threads: int, device: torch.device) -> dict[Variant, Pace]:
    """Returns the pace of each variant, which does not depend on epochs or seeds.

    Only the reference and each single departure are timed.  A variant of several departures is estimated by the product
    of their ratios to the reference, since a factorial may have thousands of variants.
    """
    torch.set_num_threads(threads)
    reference = next(trial for trial in trials if not trial.variant.departures)
    before, budget = spec_of(reference.config), budget_of(reference.config)
    paces: dict[object, Pace] = {}  # by the parts of a Spec that cost time; data treatment and recipe hardly do

    def timed(variant: Variant) -> Pace:
        spec = _with_plain_weights(derive(before, variant))
        network = (spec.blocks, spec.hidden, spec.dropout_place, spec.adaptive_pool)
        if network not in paces:
            paces[network] = _time(spec, budget, data, device)
        return paces[network]

    def pace(variant: Variant) -> Pace:
        # Single departures are timed even if the grid has no such variant, as in a fractional factorial.
        singles = [timed(Variant(departures=(departure,))) for departure in variant.departures]
        step, image = (math.prod([one[part] / alone[part] for one in singles], start=alone[part]) for part in (0, 1))
        return Pace(step=step, image=image, images=alone.images)

    alone = timed(reference.variant)
    return {variant: pace(variant) for variant in dict.fromkeys(trial.variant for trial in trials)}


def _with_plain_weights(spec: Spec) -> Spec:
    """Returns `spec` with plain initial weights, which do not change the time of a step: "lsuv" takes long to draw."""
    blocks = tuple(replace(block, weight_std=0.01, bias=0.0) for block in spec.blocks)
    hidden = tuple(replace(layer, weight_std=0.01, bias=0.0) for layer in spec.hidden)
    return replace(spec, blocks=blocks, hidden=hidden, weight_init="kaiming")


def _time(spec: Spec, budget: Budget, data: Data, device: torch.device) -> Pace:
    """Times a few training steps and one batch of evaluation."""
    size = _timed_batch(spec, budget, data, device)
    warm_up = WARM_UP if device.type == "cpu" else BEFORE_CAPTURE + WARM_UP  # the first replay comes after the capture
    few = min(budget.train_examples, (warm_up + TIMED) * size)
    training, evaluation = split_examples(
        spec, seed=0, budget=replace(budget, train_examples=few), data=data, device=device
    )
    network = start(spec, seed=0, budget=budget, data=data, device=device)
    timed = replace(budget, train_examples=few, batch_size=size, epochs=1)
    timed_step = Step(network, spec, training, timed, capture=None if device.type == "cpu" else cuda_graph)
    timed_step.begin(training, 0, 1, Rate(spec))
    seconds, clock = [], _clock(data, device)
    with _stream(device):
        for _ in range(timed.steps_per_epoch):
            began = clock()
            timed_step()
            timed_step.means()  # waits for the device
            seconds.append(clock() - began)
    # The fastest step counts, because other work on the machine can only make a step slower.
    step = min(seconds[warm_up:] or seconds) * min(budget.batch_size, budget.train_examples) / min(size, few)
    evaluated = min(BATCH, evaluation.count, size)
    began = clock()
    evaluate(network, replace(evaluation, spec=replace(spec, views=WATCHED)), limit=evaluated)
    image = (clock() - began) / evaluated
    return Pace(step=step, image=image, images=evaluation.count)


def _clock(data: Data, device: torch.device) -> Callable[[], float]:
    """Returns the clock to time steps by: processor time for a single thread on a CPU, otherwise wall-clock time.

    Processor time is not affected by other work, such as the start of Ray, which goes on meanwhile.  But it does not
    include waiting for the disk, so it is not used for images that memory cannot hold.
    """
    alone = device.type == "cpu" and torch.get_num_threads() == 1 and image_bytes(data) <= HELD * memory_here()
    return time.thread_time if alone else time.perf_counter


def _stream(device: torch.device) -> AbstractContextManager[object]:
    """Returns a context with a CUDA stream of its own on a GPU, because nothing can be captured on the default one."""
    if device.type == "cpu":
        return nullcontext()
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    return torch.cuda.stream(stream)


def _timed_batch(spec: Spec, budget: Budget, data: Data, device: torch.device) -> int:
    """Returns the number of images in a timed batch: a whole batch on a GPU, fewer on a CPU."""
    if device.type != "cpu":
        return budget.batch_size
    layers = layout(spec, num_classes=data.num_classes, image_size=budget.image_size, channels=data.channels)
    return min(budget.batch_size, max(FEWEST, round(ENOUGH / macs(layers))))
