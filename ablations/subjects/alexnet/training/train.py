"""Trains a network from a Spec, a seed and a budget, and evaluates it.  Needs torch and numpy, nothing else."""

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

from ablations.models.init import initialise
from ablations.models.network import Network, build
from ablations.models.spec import Spec
from ablations.records.checkpoint import Checkpoint, Kept
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.evaluate import Evaluation, Row, evaluate
from ablations.subjects.alexnet.training.examples import Examples, split_examples
from ablations.subjects.alexnet.training.optimizers import Rate
from ablations.subjects.alexnet.training.step import Step, cuda_graph
from ablations.subjects.alexnet.training.stopwatch import Look, Stopwatch
from ablations.subjects.alexnet.training.streams import CPU, streams

INITIAL_BATCH = 128  # training images that "lsuv" scales weights by; its authors found 16 to 1024 to work equally well
CHECK_EVERY = 50  # steps between two checks whether the loss is still finite; a check reads a number from the device
# Mean loss in nats per evaluation image above which a training counts as diverged.  Guessing among a thousand classes
# gives 7, and a network that works at all stays far below 100.
ABSURD_LOSS = 1e4
WATCHED = "centre"  # views of the evaluation after each epoch, whatever the spec asks for: ten cost ten times as much

T = TypeVar("T")
Turns = Generator[None, None, T]  # yields after each step, so that several trainings can take turns, and returns a T


class DivergedError(Exception):
    """A loss or a weight is no longer finite, or the evaluation's loss is absurdly high.

    `curve` holds the rows of the epochs before.
    """

    def __init__(self, epoch: int, curve: tuple[Row, ...], what: str = "the training loss was not finite") -> None:
        super().__init__(f"{what} in epoch {epoch}")
        self.curve = curve


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained network, one row of numbers per epoch, and what is needed to evaluate it."""

    network: Network
    curve: tuple[Row, ...]  # a row per epoch; those with an evaluation were evaluated on the centre crop
    training: Examples
    evaluation: Examples
    last: Evaluation  # after the last epoch, on the centre crop
    looks: tuple[Look, ...]  # (step, training error) at intervals, if the budget has a threshold
    step: str  # how most steps ran: `eager` or `captured`, with a reason or a remark


def start(spec: Spec, *, seed: int, budget: Budget, data: Data, device: torch.device) -> Network:
    """Returns the untrained network of `spec` under `seed`, on `device`, in channels_last layout."""
    network = build(spec, num_classes=data.num_classes, image_size=budget.image_size, channels=data.channels)

    def images() -> Tensor:
        training, _ = split_examples(spec, seed=seed, budget=budget, data=data, device=CPU)
        order = torch.randperm(training.count, generator=streams(seed, salt=spec.stream_salt)("init/images"))
        return training.plain(order[:INITIAL_BATCH])

    initialise(network, spec, streams(seed, salt=spec.stream_salt), device, images)
    return network.to(memory_format=torch.channels_last)  # pooling is several times faster so


def train(
    spec: Spec,
    *,
    seed: int,
    budget: Budget,
    data: Data,
    device: torch.device = CPU,
    report: Callable[[Row], None] = lambda row: None,
) -> Trained:
    """Trains the network of `spec` from `seed` for `budget`; `report` is called with the row of each epoch as it ends.

    All draws depend on the seed and their role only, so two specs under one seed see the same
    images in the same order and start from the same weights where their shapes agree.
    Raises DivergedError when a loss, or a weight at an evaluation, is no longer finite, and ValueError on a recipe
    that the budget does not allow.
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
    """Does the same as `train`, one step at a time, so that several trainings can take turns in one process.

    No training changes the draws of another.  On a GPU each uses a CUDA stream of its own, so that the device can start
    a step of the next training before the step of this one has ended.
    With a `checkpoint`, the training continues after the last step that is kept there, and `report` is called with the
    rows from then on.
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
    seconds = 0.0  # that the current epoch has taken in an earlier process
    kept = checkpoint.read() if checkpoint else None
    if kept:
        curve, seconds, step.how = (kept.values[name] for name in ("curve", "seconds", "step"))
        rate.restore(kept.values["rate"])
        watch.restore(kept.values["watch"])
    keep = functools.partial(_keep, checkpoint, step, rate, watch, curve)
    while True:
        began, epoch = time.perf_counter() - seconds, len(curve) + 1
        noisy = (epoch - 1) / budget.epochs < spec.pca_until
        step.begin(examples if noisy else _without_noise(examples), seed, epoch, rate)
        if kept:  # only in the epoch that an earlier process left unfinished
            step.restore(kept.tensors)
            kept, seconds = None, 0.0
        passed = yield from _train_epoch(step, watch, began, keep)
        if not math.isfinite(passed.loss):
            raise DivergedError(epoch, tuple(curve))
        evaluated: Row = {}
        if watch.over or budget.evaluates(epoch) or spec.schedule == "plateau":
            last = evaluate(network, watched)
            evaluated = last.row
            if what := _gone(network, last):
                raise DivergedError(epoch, tuple(curve), what)
            rate.observe(evaluated["top1_error_percent"])
        curve.append(_row(epoch, passed, evaluated, budget, step, examples.count, watch))
        report(curve[-1])
        if watch.over:
            return Trained(
                network=network,
                curve=tuple(curve),
                training=examples,
                evaluation=evaluation,
                last=last,
                looks=tuple(watch.looks),
                step=step.how,
            )


def _row(epoch: int, passed: _Pass, evaluated: Row, budget: Budget, step: Step, images: int, watch: Stopwatch) -> Row:
    """Returns the row of an epoch, with the numbers of an evaluation and of the stopwatch where there are any."""
    return {
        "epoch": epoch,
        "train_loss": passed.loss,
        "train_top1_error_percent": passed.error_percent,
        **{f"{budget.evaluate_on}_{name}": value for name, value in evaluated.items()},
        "learning_rate": step.last_rate,
        "images_per_second": step.images / passed.seconds,
        "seconds_per_epoch": passed.seconds * images / step.images,
        **(watch.metrics() if watch.over else {}),
    }


def _gone(network: Network, found: Evaluation) -> str:
    """Returns why a network has diverged, judged by its weights and its evaluation; empty if it has not.

    The training loss alone is not enough.  It may be finite to the end, since it belongs to the weights before the step
    that ruined them.
    """
    if not torch.stack([weight.isfinite().all() for weight in network.parameters()]).all():
        return "a weight was not finite at the evaluation"
    loss = found.row["loss"]
    if not math.isfinite(loss):
        return "the evaluation's loss was not finite"
    return f"the evaluation's loss was absurd ({loss:.3g})" if loss > ABSURD_LOSS else ""


def _keep(
    checkpoint: Checkpoint | None, step: Step, rate: Rate, watch: Stopwatch, curve: Sequence[Row], seconds: float
) -> None:
    """Writes a checkpoint after a step, if one is due; the current epoch has taken `seconds` so far."""
    if checkpoint and checkpoint.due():
        so_far = {"curve": curve, "seconds": seconds, "step": step.how, "rate": rate.state(), "watch": watch.state()}
        checkpoint.write(watch.steps, Kept(tensors=step.state(), values=so_far))


def _without_noise(training: Examples) -> Examples:
    return replace(training, spec=replace(training.spec, pca_jitter=0.0))


def evaluate_as(spec: Spec, trained: Trained, evaluate_on: str) -> tuple[Row, Evaluation]:
    """Evaluates a trained network under `spec` and returns its metrics and the evaluation.

    `spec` may differ from that of the training in fields that only evaluation reads, such as the views.  The metrics
    are those of the last epoch, but with an evaluation on the spec's own views; the error on as many training images
    with the same views, without augmentation or dropout; and the gap between the two errors.
    Raises DivergedError when the evaluation's loss is not finite.
    """
    training, evaluation = (replace(part, spec=spec) for part in (trained.training, trained.evaluation))
    found = trained.last if spec.views == WATCHED else evaluate(trained.network, evaluation)
    if what := _gone(trained.network, found):
        raise DivergedError(len(trained.curve), trained.curve, what)
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
    """Means over the training batches of an epoch, or of the part of it that was trained before the training ended."""

    loss: float  # not finite if the training diverged
    error_percent: float
    seconds: float  # on a CPU, only this training's own turns; on a GPU, from its first step to its last


def _train_epoch(step: Step, watch: Stopwatch, began: float, keep: Callable[[float], None]) -> Turns[_Pass]:
    """Trains for the rest of an epoch that `began` at that time.

    `keep` is called after each step with the seconds that the epoch has taken.
    """
    while step.taken < watch.budget.steps_per_epoch and not watch.over:
        step()
        if step.taken % CHECK_EVERY == 1 and step.diverged():
            break
        watch.step()
        left = time.perf_counter()
        keep(left - began)
        yield
        # Do not count the time of other trainings' turns.  On a GPU it does count: this training's own steps run during
        # the turns of others too.
        if not step.total.is_cuda:
            began += time.perf_counter() - left
    loss, wrong = step.means()
    return _Pass(loss, 100 * wrong, time.perf_counter() - began)
