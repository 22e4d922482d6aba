"""Pictures in folders, and how a network of torchvision learns them: what the study files beside this one share.

A data set is a folder as `torchvision.datasets` leaves it: pictures in `train/<class>/` and in `test/<class>/` or
`val/<class>/`, as Imagenette has them, or CIFAR-10's `cifar-10-batches-py`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from torchvision.datasets import CIFAR10, ImageFolder
from torchvision.transforms.functional import pil_to_tensor, resize

from ablations.subject import Metric

SIZES = {"cifar10": 32, "imagenette": 64}  # data set -> pixels a side at which it is used
CLASSES = 10  # of both
METRICS = {
    "accuracy": Metric("higher", unit="points", chance=100 / CLASSES, smallest_effect=2.0),
    "early_accuracy": Metric("higher", unit="points", words="accuracy halfway", smallest_effect=2.0),
    "loss": Metric("lower", unit="nats"),
}


def folders() -> dict[str, str]:
    """The data sets whose variable, CIFAR10 or IMAGENETTE, names a folder."""
    found = {name: os.path.abspath(path) for name in SIZES if (path := os.environ.get(name.upper()))}
    if not found:
        raise ValueError("set the variable CIFAR10 or IMAGENETTE, or both, to a folder of pictures (see README.md)")
    return found


def pictures(data: Any, part: str, count: int) -> tuple[Tensor, Tensor]:
    """The first pictures of "train" or "test", `count` in all: (N, 3, S, S) in 0..255, and their classes (N,)."""
    root, size = Path(data.path), SIZES[data.name]
    if (root / "cifar-10-batches-py").is_dir():
        found = CIFAR10(root, train=part == "train")
    else:
        found = ImageFolder(root / ("val" if part == "test" and not (root / "test").is_dir() else part))
    classes = torch.tensor(found.targets)
    fewest = int(classes.bincount(minlength=CLASSES).min())
    if len(found.classes) != CLASSES or count % CLASSES or not 0 < count <= CLASSES * fewest:
        raise ValueError(
            f"{count} pictures of {data.name}, {part}: they are {CLASSES} times as many as of each class, of which "
            f"there are {len(found.classes)} with {fewest} or more"
        )
    chosen = torch.cat([(classes == one).nonzero()[: count // CLASSES, 0] for one in range(CLASSES)])
    seen = [resize(pil_to_tensor(found[place][0]), [size, size]) for place in chosen.tolist()]
    return torch.stack(seen).float(), classes[chosen]


def moved(x: Tensor, draws: torch.Generator) -> Tensor:
    """Pictures (N, 3, S, S) moved by up to an eighth of their side each way, and half of them mirrored."""
    size, most = x.shape[-1], x.shape[-1] // 8
    starts = torch.randint(2 * most + 1, (2, len(x), 1), generator=draws)
    rows, columns = starts + torch.arange(size)  # (N, S) each: what is cut out of the padded picture
    columns = torch.where(torch.rand(len(x), 1, generator=draws) < 0.5, columns.flip(1), columns)
    every = torch.arange(len(x))[:, None, None]
    return pad(x, [most] * 4).permute(0, 2, 3, 1)[every, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


@torch.no_grad()
def tested(network: nn.Module, x: Tensor, y: Tensor) -> tuple[float, Tensor]:
    """The mean loss on test pictures, and for each of them whether its class was found (N,)."""
    network.eval()
    logits = torch.cat([network(part) for part in x.split(250)])
    return float(cross_entropy(logits, y)), logits.argmax(1) == y


def trained(network: nn.Module, config: Any, data: Any, streams: Any, checkpoint: Any) -> Iterator[Any]:
    """Trains with AdamW, its rate up and down once, and tests after every epoch: the rows of a trial."""
    x, y = pictures(data, "train", config.train_images)
    x_test, y_test = pictures(data, "test", config.test_images)
    mean, deviation = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    x, x_test = (x - mean) / deviation, (x_test - mean) / deviation
    steps = len(x) // config.batch  # in an epoch, which leaves out the pictures that fill no batch
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=steps * config.epochs)
    # Each has a stream of its own, so that no change of a network moves another's order or pictures.
    order, augmentation = streams.torch("order"), streams.torch("augmentation")
    torch.manual_seed(streams.integer("dropout"))
    for epoch in checkpoint.epochs(config.epochs, network, optimiser, schedule):
        network.train()
        total = 0.0
        for chosen in torch.randperm(len(x), generator=order).split(config.batch)[:steps]:
            batch = moved(x[chosen], augmentation) if config.augment else x[chosen]
            loss = cross_entropy(network(batch), y[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        test_loss, right = tested(network, x_test, y_test)
        accuracy = 100 * float(right.float().mean())
        halfway = {"early_accuracy": accuracy} if epoch == (config.epochs + 1) // 2 else {}
        row = {"epoch": epoch, "train_loss": total / steps, "loss": test_loss, "accuracy": accuracy, **halfway}
        if epoch == config.epochs:
            row["parameters"] = sum(one.numel() for one in network.parameters() if one.requires_grad)
            yield {**row, "examples": {"accuracy": right}}
        else:
            yield row
