"""Response normalisation, across maps and within them: a compiled kernel on the CPU, and the same in plain torch.

Shapes: B batch, C channels, H and W map sides.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from ablations.models.compiled import NotCompiledError, compiled
from ablations.models.spec import Norm

_NHWC = torch.channels_last


class _Normalise(torch.autograd.Function):
    """y = x * d^-beta with d = k + a * (sum of x^2 over the neighbours), and its gradient.

    dx = g * d^-beta - 2 a beta x * (sum over neighbours of g * x * d^(-beta - 1)).
    PyTorch's own form runs through avg_pool3d, which takes more than half of a narrow AlexNet's step
    on a CPU and has no deterministic gradient on CUDA.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, layer: ResponseNorm) -> Tensor:
        ctx.layer = layer  # type: ignore[attr-defined]
        if layer.compiled_for(x):
            ctx.save_for_backward(x)
            return layer.call("forward", x)
        d = layer.spread(x * x, layer.a, layer.norm.k)
        scale = _power(d, layer.norm.beta)
        ctx.save_for_backward(x, d, scale)
        return x * scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        x, *saved = ctx.saved_tensors
        layer: ResponseNorm = ctx.layer
        if not saved:
            return layer.call("backward", x, gradient.contiguous(memory_format=_NHWC)), None
        d, scale = saved
        scaled = gradient * scale
        pull = layer.spread((scaled * x).div_(d), 2 * layer.a * layer.norm.beta, 0.0, back=True)
        return torch.addcmul(scaled, pull, x, value=-1), None


class ResponseNorm(nn.Module):
    """What both normalisations share: (B, C, H, W) -> (B, C, H, W), in the memory layout of the input."""

    def __init__(self, norm: Norm, neighbours: int) -> None:
        super().__init__()
        self.norm = norm
        self.a = norm.alpha / neighbours if norm.alpha_over_size else norm.alpha

    def forward(self, x: Tensor) -> Tensor:
        """`x` * (k + a * sum)^-beta; the same shape as `x`, in float32 where a training's precision is lower."""
        lowered = not x.is_meta and torch.is_autocast_enabled(x.device.type)
        with torch.autocast(x.device.type, enabled=False) if lowered else contextlib.nullcontext():
            y: Tensor = _Normalise.apply(x.to(torch.promote_types(x.dtype, torch.float32)), self)
        return y

    def denominator(self, x: Tensor) -> Tensor:
        """(k + a * sum)^beta, the divisor of every element; its spread tells whether the layer is active."""
        return self.spread(x * x, self.a, self.norm.k).pow(self.norm.beta)

    def spread(self, values: Tensor, factor: float, constant: float, *, back: bool = False) -> Tensor:
        """`constant` + `factor` * the sum of `values` over the neighbours of every element, of the same shape.

        `back`: over those elements that each is a neighbour of.  The window of an even n leans to one
        side, and the way back leans to the other.
        """
        raise NotImplementedError

    def items(self, x: Tensor) -> tuple[int, int, int, int]:
        """How many items `x` is to the kernel, and the rows, columns and inner floats of each."""
        raise NotImplementedError

    def compiled_for(self, x: Tensor) -> bool:
        """Whether the kernel normalises `x`, rather than plain torch."""
        return (
            x.device.type == "cpu"
            and x.dtype == torch.float32
            and self.norm.beta == 0.75
            and x.is_contiguous(memory_format=_NHWC)
            and _library() is not None
        )

    def call(self, direction: str, *inputs: Tensor) -> Tensor:
        """What the kernel makes of the `inputs`, the first of which is x."""
        library, x = _library(), inputs[0]
        assert library is not None
        result = torch.empty_like(x)
        items, *shape = self.items(x)
        pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in (*inputs, result)]
        constants = _Constants(*shape, self.norm.size, self.a, self.norm.k)
        run = getattr(library, f"response_norm_{direction}")
        run(*pointers, ctypes.c_long(items), constants, torch.get_num_threads())
        return result


class LocalResponseNorm(ResponseNorm):
    """Local response normalisation across channels (3.3): (B, C, H, W) -> (B, C, H, W).

    With `alpha_over_size`, alpha is divided by n: the original code and torch do, the formula of
    3.3 does not.
    """

    def __init__(self, norm: Norm) -> None:
        super().__init__(norm, neighbours=norm.size)

    def spread(self, values: Tensor, factor: float, constant: float, *, back: bool = False) -> Tensor:
        """One 1x1 convolution with a banded matrix, which takes the factor and the constant along."""
        band = factor * _band(values, self.norm.size)
        bias = values.new_full((values.shape[1],), constant)
        with _exact_products():
            return F.conv2d(values, band.transpose(0, 1) if back else band, bias)

    def items(self, x: Tensor) -> tuple[int, int, int, int]:
        """Every pixel by itself."""
        return x.shape[0] * x.shape[2] * x.shape[3], 1, x.shape[1], 1


class SameMapNorm(ResponseNorm):
    """Response normalisation over a square window within each map: (B, C, H, W) -> (B, C, H, W).

    The original code has one after conv2 that the paper does not mention, and divides alpha by the
    window's area.  What lies outside the map counts as zero.
    """

    def __init__(self, norm: Norm) -> None:
        super().__init__(norm, neighbours=norm.size**2)

    def spread(self, values: Tensor, factor: float, constant: float, *, back: bool = False) -> Tensor:
        """An average over the window, times its area."""
        size = self.norm.size
        front, behind = (size // 2, (size - 1) // 2)[:: -1 if back else 1]
        padded = F.pad(values, (front, behind, front, behind))
        return F.avg_pool2d(padded, size, stride=1).mul_(factor * size**2).add_(constant)

    def items(self, x: Tensor) -> tuple[int, int, int, int]:
        """Every image by itself."""
        return x.shape[0], x.shape[2], x.shape[3], x.shape[1]


@contextlib.contextmanager
def _exact_products() -> Iterator[None]:
    """Convolutions of float32, where the training's are of TF32: the sum of squares is no product of weights."""
    conv = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before, conv.fp32_precision = conv.fp32_precision, "ieee"
    try:
        yield
    finally:
        conv.fp32_precision = before


def _band(x: Tensor, size: int) -> Tensor:
    """(C, C, 1, 1): row c has ones at the n channels round c, n // 2 of them in front, as torch pads."""
    channel = torch.arange(x.shape[1], device=x.device)
    offset = channel[None, :] - channel[:, None] + size // 2
    return ((offset >= 0) & (offset < size)).to(x.dtype)[:, :, None, None]


def _power(d: Tensor, beta: float) -> Tensor:
    """`d` ** -beta; the paper's .75 by two square roots, several times faster than a power."""
    if beta == 0.75:
        root = d.rsqrt()
        return root * root.sqrt()
    return d.pow(-beta)


class _Constants(ctypes.Structure):
    """`Norm` in response_norm.c."""

    _fields_ = [
        *((name, ctypes.c_long) for name in ("rows", "columns", "inner")),
        ("n", ctypes.c_int),
        ("a", ctypes.c_float),
        ("k", ctypes.c_float),
    ]


def implementation(device: torch.device) -> str:
    """`compiled` or `plain torch`: what normalises float32 maps on `device`; on the CPU it may differ by machine."""
    return "plain torch" if device.type != "cpu" or _library() is None else "compiled"


@functools.cache
def _library() -> ctypes.CDLL | None:
    """The compiled form, or None, which is said aloud, once, as a study then takes longer."""
    try:
        return compiled(Path(__file__).with_suffix(".c"))
    except NotCompiledError as error:
        logging.getLogger(__name__).warning(
            "Response normalisation runs in plain torch, about four times as slow as compiled: %s.", error
        )
        return None
