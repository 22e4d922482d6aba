"""How much of a set that is larger than memory is shuffled at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablations.core.machine import HELD, memory_here
from ablations.subjects.alexnet.options import Options
from ablations.subjects.alexnet.setting import budget_of

if TYPE_CHECKING:
    from ablations.core.study import Study
    from ablations.subjects.alexnet.data.load import Data
    from ablations.subjects.alexnet.setting import Budget


def read_window(
    options: Options, data: Data, budget: Budget, before: Study | None, *, gpus: float, workers: int
) -> int:
    """`Budget.read_window` of a study: as asked, as it has begun, or chosen by the memory of this machine.

    0, any order, where a GPU of this machine holds the images, or its memory does.
    """
    if options.read_window is not None:
        return options.read_window
    images = budget.train_examples
    then = budget_of(before.setting.config) if before else None
    if before and then and (before.setting.fingerprint, then.train_examples) == (data.fingerprint, images):
        return then.read_window
    import torch

    from ablations.subjects.alexnet.data.load import image_bytes, memory_bytes
    from ablations.subjects.alexnet.data.read_ahead import window_of

    known = gpus and (options.memory_budget is not None or torch.cuda.is_available())  # of a cluster's GPUs it is not
    if known and image_bytes(data) <= memory_bytes(options.memory_budget, torch.device("cuda"), share=gpus):
        return 0
    each, here = data.train.images[0].numel(), memory_here()
    if images * each <= HELD * here:
        return 0
    return window_of(each, here / (4 * workers))  # each trial's window and its next one, in half of the memory
