"""The same networks, data and recipe as tutorials write them, with the parts of torch and torchvision.

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

from ablations.models.layers import Dropout
from ablations.models.network import Network, build
from ablations.models.response_norm import LocalResponseNorm, SameMapNorm
from ablations.models.spec import Norm, Spec
from ablations.subjects.alexnet.data.augment import PCA_UNITS
from ablations.subjects.alexnet.data.load import Data, Split
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.examples import batches, split_examples
from ablations.subjects.alexnet.training.optimizers import optimizer_of
from ablations.subjects.alexnet.training.train import start


class _WithinMaps(nn.Module):
    """The original code's normalisation within each map, built from average pooling, as torch does not have it."""

    def __init__(self, norm: Norm) -> None:
        super().__init__()
        self.norm = norm
        self.alpha = norm.alpha if norm.alpha_over_size else norm.alpha * norm.size**2

    def forward(self, x: Tensor) -> Tensor:
        mean = F.avg_pool2d(x * x, self.norm.size, stride=1, padding=self.norm.size // 2)
        divided: Tensor = x / (self.norm.k + self.alpha * mean) ** self.norm.beta
        return divided


def network(spec: Spec, data: Data, image_size: int) -> Network:
    """Returns our network with each part that is our own replaced by torch's."""
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
    """Returns torch.optim.SGD with the spec's rates and decays."""
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
    """Images in memory that go through `transform` when they are read, as in torchvision's data sets."""

    def __init__(self, split: Split, transform: Callable[[Any], Tensor], *, tensors: bool) -> None:
        self.images: Any = split.images.permute(0, 3, 1, 2).contiguous() if tensors else split.images.numpy()
        self.labels, self.transform, self.tensors = split.labels.tolist(), transform, tensors

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels = self.images[index]
        return self.transform(pixels if self.tensors else Image.fromarray(pixels.squeeze())), self.labels[index]


class ColourNoise:
    """The paper's colour noise on one image (C, H, W) with values from 0 to 1, as it is usually written."""

    def __init__(self, data: Data, spec: Spec) -> None:
        scale = spec.pca_jitter * PCA_UNITS[spec.pca_unit](data.component_deviations)
        self.components = data.components * scale / 255

    def __call__(self, image: Tensor) -> Tensor:
        """Returns `image` with noise added."""
        noise = self.components @ torch.randn(self.components.shape[1])
        return image + noise[:, None, None]


def transform(spec: Spec, data: Data, image_size: int, *, tensors: bool) -> Callable[[Any], Tensor]:
    """Returns torchvision's transforms for what the spec does to a training image."""
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
    """Returns torch's DataLoader over the shuffled training images, without the last, smaller batch."""
    images = Images(data.train, transform(spec, data, image_size, tensors=tensors), tensors=tensors)
    return DataLoader(
        images, batch_size, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=workers > 0
    )


def losses(spec: Spec, budget: Budget, data: Data, *, rate: float = 1.0) -> list[float]:
    """Returns the loss of each step at `rate` times the learning rate, from the weights and batches of our training.

    An epoch is one step.
    """
    cpu = torch.device("cpu")
    made = network(spec, data, budget.image_size)
    made.load_state_dict(start(spec, seed=0, budget=budget, data=data, device=cpu).state_dict())
    made.to(memory_format=torch.contiguous_format)
    moved = optimizer(made, replace(spec, learning_rate=rate * spec.learning_rate))
    training, _ = split_examples(spec, seed=0, budget=budget, data=data, device=cpu)
    found = []
    for epoch in range(1, budget.epochs + 1):
        ((inputs, labels),) = batches(training, 0, epoch, budget.batch_size)
        moved.zero_grad()
        loss = F.cross_entropy(made(inputs.contiguous()), labels)
        loss.backward()
        moved.step()
        found.append(loss.item())
    return found
