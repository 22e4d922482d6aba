"""The first layer's kernels: kept with the reference alone, and read back as they were trained."""

from __future__ import annotations

import base64
import io

import numpy as np
import torch
from torch import nn

from ablations import filters
from ablations.store import read_result, trial_path
from ablations.train import train
from ablations.trial import Context, open_data, run_trial
from tests.conftest import Planner


def test_the_record_of_a_reference_keeps_its_first_kernels_and_no_other_record_does(
    plan: Planner, context: Context
) -> None:
    reference, departed = plan()[1][:2]
    run_trial(reference, context)
    result, _ = read_result(trial_path(context.folder, reference.key))
    assert result is not None
    kept = filters.unpack(result.filters)
    cpu = torch.device("cpu")
    data = open_data(reference, context, cpu)
    again = train(reference.spec, seed=reference.seed, budget=reference.budget, data=data, device=cpu)
    conv1 = again.network.get_submodule("features.conv1.conv")
    assert isinstance(conv1, nn.Conv2d) and kept is not None
    np.testing.assert_allclose(kept, conv1.weight.detach().numpy(), rtol=1e-3, atol=1e-6)  # ten bits of float16
    assert run_trial(departed, context).filters == ""


def test_kernels_of_two_hundred_kilobytes_take_half_of_that_and_a_third_for_base64() -> None:
    paper = np.random.default_rng(0).normal(size=(96, 3, 11, 11))
    assert len(filters.pack(paper)) < 2 * paper.size * 4 / 3 + 300


def test_what_cannot_be_read_is_none_and_nothing_is_unpickled() -> None:
    whole = filters.pack(np.ones((2, 3, 5, 5)))
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    pickled = base64.b64encode(buffer.getvalue()).decode()
    for text in (
        "",
        whole[:80],
        "?",
        pickled,
        filters.pack(np.ones((2, 3))),
        filters.pack(np.full((1, 3, 1, 1), np.nan)),
    ):
        assert filters.unpack(text) is None
    assert filters.unpack(whole) is not None
