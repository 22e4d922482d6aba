"""The same networks, data and recipe as tutorials write them, with torch's and torchvision's own parts.

Shapes: B batch, C channels, H and W image sides, N images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from ablations.data.augment import PCA_UNITS
from ablations.data.load import Data, Split
from ablations.examples import batches, split_examples
from ablations.optimizers import optimizer_of
from ablations.train import start, train
from ablations.types import Budget
from models.layers import Dropout
from models.network import Network, build
from models.response_norm import LocalResponseNorm, SameMapNorm
from models.spec import Norm, Spec

CHECKED_STEPS = 50
CHECKED_SHARE = 0.1  # of the learning rate


class _WithinMaps(nn.Module):
    """The original code's normalisation within each map, which torch does not have, by torch's average pooling."""

    def __init__(self, norm: Norm) -> None:
        super().__init__()
        self.norm = norm
        self.alpha = norm.alpha if norm.alpha_over_size else norm.alpha * norm.size**2

    def forward(self, x: Tensor) -> Tensor:
        mean = F.avg_pool2d(x * x, self.norm.size, stride=1, padding=self.norm.size // 2)
        divided: Tensor = x / (self.norm.k + self.alpha * mean) ** self.norm.beta
        return divided


def network(spec: Spec, data: Data, image_size: int) -> Network:
    """Our network with each part of our own replaced by torch's; every other part is torch's already."""
    made = build(spec, num_classes=data.num_classes, image_size=image_size, channels=data.channels)
    for parent in list(made.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LocalResponseNorm):
                norm = child.norm
                alpha = norm.alpha if norm.alpha_over_size else norm.alpha * norm.size
                setattr(parent, name, nn.LocalResponseNorm(norm.size, alpha, norm.beta, norm.k))
            elif isinstance(child, SameMapNorm):
                setattr(parent, name, _WithinMaps(child.norm))
            elif isinstance(child, Dropout):
                setattr(parent, name, nn.Dropout(child.rate))
    return made


def optimizer(made: Network, spec: Spec) -> torch.optim.Optimizer:
    """torch.optim.SGD as it comes, with the spec's rates and decays."""
    groups = [
        {
            "params": group["params"],
            "lr": spec.learning_rate * group["lr_factor"],
            "weight_decay": group["weight_decay"],
        }
        for group in optimizer_of(made, spec).param_groups
    ]
    return torch.optim.SGD(groups, lr=spec.learning_rate, momentum=spec.momentum)


class Images(Dataset[tuple[Tensor, int]]):
    """Images in memory, each through `transform` when it is asked for, as torchvision's own data sets do."""

    def __init__(self, split: Split, transform: Callable[[Any], Tensor], *, tensors: bool) -> None:
        self.images: Any = split.images.permute(0, 3, 1, 2).contiguous() if tensors else split.images.numpy()
        self.labels, self.transform, self.tensors = split.labels.tolist(), transform, tensors

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels = self.images[index]
        return self.transform(pixels if self.tensors else Image.fromarray(pixels.squeeze())), self.labels[index]


class ColourNoise:
    """The paper's colour noise on one image (C, H, W) of 0-1, as it is usually written."""

    def __init__(self, data: Data, spec: Spec) -> None:
        scale = spec.pca_jitter * PCA_UNITS[spec.pca_unit](data.component_deviations)
        self.components = data.components * scale / 255

    def __call__(self, image: Tensor) -> Tensor:
        """`image` plus its noise."""
        noise = self.components @ torch.randn(self.components.shape[1])
        return image + noise[:, None, None]


def transform(spec: Spec, data: Data, image_size: int, *, tensors: bool) -> Callable[[Any], Tensor]:
    """torchvision's transforms for what the spec does to a training image."""
    from torchvision.transforms import v2

    steps: list[Any] = []
    if spec.random_crop:
        steps.append(v2.RandomCrop(image_size, padding=spec.crop_pad or None, padding_mode="reflect"))
    elif data.size != image_size:
        steps.append(v2.CenterCrop(image_size))
    if spec.flip:
        steps.append(v2.RandomHorizontalFlip())
    steps += [] if tensors else [v2.PILToTensor()]
    steps.append(v2.ToDtype(torch.float32, scale=True))
    if spec.pca_jitter:
        steps.append(ColourNoise(data, spec))
    deviation = data.std if spec.unit_scale else 1.0
    steps.append(v2.Normalize((data.mean / 255).tolist(), [deviation / 255] * data.channels))
    composed: Callable[[Any], Tensor] = v2.Compose(steps)
    return composed


def loader(
    spec: Spec, data: Data, image_size: int, batch_size: int, *, workers: int, tensors: bool
) -> DataLoader[tuple[Tensor, int]]:
    """torch's DataLoader over the training images, shuffled; the last, smaller batch is left out."""
    images = Images(data.train, transform(spec, data, image_size, tensors=tensors), tensors=tensors)
    return DataLoader(
        images, batch_size, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=workers > 0
    )


def smooth(spec: Spec) -> Spec:
    """`spec` without dropout, with tanh for ReLU and average for max pooling, at a tenth of its rate throughout.

    Rounding decides now and then which side of a kink a value is on, and one such flip moves a gradient by
    2e-4 of its length: with kinks, two right programs are 1e-2 apart after 50 steps of `cifar`, without them 2e-7.
    At its full rate `paper` does not settle on 16 images, and multiplies rounding: the plain loop in single and in
    double precision are 3e-3 apart.  The replaced layers are torch's own on both sides.  Masks of dropout come from
    streams that torch does not have.
    """
    blocks = tuple(
        replace(block, activation="tanh", pool=block.pool and replace(block.pool, kind="average"))
        for block in spec.blocks
    )
    hidden = tuple(replace(layer, activation="tanh", dropout=0.0) for layer in spec.hidden)
    rate = CHECKED_SHARE * spec.learning_rate
    return replace(spec, blocks=blocks, hidden=hidden, learning_rate=rate, schedule="constant")


def difference(
    spec: Spec, data: Data, *, image_size: int, batch_size: int, steps: int = CHECKED_STEPS, rate: float = 1.0
) -> float:
    """The largest difference of the loss between our training and the plain loop over `steps` steps.

    Relative to the loss where that is above 1.  Same initial weights and batches; both train `smooth(spec)`, the
    plain loop at `rate` times its learning rate: with another one than 1, what the check would see of a wrong one.
    """
    spec = smooth(spec)
    # An epoch is one step, and each step's loss is then in the curve.
    budget = Budget(epochs=steps, train_examples=batch_size, batch_size=batch_size, image_size=image_size)
    cpu = torch.device("cpu")
    ours = [row["train_loss"] for row in train(spec, seed=0, budget=budget, data=data).curve]
    made = network(spec, data, image_size)
    made.load_state_dict(start(spec, seed=0, budget=budget, data=data, device=cpu).state_dict())
    made.to(memory_format=torch.contiguous_format)
    moved = optimizer(made, replace(spec, learning_rate=rate * spec.learning_rate))
    training, _ = split_examples(spec, seed=0, budget=budget, data=data, device=cpu)
    worst = 0.0
    for epoch, expected in enumerate(ours, start=1):
        ((inputs, labels),) = batches(training, 0, epoch, batch_size)
        moved.zero_grad()
        loss = F.cross_entropy(made(inputs.contiguous()), labels)
        loss.backward()
        moved.step()
        worst = max(worst, abs(loss.item() - expected) / max(1.0, abs(expected)))
    return worst
