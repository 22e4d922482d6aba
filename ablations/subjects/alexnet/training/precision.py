"""Chooses the precision of convolutions and matrix products on a GPU: float32, tf32 or bf16."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

FLOAT32, TF32, BF16 = "float32", "tf32", "bf16"  # of ablations.subjects.alexnet.setting.PRECISIONS


@contextlib.contextmanager
def computing(precision: str) -> Iterator[None]:
    """Sets how float32 convolutions and matrix products are computed inside the context: TF32 for "tf32", else float32.

    TF32 rounds their inputs to 10 bits of mantissa and sums in float32.  Both have to be set, since torch's default is
    TF32 for convolutions but float32 for matrix products.  On the CPU this changes nothing.
    """
    matmul, conv = torch.backends.cuda.matmul, torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = matmul.fp32_precision, conv.fp32_precision
    matmul.fp32_precision = conv.fp32_precision = "tf32" if precision == TF32 else "ieee"
    try:
        yield
    finally:
        matmul.fp32_precision, conv.fp32_precision = before


def casting(precision: str, device: torch.device) -> torch.autocast:
    """Returns a context for the forward pass; for "bf16" it rounds the inputs of products to bfloat16 (7 bits).

    The backward pass must be outside of it: autograd uses the types of the forward pass by itself, and the context
    would also round what the forward pass kept in float32.  Casts are not cached, because each weight is read only once
    per step.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == BF16, cache_enabled=False)
