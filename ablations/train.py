"""train(spec, ...) -> the trained network and its curve.  Needs torch and numpy, nothing else."""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from ablations.checkpoint import Checkpoint, Kept
from ablations.data.load import Data
from ablations.evaluate import Evaluation, Row, evaluate
from ablations.examples import Examples, split_examples
from ablations.optimizers import Rate
from ablations.step import Step, cuda_graph
from ablations.streams import CPU, streams
from ablations.threshold import Look, Stopwatch
from ablations.types import Budget
from models.init import initialise
from models.network import Network, build
from models.spec import Spec

INITIAL_BATCH = 128  # training images that "lsuv" looks at; its authors found 16 to 1024 to do alike
CHECK_EVERY = 50  # steps between looks for a diverged loss, each of which waits for the device
WATCHED = "centre"  # the views of the evaluation after each epoch, whatever the spec's: ten cost ten times as much

T = TypeVar("T")
Turns = Generator[None, None, T]  # yields after each step, and returns a T


class DivergedError(Exception):
    """The training loss is no longer finite."""

    def __init__(self, epoch: int, curve: tuple[Row, ...]) -> None:
        super().__init__(f"the training loss was not finite in epoch {epoch}")
        self.curve = curve


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained network, one row of numbers an epoch, and what is needed to evaluate it.

    The rows' evaluation, which not every epoch has, is by the centre crop, and `last` is that after the last epoch.
    `looks` are the errors between epochs that a budget with a threshold asks for.
    """

    network: Network
    curve: tuple[Row, ...]
    training: Examples
    evaluation: Examples
    last: Evaluation
    looks: tuple[Look, ...]
    step: str  # how most steps ran: `eager`, `captured`


def start(spec: Spec, *, seed: int, budget: Budget, data: Data, device: torch.device) -> Network:
    """The untrained network of `spec` under `seed`, on `device`, in channels_last layout."""
    network = build(spec, num_classes=data.num_classes, image_size=budget.image_size, channels=data.channels)

    def images() -> Tensor:
        training, _ = split_examples(spec, seed=seed, budget=budget, data=data, device=CPU)
        order = torch.randperm(training.count, generator=streams(seed, salt=spec.stream_salt)("init/images"))
        return training.plain(order[:INITIAL_BATCH])

    initialise(network, spec, streams(seed, salt=spec.stream_salt), device, images)
    return network.to(memory_format=torch.channels_last)  # pools are several times faster


def train(
    spec: Spec,
    *,
    seed: int,
    budget: Budget,
    data: Data,
    device: torch.device = CPU,
    report: Callable[[Row], None] = lambda row: None,
) -> Trained:
    """The network of `spec` trained from `seed` for `budget`; `report` gets each epoch's row as it ends.

    The draws depend on the seed and their role alone, so two specs under one seed see the same
    images in the same order and start from the same weights where their shapes agree.
    Raises DivergedError when the loss stops being finite, and ValueError on a recipe that the budget does not allow.
    """
    turns = training(spec, seed=seed, budget=budget, data=data, device=device, report=report)
    while True:
        try:
            next(turns)
        except StopIteration as ended:
            trained: Trained = ended.value
            return trained


def training(
    spec: Spec,
    *,
    seed: int,
    budget: Budget,
    data: Data,
    device: torch.device = CPU,
    report: Callable[[Row], None] = lambda row: None,
    checkpoint: Checkpoint | None = None,
) -> Turns[Trained]:
    """`train`, a step at a time: several may take turns in one process, and none moves another's draws.

    On a GPU each works on a stream of its own, so that the device takes up the next one's steps before this one's end.
    With a `checkpoint` it begins after the last epoch that is kept there, and `report` gets the rows from then on.
    """
    turns = _training(spec, seed, budget, data, device, report, checkpoint)
    stream = torch.cuda.Stream(device) if device.type == "cuda" else None
    while True:
        with torch.cuda.stream(stream) if stream else contextlib.nullcontext():
            try:
                next(turns)
            except StopIteration as ended:
                if stream:
                    stream.synchronize()
                trained: Trained = ended.value
                return trained
        yield


def _training(
    spec: Spec,
    seed: int,
    budget: Budget,
    data: Data,
    device: torch.device,
    report: Callable[[Row], None],
    checkpoint: Checkpoint | None,
) -> Turns[Trained]:
    budget.check(spec)
    examples, evaluation = split_examples(spec, seed=seed, budget=budget, data=data, device=device)
    network = start(spec, seed=seed, budget=budget, data=data, device=device)
    step = Step(network, spec, examples, budget, capture=cuda_graph if device.type == "cuda" else None)
    rate = Rate(spec)
    by_centre = replace(spec, views=WATCHED)
    watched = replace(evaluation, spec=by_centre)
    looked_at = replace(examples.part(budget.threshold_examples), spec=by_centre)
    watch = Stopwatch(budget, lambda: evaluate(network, looked_at).row["top1_error_percent"])
    curve: list[Row] = []
    last: Evaluation | None = None
    if checkpoint:
        curve = _go_on(checkpoint, step, rate, watch)
    while not watch.over:
        began, epoch = time.perf_counter(), len(curve) + 1
        noisy = (epoch - 1) / budget.epochs < spec.pca_until
        step.begin(examples if noisy else _without_noise(examples), seed, epoch, rate)
        begun = time.perf_counter() - began
        passed = yield from _train_epoch(step, watch)
        if not math.isfinite(passed.loss):
            raise DivergedError(epoch, tuple(curve))
        seconds = begun + passed.seconds
        evaluated: Row = {}
        if watch.over or budget.evaluates(epoch) or spec.schedule == "plateau":
            last = evaluate(network, watched)
            evaluated = last.row
            rate.observe(evaluated["top1_error_percent"])
        curve.append(
            {
                "epoch": epoch,
                "train_loss": passed.loss,
                "train_top1_error_percent": passed.error_percent,
                **{f"{budget.evaluate_on}_{name}": value for name, value in evaluated.items()},
                "learning_rate": step.last_rate,
                "images_per_second": passed.images / seconds,
                "seconds_per_epoch": seconds * examples.count / passed.images,
                **(watch.metrics() if watch.over else {}),
            }
        )
        report(curve[-1])
        if checkpoint:
            checkpoint.write(epoch, functools.partial(_kept, step, rate, watch, curve))
    return Trained(
        network=network,
        curve=tuple(curve),
        training=examples,
        evaluation=evaluation,
        last=last or evaluate(network, watched),  # where this process trained no epoch
        looks=tuple(watch.looks),
        step=step.how,
    )


def _kept(step: Step, rate: Rate, watch: Stopwatch, curve: Sequence[Row]) -> Kept:
    """What a training needs to go on after an epoch."""
    values = {"curve": curve, "rate": rate.state(), "watch": watch.state(), "step": step.how}
    return Kept(tensors=step.state(), values=values)


def _go_on(checkpoint: Checkpoint, step: Step, rate: Rate, watch: Stopwatch) -> list[Row]:
    """Puts what is kept where it came from; the rows so far."""
    kept = checkpoint.read()
    if not kept:
        return []
    step.restore(kept.tensors)
    step.how = kept.values["step"]
    rate.restore(kept.values["rate"])
    watch.restore(kept.values["watch"])
    return list(kept.values["curve"])


def _without_noise(training: Examples) -> Examples:
    return replace(training, spec=replace(training.spec, pca_jitter=0.0))


def evaluate_as(spec: Spec, trained: Trained, evaluate_on: str) -> tuple[Row, Evaluation]:
    """The metrics of a trained network under `spec`, another one than it was trained by in what evaluation reads.

    Those of the last epoch, with its evaluation by the spec's own views; the error on as many training
    images, without augmentation or dropout and by the same views; and the gap between the two errors.
    """
    training, evaluation = (replace(part, spec=spec) for part in (trained.training, trained.evaluation))
    found = trained.last if spec.views == WATCHED else evaluate(trained.network, evaluation)
    clean = evaluate(trained.network, training.part(evaluation.count)).row["top1_error_percent"]
    row = {
        **trained.curve[-1],
        **{f"{evaluate_on}_{name}": value for name, value in found.row.items()},
        "clean_train_top1_error_percent": clean,
        "gap_percent": found.row["top1_error_percent"] - clean,
        "evaluated_examples": evaluation.count,
    }
    return {name: value for name, value in row.items() if name != "epoch"}, found


class _Pass(NamedTuple):
    """Means over an epoch, as training saw it, or over the part of it after which training was over."""

    loss: float  # nan at the first sign of divergence
    error_percent: float
    images: int
    seconds: float  # of this training's own turns; on a GPU, from its first step to its last


def _train_epoch(step: Step, watch: Stopwatch) -> Turns[_Pass]:
    images, seconds, wall = 0, 0.0, time.perf_counter()
    for number in range(watch.budget.steps_per_epoch):
        began = time.perf_counter()
        images += step()
        if number % CHECK_EVERY == 0 and step.diverged():
            return _Pass(math.nan, math.nan, images, math.nan)
        watch.step()
        seconds += time.perf_counter() - began
        if watch.over:
            break
        yield
    began = time.perf_counter()
    loss, wrong = step.means(images)
    seconds += time.perf_counter() - began
    if step.total.is_cuda:  # its work is done in the turns of others too
        seconds = time.perf_counter() - wall
    return _Pass(loss, 100 * wrong, images, seconds)
