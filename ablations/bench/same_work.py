"""Whether contenders do the same work: each one's losses beside the plain loop's, over steps of a smooth network."""

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

STEPS = 50
SHARE = 0.1  # of the learning rate
WRONG = 1.01  # times the learning rate: what the check must be able to see


def smooth(spec: Spec) -> Spec:
    """`spec` without dropout, with tanh for ReLU and average for max pooling, at a tenth of its rate throughout.

    Rounding decides now and then which side of a kink a value is on, and one such flip moves a gradient by
    2e-4 of its length: with kinks, two right programs are 1e-2 apart after 50 steps of `cifar`, without them 2e-7.
    At its full rate `paper` does not settle on 16 images, and multiplies rounding: the plain loop in single and in
    double precision are 3e-3 apart.  The replaced layers are torch's own in ours and in the plain loop.  Masks of
    dropout come from streams that the others do not have.  The plain loops have no warm-up.
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
    """How far the losses of `smooth(spec)` are `apart` from the plain loop's, each trained once.

    `difference` is that of ours, `jax_difference` that of JAX where it is asked for, and `of_a_wrong_rate` that of the
    plain loop itself at a rate that is 1% too high.  Where JAX is installed but has not all layers, `jax_lacks` says
    which.
    All start from the same weights and take the same batches.
    """
    spec = smooth(spec)
    # An epoch is one step, and each step's loss is then in the curve.
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
    """The largest difference, relative to the expected loss where that is above 1; nan where any loss is."""
    gaps = [abs(one - other) / max(1.0, abs(other)) for one, other in zip(losses, expected, strict=True)]
    return math.nan if any(map(math.isnan, gaps)) else max(gaps)
