"""train(spec, ...) -> the trained network and its curve.  Needs torch and numpy, nothing else.

Shapes: N examples, B batch, C channels, S side of a stored image.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ablations.data.augment import Draws, crop, draw, to_input
from ablations.data.distort import add_noise, distorted
from ablations.data.load import Data, held_out, stratified
from ablations.evaluate import Evaluation, Row, evaluate
from ablations.optimizers import Rate, optimizer_of, set_learning_rates
from ablations.streams import CPU, streams
from ablations.threshold import Look, Stopwatch
from ablations.types import Budget
from models.init import initialise
from models.network import Network, build
from models.spec import Spec

INITIAL_BATCH = 128  # training images that "lsuv" looks at; its authors found 16 to 1024 to do alike
CHECK_EVERY = 50  # steps between looks for a diverged loss, each of which waits for the device
WATCHED = "centre"  # the views of the evaluation after each epoch, whatever the spec's: ten cost ten times as much


class DivergedError(Exception):
    """The training loss is no longer finite."""

    def __init__(self, epoch: int, curve: tuple[Row, ...]) -> None:
        super().__init__(f"the training loss was not finite in epoch {epoch}")
        self.curve = curve


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained network, one row of numbers an epoch, and what is needed to evaluate it.

    The rows' evaluation is by the centre crop, and `last` is that after the last epoch.  `looks` are the
    errors between epochs that a budget with a threshold asks for.
    """

    network: Network
    curve: tuple[Row, ...]
    training: Examples
    evaluation: Examples
    last: Evaluation
    looks: tuple[Look, ...]


@dataclass(frozen=True, kw_only=True)
class Examples:
    """N examples on a device and how they are seen.

    `rows` (N,) says where in `images`, all of a split, (any, S, S, C) uint8, each lies: a subset is
    no copy, so that every process on a machine reads the same pages.  `labels` (N,) are on the
    device of the network; images that are not are cut where they are, and their crops copied.
    """

    data: Data
    spec: Spec
    size: int  # pixels a side that the network sees
    images: Tensor
    rows: Tensor
    labels: Tensor

    @property
    def count(self) -> int:
        """How many examples there are."""
        return len(self.labels)

    def part(self, count: int) -> Examples:
        """At most `count` of them, each class in proportion; a folder's images lie class by class."""
        chosen = stratified(self.labels.cpu(), min(count, self.count))
        return replace(
            self, rows=self.rows[chosen.to(self.rows.device)], labels=self.labels[chosen.to(self.labels.device)]
        )

    @property
    def room(self) -> int:
        """Pixels by which a stored image and its border are larger than what the network sees."""
        return self.data.size + 2 * self.spec.crop_pad - self.size

    def draws(self, seed: int, epoch: int) -> Draws:
        """Every example's draws of one epoch, whichever of them the spec uses."""
        stream = streams(seed, salt=self.spec.stream_salt)
        return draw(self.count, slack=self.room, channels=self.data.channels, stream=stream, epoch=epoch)

    def augmented(self, index: Tensor, draws: Draws) -> Tensor:
        """Inputs (B, C, size, size) of the examples `index` (B,) as training sees them."""
        middle = torch.full_like(index, self.room // 2)
        top, left = (draws.top[index], draws.left[index]) if self.spec.random_crop else (middle, middle)
        flip = draws.flip[index] if self.spec.flip else torch.zeros_like(draws.flip[index])
        return self._inputs(index, top, left, flip, draws)

    def plain(self, index: Tensor) -> Tensor:
        """Inputs (B, C, size, size) of the examples `index` (B,): the centre crop, without augmentation."""
        return self.viewed(index, self.room // 2, self.room // 2, False)

    def viewed(self, index: Tensor, top: int, left: int, mirrored: bool) -> Tensor:
        """Inputs (B, C, size, size) of the examples `index` (B,), all cropped at one place, without augmentation."""
        down, right = torch.full_like(index, top), torch.full_like(index, left)
        return self._inputs(index, down, right, torch.full_like(index, mirrored, dtype=torch.bool), None)

    def _inputs(self, index: Tensor, top: Tensor, left: Tensor, flip: Tensor, draws: Draws | None) -> Tensor:
        here, device, spec = self.images.device, self.labels.device, self.spec
        rows, *where = (position.to(here) for position in (index, top, left, flip))
        pixels = crop(self.images, self.rows[rows], *where, size=self.size, pad=spec.crop_pad)
        if here != device:
            pinned = pixels.pin_memory() if device.type == "cuda" else pixels
            pixels = pinned.to(device, non_blocking=True)
        if draws is None:
            return to_input(pixels, self.data, spec, None)
        pixels = distorted(pixels, spec, draws.distortions, index)
        inputs = to_input(pixels, self.data, spec, draws.alphas[index])
        noise = spec.pixel_noise * (1.0 if spec.unit_scale else self.data.std)
        return add_noise(inputs, noise, draws.distortions, index)


def split_examples(
    spec: Spec, *, seed: int, budget: Budget, data: Data, device: torch.device
) -> tuple[Examples, Examples]:
    """What is trained on and what is evaluated on, for a network on `device`; images stay where they are.

    With `evaluate_on` "validation", a tenth of the training images, chosen by their content, is
    evaluated on and left out of training.  Raises ValueError when fewer images are there than asked.
    """
    everything = torch.arange(len(data.train.labels))
    training, evaluation, evaluated = everything, torch.arange(len(data.test.labels)), data.test
    if budget.evaluate_on == "validation":
        held = held_out(data.train)
        training, evaluation, evaluated = everything[~held], everything[held], data.train
    training = training[stratified(data.train.labels[training], budget.train_examples)]
    labels = shuffle_labels(data.train.labels[training], spec, seed)
    parts = (
        (data.train.images, training, labels),
        (evaluated.images, evaluation, evaluated.labels[evaluation]),
    )
    first, second = (
        Examples(
            data=data,
            spec=spec,
            size=budget.image_size,
            images=images,
            rows=rows.to(images.device),
            labels=targets.to(device),
        )
        for images, rows, targets in parts
    )
    return first, second


def shuffle_labels(labels: Tensor, spec: Spec, seed: int) -> Tensor:
    """`labels` (N,) with a share of them, `spec.shuffled_labels`, permuted among themselves."""
    generator = streams(seed, salt=spec.stream_salt)("labels")
    order = torch.randperm(len(labels), generator=generator)
    chosen = order[: round(len(labels) * spec.shuffled_labels)]
    shuffled = labels.clone()
    shuffled[chosen] = labels[chosen[torch.randperm(len(chosen), generator=generator)]]
    return shuffled


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
    budget.check(spec)
    training, evaluation = split_examples(spec, seed=seed, budget=budget, data=data, device=device)
    network = start(spec, seed=seed, budget=budget, data=data, device=device)
    optimizer, rate = optimizer_of(network, spec), Rate(spec)
    by_centre = replace(spec, views=WATCHED)
    watched = replace(evaluation, spec=by_centre)
    looked_at = replace(training.part(budget.threshold_examples), spec=by_centre)
    watch = Stopwatch(budget, lambda: evaluate(network, looked_at).row["top1_error_percent"])
    curve: list[Row] = []
    for epoch in count(1):
        began = time.perf_counter()
        seen = training if (epoch - 1) / budget.epochs < spec.pca_until else _without_noise(training)
        passed = _train_epoch(network, optimizer, rate, seen, seed, epoch, watch)
        if not math.isfinite(passed.loss):
            raise DivergedError(epoch, tuple(curve))
        seconds = time.perf_counter() - began
        evaluated: Row = {}
        if passed.over or not budget.stop_at_threshold or spec.schedule == "plateau":
            last = evaluate(network, watched)
            evaluated = last.row
            rate.observe(evaluated["top1_error_percent"])
        curve.append(
            {
                "epoch": epoch,
                "train_loss": passed.loss,
                "train_top1_error_percent": passed.error_percent,
                **{f"{budget.evaluate_on}_{name}": value for name, value in evaluated.items()},
                "learning_rate": passed.last_rate,
                "images_per_second": passed.images / seconds,
                "seconds_per_epoch": seconds * training.count / passed.images,
            }
        )
        if passed.over:
            break
        report(curve[-1])
    curve[-1].update(watch.metrics())
    report(curve[-1])
    return Trained(
        network=network,
        curve=tuple(curve),
        training=training,
        evaluation=evaluation,
        last=last,
        looks=tuple(watch.looks),
    )


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
    last_rate: float
    images: int
    over: bool


def _train_epoch(
    network: Network,
    optimizer: torch.optim.Optimizer,
    rate: Rate,
    training: Examples,
    seed: int,
    epoch: int,
    watch: Stopwatch,
) -> _Pass:
    budget = watch.budget
    total, images = torch.zeros(2, device=training.labels.device), 0
    for step, (inputs, labels) in enumerate(batches(training, seed, epoch, budget.batch_size)):
        network.train()  # a look at the error leaves it evaluating
        done = (epoch - 1 + step / budget.steps_per_epoch) / budget.epochs
        set_learning_rates(optimizer, rate.at(done), done=done)
        logits = network(inputs)
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        wrong = (logits.detach().argmax(1) != labels).sum()
        total += torch.stack([loss.detach() * len(labels), wrong])
        images += len(labels)
        if step % CHECK_EVERY == 0 and not math.isfinite(float(total[0])):
            return _Pass(math.nan, math.nan, math.nan, images, over=True)
        if over := watch.step():
            break
    mean_loss, error = (total / images).tolist()
    return _Pass(mean_loss, 100 * error, rate.at(done), images, over)


def batches(training: Examples, seed: int, epoch: int, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs (B, C, size, size) and labels (B,) of one epoch, in the order of (seed, epoch)."""
    stream = streams(seed, salt=training.spec.stream_salt)
    order = torch.randperm(training.count, generator=stream(f"order/{epoch}"))
    draws = training.draws(seed, epoch)
    for index in order.split(batch_size):
        yield training.augmented(index, draws), training.labels[index.to(training.labels.device)]
