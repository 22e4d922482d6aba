"""The ways to train that are compared, each as an endless loop that reports its progress to a clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ablations.bench import plain
from ablations.bench.task import CLASSES, Clock, Task
from ablations.execution.allocator import keep_freed_memory
from ablations.models.presets import PRESETS
from ablations.models.spec import Spec
from ablations.subjects.alexnet.data.load import Data, Split, load
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.train import start, train

SIDE = 2048  # rows and columns of the multiplied matrices


def data_of(task: Task) -> Data:
    """Returns the prepared images, or random bytes of the same size.  It has one test image, as none is evaluated."""
    if task.folder:
        data = load(Path(task.folder))
        return replace(data, test=_first(data.test))
    size = round(task.image_size * _spec(task).stored_ratio)
    generator = torch.Generator().manual_seed(0)
    train = Split(
        images=torch.randint(0, 256, (task.images, size, size, 3), dtype=torch.uint8, generator=generator),
        labels=torch.randint(0, CLASSES, (task.images,), generator=generator),
        hashes=torch.arange(task.images),
    )
    return Data(
        name="random bytes",
        classes=tuple(map(str, range(CLASSES))),
        train=train,
        test=_first(train),
        mean=torch.full((3,), 127.5),
        std=73.9,  # that of uniform whole numbers from 0 to 255
        mean_image=torch.full((size, size, 3), 127.5),
        components=torch.eye(3),
        component_deviations=torch.full((3,), 73.9),
        fingerprint="random",
    )


def _first(split: Split) -> Split:
    return Split(images=split.images[:1], labels=split.labels[:1], hashes=split.hashes[:1])


def _spec(task: Task) -> Spec:
    return PRESETS[task.net].spec


def ours(task: Task, tick: Clock) -> None:
    """Trains by `subjects.alexnet.training.train.train`, in epochs of a few steps, since it reports after each."""
    keep_freed_memory()
    torch.set_num_threads(task.threads)
    data, images = data_of(task), task.steps * task.batch_size
    budget = Budget(epochs=10**6, train_examples=images, batch_size=task.batch_size, image_size=task.image_size)
    train(_spec(task), seed=0, budget=budget, data=data, report=lambda row: tick(images))


def floor(task: Task, tick: Clock) -> None:
    """Runs our network forward and backward on one constant batch: no data, no update, no metrics.

    The layout is channels_last, as `start` makes it, which is the faster of the two.
    """
    keep_freed_memory()
    torch.set_num_threads(task.threads)
    data, spec = data_of(task), _spec(task)
    budget = Budget(epochs=1, train_examples=1, batch_size=task.batch_size, image_size=task.image_size)
    network = start(spec, seed=0, budget=budget, data=data, device=torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(task.batch_size, data.channels, task.image_size, task.image_size, generator=generator)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, data.num_classes, (task.batch_size,), generator=generator)
    network.train()
    while True:
        loss = F.cross_entropy(network(images), labels)
        network.zero_grad(set_to_none=True)
        loss.backward()
        tick(task.batch_size)


def tutorial(task: Task, tick: Clock, *, tensors: bool = False) -> None:
    """Trains by the loop of PyTorch's tutorials, with the running loss that they print."""
    torch.set_num_threads(task.threads)
    data, spec = data_of(task), _spec(task)
    images = plain.loader(spec, data, task.image_size, task.batch_size, workers=task.loader_workers, tensors=tensors)
    network = plain.network(spec, data, task.image_size)
    optimizer = plain.optimizer(network, spec)
    running = 0.0
    while True:
        for inputs, labels in images:
            optimizer.zero_grad()
            loss = F.cross_entropy(network(inputs), labels)
            loss.backward()
            optimizer.step()
            running += loss.item()
            tick(len(labels))


def lightning(task: Task, tick: Clock) -> None:
    """Trains by PyTorch Lightning's Trainer, without its logger, checkpoints and progress bar."""
    import pytorch_lightning

    torch.set_num_threads(task.threads)
    data, spec = data_of(task), _spec(task)

    class Module(pytorch_lightning.LightningModule):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.network = plain.network(spec, data, task.image_size)

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            loss = F.cross_entropy(self.network(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return plain.optimizer(self.network, spec)

        def on_train_batch_end(self, outputs: Any, batch: tuple[Tensor, Tensor], index: int) -> None:
            tick(len(batch[1]))

    trainer = pytorch_lightning.Trainer(
        accelerator="cpu",
        max_epochs=-1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    workers = task.loader_workers
    trainer.fit(Module(), plain.loader(spec, data, task.image_size, task.batch_size, workers=workers, tensors=False))


def in_jax(task: Task, tick: Clock) -> None:
    """Trains in JAX, which takes as many threads as this process may use cores."""
    from ablations.bench import jax_loop

    torch.set_num_threads(1)  # torch only reads the data and draws the initial weights
    jax_loop.train(_spec(task), data_of(task), image_size=task.image_size, batch_size=task.batch_size, tick=tick)


def gemm(task: Task, tick: Clock) -> None:
    """Multiplies two matrices, which shows the arithmetic limit of the machine; its unit is 1e9 operations."""
    torch.set_num_threads(task.threads)
    left, right = (torch.randn(SIDE, SIDE) for _ in range(2))
    result = torch.empty(SIDE, SIDE)
    while True:
        torch.mm(left, right, out=result)
        tick(2 * SIDE**3 / 1e9)


def check(task: Task, tick: Clock, *, jax: bool = True) -> None:
    """Reports how far our losses, those of JAX, and those at a wrong learning rate are from the plain loop's."""
    from ablations.bench import same_work

    torch.set_num_threads(task.threads)
    size, batch = task.image_size, task.batch_size
    tick.answer(same_work.differences(_spec(task), data_of(task), image_size=size, batch_size=batch, jax=jax))


CONTENDERS: dict[str, Callable[[Task, Clock], None]] = {
    "plain": tutorial,
    "lightning": lightning,
    "jax": in_jax,
    "tensors": lambda task, tick: tutorial(task, tick, tensors=True),
    "one": ours,
    "harness": ours,
    "floor": floor,
    "gemm": gemm,
    "check": check,
    "plain_check": lambda task, tick: check(task, tick, jax=False),
}
