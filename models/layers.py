"""name -> layer, one small table a slot: activation, normalisation, pooling; and dropout.

Shapes: B batch, C channels, H and W map sides.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.spec import Conv, Norm, Pool

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


class _Lrn(torch.autograd.Function):
    """y = x * d^-beta with d = k + a * (sum of x^2 over n adjacent channels), and its gradient.

    PyTorch's own form runs through avg_pool3d, which takes more than half of a narrow AlexNet's
    step on a CPU and has no deterministic gradient on CUDA.  Here the sum over neighbours is one
    1x1 convolution with a banded matrix, forwards and backwards, which takes a and k along:
    dx = g * d^-beta - 2 a beta x * (sum over neighbours of g * x * d^(-beta - 1)).
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, x: Tensor, size: int, a: float, beta: float, k: float
    ) -> Tensor:
        band = _band(x, size)
        denominator = F.conv2d(x * x, a * band, x.new_full((x.shape[1],), k))
        scale = _power(denominator, beta)
        ctx.save_for_backward(x, denominator, scale, band)
        ctx.a, ctx.beta = a, beta  # type: ignore[attr-defined]
        return x * scale

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, denominator, scale, band = ctx.saved_tensors  # type: ignore[attr-defined]
        scaled = grads[0] * scale
        # The window of an even n leans to one side, and the way back leans to the other.
        factor = 2 * ctx.a * ctx.beta  # type: ignore[attr-defined]
        spread = F.conv2d((scaled * x).div_(denominator), factor * band.transpose(0, 1))
        return torch.addcmul(scaled, spread, x, value=-1), None, None, None, None


def _band(x: Tensor, size: int) -> Tensor:
    """(C, C, 1, 1): row c has ones at the n channels round c, n // 2 of them in front, as torch pads."""
    channel = torch.arange(x.shape[1], device=x.device)
    offset = channel[None, :] - channel[:, None] + size // 2
    return ((offset >= 0) & (offset < size)).to(x.dtype)[:, :, None, None]


def _power(denominator: Tensor, beta: float) -> Tensor:
    """`denominator` ** -beta; the paper's .75 by two square roots, several times faster than a power."""
    if beta == 0.75:
        root = denominator.rsqrt()
        return root * root.sqrt()
    return denominator.pow(-beta)


class ResponseNorm(nn.Module):
    """What both normalisations share: `denominator`, whose spread tells whether the layer is active."""

    def __init__(self, norm: Norm, neighbours: int) -> None:
        super().__init__()
        self.norm = norm
        self.a = norm.alpha / neighbours if norm.alpha_over_size else norm.alpha

    def sums(self, x: Tensor) -> Tensor:
        """The sum of squares over the neighbours of every element; the same shape as `x`."""
        raise NotImplementedError

    def denominator(self, x: Tensor) -> Tensor:
        """(k + a * sum)^beta, the divisor of every element; the same shape as `x`."""
        return self.sums(x).mul(self.a).add(self.norm.k).pow(self.norm.beta)


class LocalResponseNorm(ResponseNorm):
    """Local response normalisation across channels (3.3): (B, C, H, W) -> (B, C, H, W).

    With `alpha_over_size`, alpha is divided by n: the original code and torch do, the formula of
    3.3 does not.
    """

    def __init__(self, norm: Norm) -> None:
        super().__init__(norm, neighbours=norm.size)

    def forward(self, x: Tensor) -> Tensor:
        """`x` * (k + a * sum)^-beta; the same shape as `x`."""
        y: Tensor = _Lrn.apply(x, self.norm.size, self.a, self.norm.beta, self.norm.k)
        return y

    def sums(self, x: Tensor) -> Tensor:
        """The sum of squares over the n channels round each; the same shape as `x`."""
        return F.conv2d(x * x, _band(x, self.norm.size))


class SameMapNorm(ResponseNorm):
    """Response normalisation over a square window within each map: (B, C, H, W) -> (B, C, H, W).

    The original code has one after conv2 that the paper does not mention, and divides alpha by the
    window's area.  What lies outside the map counts as zero.
    """

    def __init__(self, norm: Norm) -> None:
        super().__init__(norm, neighbours=norm.size**2)

    def forward(self, x: Tensor) -> Tensor:
        """`x` * (k + a * sum)^-beta; the same shape as `x`."""
        return x * _power(self.sums(x).mul(self.a).add(self.norm.k), self.norm.beta)

    def sums(self, x: Tensor) -> Tensor:
        """The sum of squares over the window round each pixel; the same shape as `x`."""
        front, behind = self.norm.size // 2, (self.norm.size - 1) // 2
        padded = F.pad(x * x, (front, behind, front, behind))
        return F.avg_pool2d(padded, self.norm.size, stride=1).mul(self.norm.size**2)


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


class LocalConv2d(nn.Module):
    """A convolution whose weights are not shared between positions: (B, C, H, W) -> (B, O, h, w).

    P = h * w positions, I = C / groups * kernel^2 inputs of each.  The CIFAR-10 networks of 3.3 end
    in two of these; each position has biases of its own too.
    """

    def __init__(self, channels: int, block: Conv, map_size: int) -> None:
        super().__init__()
        positions, inputs = map_size**2, channels // block.groups * block.kernel**2
        self.in_channels, self.block, self.map_size = channels, block, map_size
        # Three dimensions: torch moves four into channels_last, which would slow the product down.
        self.weight = nn.Parameter(torch.zeros(positions, block.channels, inputs))
        # One dimension, like every other bias: that is how decay tells them from weights.
        self.bias = nn.Parameter(torch.zeros(block.channels * positions))

    def forward(self, x: Tensor) -> Tensor:
        """The sum over each position's window of its own weights times the inputs, plus its own bias."""
        block, side = self.block, self.map_size
        windows = F.unfold(x, block.kernel, padding=block.pad, stride=block.stride)  # (B, C * kernel^2, P)
        windows = windows.unflatten(1, (block.groups, -1))  # (B, groups, I, P)
        weight = self.weight.unflatten(1, (block.groups, -1))  # (P, groups, O / groups, I)
        y = torch.einsum("bgip,pgoi->bgop", windows, weight).flatten(1, 2)  # (B, O, P)
        y = y + self.bias.view(block.channels, -1)
        return y.view(-1, block.channels, side, side)


class Dropout(nn.Module):
    """Zeroes each feature with probability `rate` in training (4.2), with draws from its own stream.

    Shapes: (B, features) -> (B, features).  A stream of its own, set by `models.init`, keeps the
    masks of one layer unmoved when another layer is toggled; torch's dropout reads the global one.
    """

    def __init__(self, rate: float, rescale: str) -> None:
        super().__init__()
        if rescale not in ("train", "test"):
            raise ValueError(f"dropout_rescale is {rescale!r}; allowed: 'train', 'test'")
        self.rate, self.rescale = rate, rescale
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """The masked features in training; in evaluation `x`, times the keep rate if rescaled in test."""
        keep = 1 - self.rate
        if not self.training:
            return x * keep if self.rescale == "test" else x
        if self.generator is None:
            raise RuntimeError("a Dropout in training needs its stream: call models.init.initialise first")
        mask = torch.empty_like(x).bernoulli_(keep, generator=self.generator)
        return x * mask.div_(keep) if self.rescale == "train" else x * mask
