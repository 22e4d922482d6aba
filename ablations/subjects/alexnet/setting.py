"""What a trial of AlexNet is: its config as plain JSON, and how much it may use: images, steps and pixels.

Standard library only.
"""

from __future__ import annotations

import functools
import json
import sys
from dataclasses import dataclass, replace

from ablations.core.identity import sparse
from ablations.core.setting import Config
from ablations.models.spec import Spec, room, spec_from_dict, stored_size

PRECISIONS = ("float32", "tf32", "bf16")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much a trial may use.  Part of its key: budgets never mix."""

    epochs: int
    train_examples: int  # images an epoch
    batch_size: int
    image_size: int  # pixels a side that the network sees
    evaluate_on: str = "test"  # or "validation", held out of training, for anything that is chosen
    max_steps: int | None = None  # optimiser steps at which a trial ends, whatever its epochs; schedules are not told
    # Training error in percent, without augmentation and dropout, whose first crossing is timed in steps (figure 1).
    threshold_percent: float | None = None
    threshold_every: int = 50  # steps between two looks at that error
    threshold_examples: int = 1000  # training images of a look, the same in all of them
    stop_at_threshold: bool = False  # nothing else is asked of the trial: it ends there, and is evaluated only then
    precision: str = PRECISIONS[0]  # of products in training steps on a GPU; evaluation is in float32 whatever it is
    base_size: int = 0  # pixels a side of the stored images that crops are taken from; 0: by Spec.stored_ratio
    evaluate_every: int = 1  # epochs from one evaluation to the next; the last epoch ends with one in any case
    read_window: int = 0  # images within which an epoch's order is free, for a set larger than memory; 0: all of them

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of one pass; the last batch may be smaller."""
        return -(-self.train_examples // self.batch_size)

    @property
    def steps(self) -> int:
        """Optimiser steps of a whole trial that nothing stops."""
        return min(self.epochs * self.steps_per_epoch, self.max_steps or sys.maxsize)

    @property
    def evaluations(self) -> int:
        """Of a whole trial, after epochs."""
        return 1 if self.stop_at_threshold else -(-self.epochs // self.evaluate_every)

    def evaluates(self, epoch: int) -> bool:
        """Whether a trial that goes on after `epoch`, which counts from one, is evaluated then."""
        return not self.stop_at_threshold and epoch % self.evaluate_every == 0

    def sized(self, spec: Spec) -> Spec:
        """`spec` with its crops taken out of images of `base_size`, where there is one."""
        return replace(spec, stored_ratio=self.base_size / self.image_size) if self.base_size else spec

    def check(self, spec: Spec) -> None:
        """Raises ValueError when `spec` would let test images choose its rate, or has no room for crops or views."""
        if room(spec, self.image_size) < 0:
            border = f" with a border of {spec.crop_pad}" if spec.crop_pad else ""
            raise ValueError(
                f"crops of {self.image_size} pixels do not fit into images of "
                f"{stored_size(spec, self.image_size)}{border}: lower --image-size or raise --base-size"
            )
        if spec.schedule == "plateau" and self.evaluate_on != "validation":
            raise ValueError(
                "the schedule 'plateau' lowers the rate by the validation error, so it needs --evaluate-on validation"
            )
        if spec.schedule == "plateau" and self.evaluate_every > 1:
            raise ValueError("the schedule 'plateau' reads the error after each epoch, so it needs --evaluate-every 1")
        if spec.views == "ten" and room(spec, self.image_size) <= 0:
            raise ValueError("ten views need stored images, or a border, larger than the crops: here they are all one")


def config_of(preset: str, budget: Budget, spec: Spec) -> Config:
    """What decides the result of a trial, as its key has it: plain JSON without default values."""
    return {"preset": preset, "budget": sparse(budget), "spec": sparse(spec)}


def spec_of(config: Config) -> Spec:
    """The network, data treatment and recipe of a trial."""
    return _spec(json.dumps(config["spec"], sort_keys=True))


@functools.lru_cache(maxsize=4096)
def _spec(text: str) -> Spec:
    return spec_from_dict(json.loads(text))


def budget_of(config: Config) -> Budget:
    """How much a trial may use."""
    return Budget(**config["budget"])
