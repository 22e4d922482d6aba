"""name -> layer, one small table a slot: activation, normalisation, pooling; and dropout.

Shapes: B batch, C channels, H and W map sides.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.spec import Norm, Pool

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=False),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
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


class LocalResponseNorm(nn.Module):
    """Local response normalisation across channels (3.3): (B, C, H, W) -> (B, C, H, W).

    With `alpha_over_size`, alpha is divided by n: the original code and torch do, the formula of
    3.3 does not.  `denominator` gives k + a * sum, whose spread tells whether the layer is active.
    """

    def __init__(self, norm: Norm) -> None:
        super().__init__()
        self.norm = norm
        self.a = norm.alpha / norm.size if norm.alpha_over_size else norm.alpha

    def forward(self, x: Tensor) -> Tensor:
        """`x` * (k + a * sum)^-beta; the same shape as `x`."""
        y: Tensor = _Lrn.apply(x, self.norm.size, self.a, self.norm.beta, self.norm.k)
        return y

    def denominator(self, x: Tensor) -> Tensor:
        """(k + a * sum)^beta, the divisor of every element; the same shape as `x`."""
        return F.conv2d(x * x, _band(x, self.norm.size)).mul(self.a).add(self.norm.k).pow(self.norm.beta)


NORMS: dict[str, Callable[[Norm, int], nn.Module]] = {
    "lrn": lambda norm, channels: LocalResponseNorm(norm),
    "batch": lambda norm, channels: nn.BatchNorm2d(channels),
}

POOLS: dict[str, Callable[[Pool], nn.Module]] = {
    "max": lambda pool: nn.MaxPool2d(pool.size, pool.stride, pool.pad, ceil_mode=pool.ceil),
    "average": lambda pool: nn.AvgPool2d(
        pool.size, pool.stride, pool.pad, ceil_mode=pool.ceil, count_include_pad=False
    ),
}


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
