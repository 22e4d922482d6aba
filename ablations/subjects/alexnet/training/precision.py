"""What convolutions and products of matrices are computed in on a GPU: float32, tf32 or bf16."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

FLOAT32, TF32, BF16 = "float32", "tf32", "bf16"  # of ablations.subjects.alexnet.setting.PRECISIONS


@contextlib.contextmanager
def computing(precision: str) -> Iterator[None]:
    """Within it, convolutions and products of matrices of float32 are computed in TF32 for "tf32", else in float32.

    TF32 rounds their inputs to 10 bits of mantissa and sums in float32.  torch alone would take it for convolutions
    and float32 for the rest.  On the CPU all are float32.
    """
    matmul, conv = torch.backends.cuda.matmul, torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = matmul.fp32_precision, conv.fp32_precision
    matmul.fp32_precision = conv.fp32_precision = "tf32" if precision == TF32 else "ieee"
    try:
        yield
    finally:
        matmul.fp32_precision, conv.fp32_precision = before


def casting(precision: str, device: torch.device) -> torch.autocast:
    """For "bf16", within it a forward pass rounds the inputs of products to bfloat16, 7 bits of mantissa.

    The way back takes the types of the way forward and must lie outside, or it would round what stayed float32.
    Nothing is cached: each weight is read once a step.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == BF16, cache_enabled=False)
