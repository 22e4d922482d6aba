"""What convolutions and products of matrices are computed in on a GPU: float32, tf32 or bf16."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

FLOAT32, TF32, BF16 = "float32", "tf32", "bf16"  # of ablations.budget.PRECISIONS


@contextlib.contextmanager
def computing(precision: str, device: torch.device) -> Iterator[None]:
    """Within it, convolutions and products of matrices of float32 are computed in `precision` on `device`.

    "tf32" rounds their inputs to 10 bits of mantissa and "bf16" to 7, by autocast, on the way forward and back; sums
    are kept in float32, and so are weights, updates and normalisations.  torch alone would take TF32 for convolutions
    and float32 for the rest.  On the CPU "tf32" is float32.
    """
    matmul, conv = torch.backends.cuda.matmul, torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = matmul.fp32_precision, conv.fp32_precision
    matmul.fp32_precision = conv.fp32_precision = "tf32" if precision == TF32 else "ieee"
    try:
        # The cache of autocast is for weights that are read more than once a step: here none is.
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == BF16, cache_enabled=False):
            yield
    finally:
        matmul.fp32_precision, conv.fp32_precision = before
