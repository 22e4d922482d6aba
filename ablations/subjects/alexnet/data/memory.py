"""Chooses how many images are shuffled together when a data set is larger than memory."""

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
    """Returns `Budget.read_window` of a study: as asked for, as the study began, or by the memory of this machine.

    `before` is the study on disk, `gpus` what a trial holds of a GPU, and `workers` the number of trials that run here
    at a time.  The window is 0, a full shuffle, if the images fit into a GPU or into memory.
    """
    if options.read_window is not None:
        return options.read_window
    images = budget.train_examples
    # The window is part of every trial's key, so a study keeps the one it began with on whatever machine it continues.
    then = budget_of(before.setting.config) if before else None
    if before and then and (before.setting.fingerprint, then.train_examples) == (data.fingerprint, images):
        return then.read_window
    import torch

    from ablations.subjects.alexnet.data.load import image_bytes, memory_bytes
    from ablations.subjects.alexnet.data.read_ahead import window_of

    known = gpus and (options.memory_budget is not None or torch.cuda.is_available())  # or its memory is not known here
    if known and image_bytes(data) <= memory_bytes(options.memory_budget, torch.device("cuda"), share=gpus):
        return 0
    each, here = data.train.images[0].numel(), memory_here()
    if images * each <= HELD * here:
        return 0
    # A trial holds its window and prefetches the next one; those of all trials together get half of the memory.
    return window_of(each, here / (4 * workers))
