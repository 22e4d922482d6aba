"""The config of a trial of AlexNet as plain JSON, and its budget: images, epochs, steps and pixels.

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

PRECISIONS = ("float32", "tf32", "bf16")  # the first is the default


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long a trial trains, on which images, and how it is evaluated.

    The budget is part of a trial's key, so trials with different budgets are never compared.
    """

    epochs: int
    train_examples: int  # images per epoch
    batch_size: int  # images per step
    image_size: int  # pixels a side that the network sees
    evaluate_on: str = "test"  # "test" or "validation", which is held out of training; choices are made on the latter
    # Optimiser steps after which a trial ends, whatever its epochs.  Schedules still span all epochs.
    max_steps: int | None = None
    # Training error in percent, without augmentation and dropout, whose first crossing is timed in steps (figure 1).
    threshold_percent: float | None = None
    threshold_every: int = 50  # steps between two looks at that error
    threshold_examples: int = 1000  # training images of a look, the same ones in every look
    stop_at_threshold: bool = False  # the trial ends at the threshold, and is evaluated only then
    precision: str = PRECISIONS[0]  # of products in training steps on a GPU; evaluation is always in float32
    base_size: int = 0  # pixels a side of the stored images, from which crops are taken; 0: as Spec.stored_ratio says
    evaluate_every: int = 1  # epochs from one evaluation to the next; the last epoch always ends with one
    read_window: int = 0  # images that are shuffled together, for a set larger than memory; 0: all of them
    learning_rate: float | None = None  # of the reference, where it is not its preset's

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of one epoch; the last batch may be smaller."""
        return -(-self.train_examples // self.batch_size)

    @property
    def steps(self) -> int:
        """Optimiser steps of a whole trial, if nothing ends it early."""
        return min(self.epochs * self.steps_per_epoch, self.max_steps or sys.maxsize)

    @property
    def evaluations(self) -> int:
        """How many evaluations a whole trial has."""
        return 1 if self.stop_at_threshold else -(-self.epochs // self.evaluate_every)

    @property
    def at_rate(self) -> str:
        """` at a learning rate of 0.03`, to follow the name of a preset; empty if the rate is the preset's own."""
        return "" if self.learning_rate is None else f" at a learning rate of {self.learning_rate:g}"

    def evaluates(self, epoch: int) -> bool:
        """Tells whether a trial is evaluated after `epoch`, which counts from one, if it is not the last."""
        return not self.stop_at_threshold and epoch % self.evaluate_every == 0

    def given(self, spec: Spec) -> Spec:
        """Returns `spec` with what the budget says in its place: the ratio of its crops, and the learning rate."""
        if self.base_size:
            spec = replace(spec, stored_ratio=self.base_size / self.image_size)
        return spec if self.learning_rate is None else replace(spec, learning_rate=self.learning_rate)

    def check(self, spec: Spec) -> None:
        """Raises ValueError when `spec` cannot be used under this budget.

        That is when its schedule would lower the rate by the error on test images, or by evaluations that are not
        made, and when stored images leave no room for its crops or views.
        """
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
    """Returns the config of a trial, from which its key is made: plain JSON without default values."""
    return {"preset": preset, "budget": sparse(budget), "spec": sparse(spec)}


def spec_of(config: Config) -> Spec:
    """Returns the network, data treatment and recipe of a trial."""
    return _spec(json.dumps(config["spec"], sort_keys=True))


@functools.lru_cache(maxsize=4096)  # a report asks for the same few specs for every record
def _spec(text: str) -> Spec:
    return spec_from_dict(json.loads(text))


def budget_of(config: Config) -> Budget:
    """Returns the budget of a trial."""
    return Budget(**config["budget"])
