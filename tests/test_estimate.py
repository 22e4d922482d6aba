"""How long a study will take: what is timed, and what is not worth it."""

from __future__ import annotations

import pytest

from ablations import estimate
from ablations.data.load import Data
from ablations.streams import CPU
from models.spec import Spec
from tests.conftest import Planner


def test_initial_weights_are_not_timed_so_that_lsuv_costs_a_plan_nothing(
    plan: Planner, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[Spec] = []

    def pace(spec: Spec, *rest: object) -> estimate.Pace:
        timed.append(spec)
        return estimate.Pace(step=1.0, image=1.0, images=1)

    monkeypatch.setattr(estimate, "_time", pace)
    study, trials = plan(words=["weight_init=lsuv", "bias_init=one", "weight_init=paper", "grouping"])
    expected = estimate.seconds_a_trial(trials, data, threads=1, device=CPU)
    assert len(timed) == 2  # the reference and the full convolutions
    assert all(spec.weight_init == "kaiming" for spec in timed)
    assert expected.keys() == set(study.variants)
