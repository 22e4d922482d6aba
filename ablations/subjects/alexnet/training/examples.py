"""The examples that a training learns from and is evaluated on: their split, order and augmentation.

Shapes: N examples, B batch, C channels, S side of a stored image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ablations.models.spec import Spec
from ablations.subjects.alexnet.data.augment import Draws, crop, draw, to_input
from ablations.subjects.alexnet.data.distort import add_noise, distorted
from ablations.subjects.alexnet.data.load import Data, held_out, stratified
from ablations.subjects.alexnet.data.read_ahead import ReadAhead, shuffled
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.streams import stream, streams


@dataclass(frozen=True, kw_only=True)
class Examples:
    """N examples, and how the network sees them.

    A subset holds the rows of its images and no copy of them, so that all processes on a machine share the same
    pages of memory.
    """

    data: Data
    spec: Spec  # crops, augmentation and views
    size: int  # pixels a side that the network sees
    images: Tensor  # (any, S, S, C) uint8: all images of a split; may be on another device than the network
    rows: Tensor  # (N,) int64: where in `images` each example lies; on the device of `images`
    labels: Tensor  # (N,) int64, on the device of the network
    read_window: int = 0  # as `Budget.read_window`

    @property
    def count(self) -> int:
        """How many examples there are."""
        return len(self.labels)

    def part(self, count: int) -> Examples:
        """Returns at most `count` of the examples, each class in proportion.

        Taking the first ones instead would give only a few classes, since a folder's images lie class by class.
        """
        chosen = stratified(self.labels.cpu(), min(count, self.count))
        return replace(
            self, rows=self.rows[chosen.to(self.rows.device)], labels=self.labels[chosen.to(self.labels.device)]
        )

    @property
    def on_device(self) -> bool:
        """Whether inputs are made on the network's device without the host, so that a CUDA graph can make them.

        Pixel noise is drawn on the host, so that it is the same on every device.
        """
        return self.images.device == self.labels.device and not self.spec.pixel_noise

    @property
    def room(self) -> int:
        """Pixels by which a stored image and its border are larger than what the network sees."""
        return self.data.size + 2 * self.spec.crop_pad - self.size

    def draws(self, seed: int, epoch: int) -> Draws:
        """Returns every example's random choices in one epoch, also those that the spec does not use."""
        stream = streams(seed, salt=self.spec.stream_salt)
        return draw(self.count, slack=self.room, channels=self.data.channels, stream=stream, epoch=epoch)

    def augmented(self, index: Tensor, draws: Draws) -> Tensor:
        """Returns the inputs (B, C, size, size) of the examples `index` (B,) as training sees them, augmented."""
        middle = torch.full_like(index, self.room // 2)
        top, left = (draws.top[index], draws.left[index]) if self.spec.random_crop else (middle, middle)
        flip = draws.flip[index] if self.spec.flip else torch.zeros_like(draws.flip[index])
        return self._inputs(index, top, left, flip, draws)

    def plain(self, index: Tensor) -> Tensor:
        """Returns the inputs (B, C, size, size) of the examples `index` (B,): centre crops without augmentation."""
        return self.viewed(index, self.room // 2, self.room // 2, False)

    def viewed(self, index: Tensor, top: int, left: int, mirrored: bool) -> Tensor:
        """Returns the inputs (B, C, size, size) of the examples `index` (B,), all cropped at one place.

        `top` and `left` are in pixels of the stored image with its border.  There is no augmentation.
        """
        down, right = torch.full_like(index, top), torch.full_like(index, left)
        return self._inputs(index, down, right, torch.full_like(index, mirrored, dtype=torch.bool), None)

    def _inputs(self, index: Tensor, top: Tensor, left: Tensor, flip: Tensor, draws: Draws | None) -> Tensor:
        here, device, spec = self.images.device, self.labels.device, self.spec
        rows, *where = (position.to(here) for position in (index, top, left, flip))
        pixels = crop(self.images, self.rows[rows], *where, size=self.size, pad=spec.crop_pad)
        # Crops are copied to the device as bytes and become floats there: a quarter of the traffic.
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
    """Returns the examples to train on and those to evaluate on, for a network on `device`; images stay where they are.

    If the budget asks for fewer training images than there are, each seed draws its own, so that intervals over seeds
    cover the choice of images too.  All variants of a seed, the placebo included, share its images: this draw has no
    salt.  With `evaluate_on` "validation", a tenth of the training images, chosen by their content, is held out of
    training and evaluated on.
    Raises ValueError when the budget asks for more training images than there are.
    """
    everything = torch.arange(len(data.train.labels))
    training, evaluation, evaluated = everything, torch.arange(len(data.test.labels)), data.test
    if budget.evaluate_on == "validation":
        held = held_out(data.train)
        training, evaluation, evaluated = everything[~held], everything[held], data.train
    training = training[stratified(data.train.labels[training], budget.train_examples, stream(seed, "subset"))]
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
            read_window=budget.read_window,
        )
        for images, rows, targets in parts
    )
    return first, second


def shuffle_labels(labels: Tensor, spec: Spec, seed: int) -> Tensor:
    """Returns `labels` (N,) with a share of them, `spec.shuffled_labels`, permuted among themselves."""
    generator = streams(seed, salt=spec.stream_salt)("labels")
    order = torch.randperm(len(labels), generator=generator)
    chosen = order[: round(len(labels) * spec.shuffled_labels)]
    shuffled = labels.clone()
    shuffled[chosen] = labels[chosen[torch.randperm(len(chosen), generator=generator)]]
    return shuffled


def epoch_order(training: Examples, seed: int, epoch: int) -> Tensor:
    """Returns the order (N,) int64 in which an epoch takes the examples.  It depends on the seed and the epoch."""
    generator = streams(seed, salt=training.spec.stream_salt)(f"order/{epoch}")
    if training.read_window:
        return shuffled(training.count, training.read_window, generator)
    return torch.randperm(training.count, generator=generator)


def read_ahead(training: Examples, order: Tensor) -> ReadAhead | None:
    """Returns what prefetches the images of an epoch in this order, or None where nothing has to be prefetched."""
    pages, images = training.data.train.pages, training.data.train.images
    if not training.read_window or pages is None:
        return None
    return ReadAhead(
        pages,
        start=len(pages) - images.numel(),
        image_bytes=images[0].numel(),
        rows=training.rows,
        order=order,
        window=training.read_window,
    )


def batches(training: Examples, seed: int, epoch: int, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields the inputs (B, C, size, size) and labels (B,) of one epoch, batch by batch, in that epoch's order."""
    draws = training.draws(seed, epoch)
    for index in epoch_order(training, seed, epoch).split(batch_size):
        yield training.augmented(index, draws), training.labels[index.to(training.labels.device)]
