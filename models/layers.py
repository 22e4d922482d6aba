"""The layers that a Spec can name, one table per slot (activation, normalisation, pooling), and our own layers.

Shapes: B batch, C channels, H and W map sides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from ablations.models.response_norm import LocalResponseNorm, SameMapNorm
from ablations.models.spec import Conv, Norm, Pool

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=False),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "leaky_relu": lambda: nn.LeakyReLU(0.01),  # Maas et al. 2013
    "elu": nn.ELU,  # Clevert et al. 2016, arXiv 1511.07289
    "gelu": nn.GELU,  # Hendrycks and Gimpel 2016, arXiv 1606.08415
    "silu": nn.SiLU,  # the same paper, section 4
    "none": nn.Identity,
}


NORMS: dict[str, Callable[[Norm, int], nn.Module]] = {
    "lrn": lambda norm, channels: LocalResponseNorm(norm),
    "same_map": lambda norm, channels: SameMapNorm(norm),
    "batch": lambda norm, channels: nn.BatchNorm2d(channels),
}

POOLS: dict[str, Callable[[Pool], nn.Module]] = {
    "max": lambda pool: nn.MaxPool2d(pool.size, pool.stride, pool.pad, ceil_mode=pool.ceil),
    "average": lambda pool: nn.AvgPool2d(
        pool.size, pool.stride, pool.pad, ceil_mode=pool.ceil, count_include_pad=False
    ),
}


class _Windows(torch.autograd.Function):
    """Copies the window that each output position of a local layer reads: (B, C, H, W) -> (h, w, B, kernel, kernel, C).

    Channels are the last dimension of both, so that whole runs of them are copied, and summed in the backward pass.
    F.unfold and torch's own gradient of `Tensor.unfold` each take about twice as long.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, kernel: int, stride: int, pad: int) -> Tensor:
        ctx.sizes = x.shape, kernel, stride, pad  # type: ignore[attr-defined]
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, pad, pad, pad, pad))
        windows = padded.unfold(1, kernel, stride).unfold(2, kernel, stride)  # (B, h, w, C, kernel, kernel)
        return windows.permute(1, 2, 0, 4, 5, 3).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (batch, channels, height, width), kernel, stride, pad = ctx.sizes
        rows, columns = gradient.shape[:2]
        # A pixel's gradient is the sum over the windows that hold it.  The loop runs over places in a window instead:
        # for one place, the pixels that all windows read there form a strided slice, so each addition is one copy.
        total = gradient.new_zeros(height + 2 * pad, width + 2 * pad, batch, channels)
        for i in range(kernel):
            for j in range(kernel):
                read = total[i : i + stride * rows : stride, j : j + stride * columns : stride]
                read.add_(gradient[:, :, :, i, j])
        return total[pad : pad + height, pad : pad + width].permute(2, 3, 0, 1), None, None, None


class LocalConv2d(nn.Module):
    """A convolution whose weights and biases are not shared between positions: (B, C, H, W) -> (B, O, h, w).

    The output is in channels_last layout.  O is `block.channels`; there are P = h * w positions, each with
    I = C / groups * kernel^2 inputs.  The CIFAR-10 networks of section 3.3 end in two such layers.
    """

    def __init__(self, channels: int, block: Conv, map_size: int) -> None:
        super().__init__()
        positions, inputs = map_size**2, channels // block.groups * block.kernel**2
        self.in_channels, self.block, self.map_size = channels, block, map_size
        # Three dimensions, because `network.to(memory_format=channels_last)` would rearrange a parameter of four, and
        # that would slow down the matrix products.
        self.weight = nn.Parameter(torch.zeros(positions, block.channels, inputs))
        # One dimension, like every other bias: `optimizer_of` tells biases from weights by it.
        self.bias = nn.Parameter(torch.zeros(block.channels * positions))

    def forward(self, x: Tensor) -> Tensor:
        """Returns, for each position, the products of its window with its own weights, plus its own biases."""
        block, side, groups, batch = self.block, self.map_size, self.block.groups, len(x)
        windows: Tensor = _Windows.apply(x, block.kernel, block.stride, block.pad)
        # P * groups matrix products in one call, one for each position and group: (B, I) by (I, O / groups).
        windows = windows.view(side**2, batch, block.kernel**2, groups, -1).transpose(2, 3).transpose(1, 2)
        weight = self.weight.view(side**2, block.channels, -1, block.kernel**2).transpose(2, 3)
        bias = self.bias.view(groups, -1, side**2).permute(2, 0, 1)
        products = torch.baddbmm(
            bias.reshape(side**2 * groups, 1, -1),
            windows.reshape(side**2 * groups, batch, -1),
            weight.reshape(side**2 * groups, block.channels // groups, -1).transpose(1, 2),
        )
        y = products.view(side, side, groups, batch, -1).permute(3, 2, 4, 0, 1).flatten(1, 2)  # (B, O, h, w)
        return y.contiguous(memory_format=torch.channels_last)


class Dropout(nn.Module):
    """Zeroes each feature with probability `rate` in training (4.2): (B, features) -> (B, features).

    Each layer draws its masks from a stream of its own, which `ablations.models.init` sets, so that toggling one
    layer leaves the masks of the others as they are.  torch's Dropout draws from the global generator.
    `rescale` says when the missing features are made up for: "train" divides the kept ones by the keep rate during
    training, "test" multiplies all of them by it in evaluation, as the paper does.
    Raises ValueError on another `rescale`.
    """

    def __init__(self, rate: float, rescale: str) -> None:
        super().__init__()
        if rescale not in ("train", "test"):
            raise ValueError(f"dropout_rescale is {rescale!r}; allowed: 'train', 'test'")
        self.rate, self.rescale = rate, rescale
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Returns the masked features in training, and `x` in evaluation, times the keep rate under "test"."""
        keep = 1 - self.rate
        if not self.training:
            return x * keep if self.rescale == "test" else x
        if self.generator is None:
            raise RuntimeError("a Dropout in training needs its stream: call models.init.initialise first")
        mask = torch.empty_like(x).bernoulli_(keep, generator=self.generator)
        return x * mask.div_(keep) if self.rescale == "train" else x * mask
