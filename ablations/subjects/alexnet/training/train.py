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

INITIAL_BATCH = 128  # training images that "lsuv" looks at; its authors found 16 to 1024 to do alike
CHECK_EVERY = 50  # steps between looks for a diverged loss, each of which waits for the device
ABSURD_LOSS = 1e4  # nats an evaluation image: guessing among a thousand classes loses 7, and no network that works 100
WATCHED = "centre"  # the views of the evaluation after each epoch, whatever the spec's: ten cost ten times as much

T = TypeVar("T")
Turns = Generator[None, None, T]  # yields after each step, and returns a T


class DivergedError(Exception):
    """A loss or a weight is no longer finite, or a loss is absurd."""

    def __init__(self, epoch: int, curve: tuple[Row, ...], what: str = "the training loss was not finite") -> None:
        super().__init__(f"{what} in epoch {epoch}")
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
    """`train`, a step at a time: several may take turns in one process, and none moves another's draws.

    On a GPU each works on a stream of its own, so that the device takes up the next one's steps before this one's end.
    With a `checkpoint` it begins after the last step that is kept there, and `report` gets the rows from then on.
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
    seconds = 0.0  # that the epoch under way has taken in the process before
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
        if kept:
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
    """What an epoch came to, of which evaluation and the stopwatch tell only now and then."""
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
    """What of a network, or of what it makes of the evaluation images, is no number to go on with; empty for nothing.

    The training loss may be finite to the last: it is of the weights before the step that ruined them.
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
    """Keeps a training as it is after a step, if it is time for that; its epoch has taken so many seconds."""
    if checkpoint and checkpoint.due():
        so_far = {"curve": curve, "seconds": seconds, "step": step.how, "rate": rate.state(), "watch": watch.state()}
        checkpoint.write(watch.steps, Kept(tensors=step.state(), values=so_far))


def _without_noise(training: Examples) -> Examples:
    return replace(training, spec=replace(training.spec, pca_jitter=0.0))


def evaluate_as(spec: Spec, trained: Trained, evaluate_on: str) -> tuple[Row, Evaluation]:
    """The metrics of a trained network under `spec`, another one than it was trained by in what evaluation reads.

    Those of the last epoch, with its evaluation by the spec's own views; the error on as many training
    images, without augmentation or dropout and by the same views; and the gap between the two errors.
    Raises DivergedError where the evaluation's loss is not finite.
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
    """Means over an epoch, as training saw it, or over the part of it after which training was over."""

    loss: float  # not finite where it diverged
    error_percent: float
    seconds: float  # of this training's own turns; on a GPU, from its first step to its last


def _train_epoch(step: Step, watch: Stopwatch, began: float, keep: Callable[[float], None]) -> Turns[_Pass]:
    """What is left of an epoch, which `began` at that time; `keep` is told after each step how long ago that was."""
    while step.taken < watch.budget.steps_per_epoch and not watch.over:
        step()
        if step.taken % CHECK_EVERY == 1 and step.diverged():
            break
        watch.step()
        left = time.perf_counter()
        keep(left - began)
        yield
        if not step.total.is_cuda:  # there its work is done in the turns of others too
            began += time.perf_counter() - left
    loss, wrong = step.means()
    return _Pass(loss, 100 * wrong, time.perf_counter() - began)
