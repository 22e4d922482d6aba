"""Evaluates a network on examples: errors, outcomes and probabilities.  Needs torch and numpy, nothing else.

Shapes: N examples, B batch, K classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from ablations.records.predictions import MOST_PROBABILITIES
from ablations.subjects.alexnet.data.augment import views
from ablations.subjects.alexnet.training.precision import FLOAT32, computing

if TYPE_CHECKING:
    from ablations.models.network import Network
    from ablations.subjects.alexnet.training.examples import Examples

Row = dict[str, float]

BATCH = 500  # images.  Views are evaluated one after another: ten take ten times as long but no more memory
# Input values in a batch on a GPU, if that is more than BATCH images: 2,730 colour images of 32 pixels.  In batches of
# 500 a GPU would spend most of its time waiting for kernel launches.
GPU_FLOATS = 2**23


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The result of evaluating a network on N images."""

    row: Row  # top-1 and top-5 error in percent, and the mean loss
    outcomes: Tensor  # (N,) bool, on the CPU: whether the class with the highest score was right
    probabilities: Tensor | None  # (N, K) float16, on the CPU; None where N * K is above MOST_PROBABILITIES
    labels: Tensor  # (N,) int64, on the CPU


@torch.inference_mode()
def evaluate(network: Network, examples: Examples, *, limit: int | None = None) -> Evaluation:
    """Evaluates `network` on the first `limit` of `examples`, averaging over the views that their spec asks for.

    With five classes or fewer, the top-5 error is zero.
    """
    network.eval()
    count = min(examples.count, limit or examples.count)
    losses, right, near, kept = [], [], [], []
    for index in torch.arange(count, device=examples.rows.device).split(_batch(examples)):
        labels = examples.labels[index.to(examples.labels.device)]
        with computing(FLOAT32):
            scores = log_probabilities(network, examples, index)
        best = scores.topk(min(5, scores.shape[1]), dim=1).indices == labels[:, None]
        losses.append(F.nll_loss(scores, labels, reduction="none"))
        right.append(best[:, 0])
        near.append(best.any(1))
        if count * scores.shape[1] <= MOST_PROBABILITIES:
            kept.append(scores.exp().half())
    outcomes = torch.cat(right).cpu()
    row = {
        "top1_error_percent": 100 * (1 - outcomes.double().mean().item()),
        "top5_error_percent": 100 * (1 - torch.cat(near).double().mean().item()),
        "loss": torch.cat(losses).double().mean().item(),
    }
    return Evaluation(
        row=row,
        outcomes=outcomes,
        probabilities=torch.cat(kept).cpu() if kept else None,
        labels=examples.labels[:count].cpu(),
    )


def _batch(examples: Examples) -> int:
    """Returns the number of images in a batch: BATCH, or more on a GPU if the images are small."""
    floats = examples.data.channels * examples.size**2
    return BATCH if examples.labels.device.type == "cpu" else max(BATCH, GPU_FLOATS // floats)


def log_probabilities(network: Network, examples: Examples, index: Tensor) -> Tensor:
    """Returns the logarithms (B, K) of the softmax outputs of the examples `index` (B,).

    The softmax outputs, not their logarithms, are averaged over the views of the examples' spec (the paper, 4.1).
    """
    seen = views(examples.spec.views, examples.room)
    total: Tensor | None = None
    for top, left, mirrored in seen:
        scores = F.log_softmax(network(examples.viewed(index, top, left, mirrored)), dim=1)
        total = scores if total is None else torch.logaddexp(total, scores)
    assert total is not None
    return total - math.log(len(seen))
