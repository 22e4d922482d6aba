"""Checks that contenders do the same work, by comparing their losses with the plain loop's on a smooth network."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import replace

from ablations.bench import plain
from ablations.models.spec import Spec
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.train import train

STEPS = 50  # steps over which losses are compared
SHARE = 0.1  # share of the learning rate that the smooth network is trained with
WRONG = 1.01  # factor on the learning rate that the check must be able to detect


def smooth(spec: Spec) -> Spec:
    """Returns `spec` with tanh for ReLU and average for max pooling, no dropout, and a tenth of its learning rate.

    ReLU and max pooling have kinks, and rounding sometimes decides on which side of a kink a value is; this changes a
    gradient by 2e-4 of its length.  With kinks, two correct programs differ by 1e-2 after 50 steps of `cifar`; without
    them, by 2e-7.  At its full rate, `paper` does not converge on 16 images and amplifies rounding: the plain loop in
    single and in double precision differ by 3e-3.  The replaced layers are torch's own in both programs, so nothing of
    ours goes untested.  Dropout is left out since its masks come from streams that other programs do not have, and the
    warm-up since the plain loops have none.
    """
    blocks = tuple(
        replace(block, activation="tanh", pool=block.pool and replace(block.pool, kind="average"))
        for block in spec.blocks
    )
    hidden = tuple(replace(layer, activation="tanh", dropout=0.0) for layer in spec.hidden)
    rate = SHARE * spec.learning_rate
    return replace(spec, blocks=blocks, hidden=hidden, learning_rate=rate, schedule="constant", warm_up=0.0)


def differences(
    spec: Spec, data: Data, *, image_size: int, batch_size: int, steps: int = STEPS, jax: bool = True
) -> dict[str, float | str]:
    """Trains `smooth(spec)` by each program, from the same weights and on the same batches.

    Returns how far the losses are `apart` from the plain loop's: `difference` for our training, `jax_difference` for
    JAX, if it is installed and asked for, and `of_a_wrong_rate` for the plain loop with a rate that is 1% too high.  If
    the loop in JAX lacks a layer, `jax_lacks` says which.
    """
    spec = smooth(spec)
    # An epoch is one step, so that the curve has the loss of each step.
    budget = Budget(epochs=steps, train_examples=batch_size, batch_size=batch_size, image_size=image_size)
    expected = plain.losses(spec, budget, data)
    ours = [row["train_loss"] for row in train(spec, seed=0, budget=budget, data=data).curve]
    found: dict[str, float | str] = {
        "difference": apart(ours, expected),
        "of_a_wrong_rate": apart(plain.losses(spec, budget, data, rate=WRONG), expected),
    }
    if jax and importlib.util.find_spec("jax"):
        from ablations.bench import jax_loop

        try:
            found["jax_difference"] = apart(jax_loop.losses(spec, budget, data), expected)
        except NotImplementedError as error:
            found["jax_lacks"] = str(error)
    return found


def apart(losses: Sequence[float], expected: Sequence[float]) -> float:
    """Returns the largest difference, relative to the expected loss if that is above 1; nan if any loss is nan."""
    gaps = [abs(one - other) / max(1.0, abs(other)) for one, other in zip(losses, expected, strict=True)]
    return math.nan if any(map(math.isnan, gaps)) else max(gaps)
