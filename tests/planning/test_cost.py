"""How long a study will take: what is timed, and what is not worth it."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch

from ablations.models.spec import Spec
from ablations.subjects.alexnet import timing
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.streams import CPU
from tests import making
from tests.conftest import Planner


def test_initial_weights_are_not_timed_so_that_lsuv_costs_a_plan_nothing(
    plan: Planner, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[Spec] = []

    def pace(spec: Spec, *rest: object) -> timing.Pace:
        timed.append(spec)
        return timing.Pace(step=1.0, image=1.0, images=1)

    monkeypatch.setattr(timing, "_time", pace)
    study, trials = plan(words=["weight_init=lsuv", "bias_init=one", "weight_init=paper", "grouping"])
    expected = making.seconds_a_trial(trials, data, threads=1, device=CPU)
    assert len(timed) == 2  # the reference and the full convolutions
    assert all(spec.weight_init == "kaiming" for spec in timed)
    assert expected.keys() == set(study.variants)


@pytest.mark.parametrize("threads", [1, 2])
def test_one_thread_is_timed_by_its_processor_time(
    threads: int, plan: Planner, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = plan()[1][0]
    before = torch.get_num_threads()
    counted: list[int] = []

    def waits(network: object, evaluation: object, *, limit: int) -> None:
        counted.append(limit)
        time.sleep(0.3)  # as if other processes had the processor

    monkeypatch.setattr(timing, "evaluate", waits)
    try:
        (pace,) = timing.paces_of([trial], data, threads=threads, device=CPU).values()
    finally:
        torch.set_num_threads(before)
    assert (pace.image * counted[0] >= 0.3) is (threads == 2)


@pytest.mark.parametrize(
    ("changes", "evaluated"),
    [
        ({}, 5 * 20),
        ({"evaluate_every": 2}, 3 * 20),  # after epochs 2, 4 and 5
        ({"evaluate_every": 9}, 20),
        ({"stop_at_threshold": True, "threshold_percent": 25.0, "threshold_every": 3}, 20 + 5 * 60),
    ],
)
def test_a_trial_takes_its_steps_and_what_it_evaluates(changes: dict[str, Any], evaluated: int) -> None:
    budget = Budget(epochs=5, train_examples=60, batch_size=20, image_size=16, **changes)
    pace = timing.Pace(step=100.0, image=1.0, images=20)
    # Fifteen steps; at the end as many training images as there are evaluation images, and by ten views both again.
    assert timing.seconds(budget, pace, views=1) == (1500 + evaluated, 20)
    assert timing.seconds(budget, pace, views=10) == (1500 + evaluated, 400)
