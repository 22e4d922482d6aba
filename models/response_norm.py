"""Response normalisation across maps and within them: a compiled kernel for the CPU, and the same in plain torch.

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
    """Computes y = x * d^-beta with d = k + a * (sum of x^2 over the neighbours), and its gradient.

    With g the gradient of y, dx = g * d^-beta - 2 a beta x * (sum over neighbours of g * x * d^(-beta - 1)).
    torch's own LocalResponseNorm uses avg_pool3d, which takes more than half of a narrow AlexNet's step on a CPU
    and whose gradient is not deterministic on CUDA.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, layer: ResponseNorm) -> Tensor:
        ctx.layer = layer  # type: ignore[attr-defined]
        if layer.compiled_for(x):
            ctx.save_for_backward(x)  # the kernel computes d again: that takes no longer than storing and reading it
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
        if not saved:  # the forward pass was the kernel's, so the backward pass is too
            return layer.call("backward", x, gradient.contiguous(memory_format=_NHWC)), None
        d, scale = saved
        scaled = gradient * scale
        pull = layer.spread((scaled * x).div_(d), 2 * layer.a * layer.norm.beta, 0.0, back=True)
        return torch.addcmul(scaled, pull, x, value=-1), None


class ResponseNorm(nn.Module):
    """The base of both normalisations: (B, C, H, W) -> (B, C, H, W), in the memory layout of the input.

    `neighbours` is the number of elements in a window, by which alpha is divided if the norm asks for it.
    """

    def __init__(self, norm: Norm, neighbours: int) -> None:
        super().__init__()
        self.norm = norm
        self.a = norm.alpha / neighbours if norm.alpha_over_size else norm.alpha

    def forward(self, x: Tensor) -> Tensor:
        """Returns `x` * (k + a * sum)^-beta, of the shape of `x`.

        It is computed in float32 even when the training's precision is lower, since the sum of squares is what an
        ablation of this layer tests.
        """
        lowered = not x.is_meta and torch.is_autocast_enabled(x.device.type)
        with torch.autocast(x.device.type, enabled=False) if lowered else contextlib.nullcontext():
            y: Tensor = _Normalise.apply(x.to(torch.promote_types(x.dtype, torch.float32)), self)
        return y

    def denominator(self, x: Tensor) -> Tensor:
        """Returns (k + a * sum)^beta, the divisor of every element, of the shape of `x`.

        If it hardly varies, the layer multiplies everything by one constant, and an ablation of it tests nothing.
        """
        return self.spread(x * x, self.a, self.norm.k).pow(self.norm.beta)

    def spread(self, values: Tensor, factor: float, constant: float, *, back: bool = False) -> Tensor:
        """Returns `constant` + `factor` * (the sum of `values` over each element's neighbours), of the same shape.

        With `back`, the sum is over the elements whose neighbour each element is, as the gradient needs.  The two
        differ only for an even n, whose window reaches one element further to one side than to the other.
        """
        raise NotImplementedError

    def items(self, x: Tensor) -> tuple[int, int, int, int]:
        """Returns how `x` is divided for the kernel: the number of items, and rows, columns and inner floats of each.

        response_norm.c says what an item is.
        """
        raise NotImplementedError

    def compiled_for(self, x: Tensor) -> bool:
        """Tells whether the kernel can normalise `x`, and is there; otherwise plain torch does."""
        return (
            x.device.type == "cpu"
            and x.dtype == torch.float32
            and self.norm.beta == 0.75
            and x.is_contiguous(memory_format=_NHWC)
            and _library() is not None
        )

    def call(self, direction: str, *inputs: Tensor) -> Tensor:
        """Runs the kernel, `direction` being "forward" or "backward", and returns a tensor of the shape of x.

        `inputs` are x, and for the backward pass the gradient; both are float32 in channels_last layout.
        """
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

    With `alpha_over_size`, alpha is divided by n, as in the original code and in torch but not in the
    formula of section 3.3.
    """

    def __init__(self, norm: Norm) -> None:
        super().__init__(norm, neighbours=norm.size)

    def spread(self, values: Tensor, factor: float, constant: float, *, back: bool = False) -> Tensor:
        """Sums with one 1x1 convolution: its weights are a banded matrix times `factor`, its bias is `constant`.

        SPEED.md in `ablations/subjects/alexnet/training` has the times of this and other forms.
        """
        band = factor * _band(values, self.norm.size)
        bias = values.new_full((values.shape[1],), constant)
        with _exact_products():
            return F.conv2d(values, band.transpose(0, 1) if back else band, bias)

    def items(self, x: Tensor) -> tuple[int, int, int, int]:
        """Makes every pixel one item: a row of C channels."""
        return x.shape[0] * x.shape[2] * x.shape[3], 1, x.shape[1], 1


class SameMapNorm(ResponseNorm):
    """Response normalisation over a square window within each map: (B, C, H, W) -> (B, C, H, W).

    The original code has one after conv2 that the paper does not mention.  With `alpha_over_size`, alpha is divided by
    the window's area, as in that code.  Elements outside the map count as zero.
    """

    def __init__(self, norm: Norm) -> None:
        super().__init__(norm, neighbours=norm.size**2)

    def spread(self, values: Tensor, factor: float, constant: float, *, back: bool = False) -> Tensor:
        """Sums by average pooling, multiplied by the window's area."""
        size = self.norm.size
        front, behind = (size // 2, (size - 1) // 2)[:: -1 if back else 1]
        padded = F.pad(values, (front, behind, front, behind))
        return F.avg_pool2d(padded, size, stride=1).mul_(factor * size**2).add_(constant)

    def items(self, x: Tensor) -> tuple[int, int, int, int]:
        """Makes every image one item: H rows of W columns, with C adjacent floats at each place."""
        return x.shape[0], x.shape[2], x.shape[3], x.shape[1]


@contextlib.contextmanager
def _exact_products() -> Iterator[None]:
    """Computes convolutions in float32 inside the context, even when the training computes them in TF32.

    `LocalResponseNorm` uses a convolution only to add up squares, which TF32 would round to 10 bits.
    """
    conv = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before, conv.fp32_precision = conv.fp32_precision, "ieee"
    try:
        yield
    finally:
        conv.fp32_precision = before


def _band(x: Tensor, size: int) -> Tensor:
    """Returns a banded matrix (C, C, 1, 1): row c has ones at the n channels around c, n // 2 of them before c.

    torch's LocalResponseNorm pads so, which matters for an even n.
    """
    channel = torch.arange(x.shape[1], device=x.device)
    offset = channel[None, :] - channel[:, None] + size // 2
    return ((offset >= 0) & (offset < size)).to(x.dtype)[:, :, None, None]


def _power(d: Tensor, beta: float) -> Tensor:
    """Returns `d` ** -beta.  The paper's beta of .75 takes two square roots, several times faster than a power."""
    if beta == 0.75:
        root = d.rsqrt()
        return root * root.sqrt()
    return d.pow(-beta)


class _Constants(ctypes.Structure):
    """The struct `Norm` of response_norm.c, field by field."""

    _fields_ = [
        *((name, ctypes.c_long) for name in ("rows", "columns", "inner")),
        ("n", ctypes.c_int),
        ("a", ctypes.c_float),
        ("k", ctypes.c_float),
    ]


def implementation(device: torch.device) -> str:
    """Returns "compiled" or "plain torch": what normalises float32 maps on `device`.

    Records hold it, because on a CPU it depends on whether the machine has a compiler.
    """
    return "plain torch" if device.type != "cpu" or _library() is None else "compiled"


@functools.cache
def _library() -> ctypes.CDLL | None:
    """Returns the compiled kernel, or None, with one warning, where it cannot be compiled."""
    try:
        return compiled(Path(__file__).with_suffix(".c"))
    except NotCompiledError as error:
        logging.getLogger(__name__).warning(
            "Response normalisation runs in plain torch, about four times as slow as compiled: %s.", error
        )
        return None
