"""evaluate(network, examples) -> errors, outcomes and probabilities.  Needs torch and numpy, nothing else.

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

BATCH = 500  # images, each in one view at a time: ten views take ten times as long and no more memory
GPU_FLOATS = 2**23  # inputs of a batch on a GPU, 2,730 images of 32 pixels, where that is more than BATCH images


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a network makes of N images."""

    row: Row  # top-1 and top-5 error in percent and the mean loss
    outcomes: Tensor  # (N,) bool: right at top 1
    probabilities: Tensor | None  # (N, K) float16, on the CPU; None above MOST_PROBABILITIES
    labels: Tensor  # (N,) int64, on the CPU


@torch.inference_mode()
def evaluate(network: Network, examples: Examples, *, limit: int | None = None) -> Evaluation:
    """What `network` makes of the first `limit` of `examples`, over the views that their spec asks for.

    With fewer than five classes, top-5 is top-(all), whose error is zero.
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
    """Images at a time: BATCH, or more small ones on a GPU, which would wait for their launches."""
    floats = examples.data.channels * examples.size**2
    return BATCH if examples.labels.device.type == "cpu" else max(BATCH, GPU_FLOATS // floats)


def log_probabilities(network: Network, examples: Examples, index: Tensor) -> Tensor:
    """Logarithms (B, K) of the softmax outputs of the examples `index` (B,), averaged over their spec's views."""
    seen = views(examples.spec.views, examples.room)
    total: Tensor | None = None
    for top, left, mirrored in seen:
        scores = F.log_softmax(network(examples.viewed(index, top, left, mirrored)), dim=1)
        total = scores if total is None else torch.logaddexp(total, scores)
    assert total is not None
    return total - math.log(len(seen))
