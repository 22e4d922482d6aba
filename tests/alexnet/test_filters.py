"""The first layer's kernels: kept with the reference alone, and read back as they were trained."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from ablations.analysis.verdicts import Findings
from ablations.core.result import Result
from ablations.core.subject import Place
from ablations.records.store import read_result, trial_path
from ablations.reporting.document import Picture, Table
from ablations.subjects.alexnet import filters
from ablations.subjects.alexnet.report.filters import section, share, split_p
from ablations.subjects.alexnet.setting import budget_of, spec_of
from ablations.subjects.alexnet.training.train import train
from ablations.subjects.alexnet.trial import open_data
from tests import synthetic
from tests.conftest import Planner
from tests.making import run_trial


def test_the_record_of_a_reference_keeps_its_first_kernels_and_no_other_record_does(
    plan: Planner, place: Place
) -> None:
    reference, departed = plan()[1][:2]
    run_trial(reference, place)
    result, _ = read_result(trial_path(place.folder, reference.key))
    assert result is not None
    kept = filters.unpack(result.extras["filters"])
    cpu = torch.device("cpu")
    data = open_data(reference, place, cpu)
    spec, budget = spec_of(reference.config), budget_of(reference.config)
    again = train(spec, seed=reference.seed, budget=budget, data=data, device=cpu)
    conv1 = again.network.get_submodule("features.conv1.conv")
    assert isinstance(conv1, nn.Conv2d) and kept is not None
    np.testing.assert_allclose(kept, conv1.weight.detach().numpy(), rtol=1e-3, atol=1e-6)  # ten bits of float16
    assert run_trial(departed, place).extras == {}


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


def half_grey(noise: float, seed: int) -> np.ndarray:
    """(48, 3, 5, 5): 24 kernels of brightness and 24 of colour alone, and noise over all."""
    random = np.random.default_rng(seed)
    kernels = random.normal(size=(48, 3, 5, 5))
    kernels[:24] = kernels[:24].mean(axis=1, keepdims=True)
    kernels[24:] -= kernels[24:].mean(axis=1, keepdims=True)
    return kernels + noise * random.normal(size=kernels.shape)


def test_the_share_of_colour_is_zero_of_brightness_one_of_opponents_and_two_thirds_of_noise() -> None:
    grey, colour = half_grey(0, 0)[:24], half_grey(0, 0)[24:]
    assert share(grey) == pytest.approx(np.zeros(24), abs=1e-12)
    assert share(colour) == pytest.approx(np.ones(24))
    assert share(np.random.default_rng(0).normal(size=(4000, 3, 5, 5))).mean() == pytest.approx(2 / 3, abs=0.005)
    assert share(np.zeros((1, 3, 2, 2))) == 0


def test_a_split_by_colour_is_found_and_one_by_lot_is_not() -> None:
    kernels = share(half_grey(0.3, 0))
    assert split_p(kernels[:24], kernels[24:]) < 0.001
    assert split_p(kernels[::2], kernels[1::2]) > 0.2


def with_kernels(result: Result, kernels: str) -> Result:
    return replace(result, extras={"filters": kernels})


def test_the_report_draws_the_filters_by_the_groups_of_the_next_layer() -> None:
    study, trials = synthetic.plan("one_out", ["lrn"], seeds=2)
    assert spec_of(trials[0].config).blocks[1].groups == 2
    results = [
        one if one.trial.variant.departures else with_kernels(one, filters.pack(half_grey(0.1, one.trial.seed)))
        for one in synthetic.results(trials)
    ]
    found = section(Findings(study=study, results=results))
    assert found is not None
    (picture,) = [block for block in found.blocks if isinstance(block, Picture)]
    assert re.search(r"group 1: 24 filters, \d% colour; group 2: 24 filters, 9\d% colour", picture.alternative)
    assert picture.svg.count("data:image/png;base64") == 2
    (table,) = [block for block in found.blocks if isinstance(block, Table)]
    assert [row[0] for row in table.rows] == ["0", "1"] and all(row[4] == "<0.001" for row in table.rows)
    assert "at p below 0.05 in 2 of 2" in str(found.blocks[-1])
    assert section(Findings(study=study, results=synthetic.results(trials))) is None  # of records without kernels


def test_grey_images_have_a_picture_and_no_statistic_of_colour() -> None:
    study, trials = synthetic.plan("one_out", ["lrn"], seeds=1)
    kernels = filters.pack(half_grey(1, 0)[:, :1])
    found = section(Findings(study=study, results=[with_kernels(synthetic.results(trials)[0], kernels)]))
    assert found is not None and [type(block) for block in found.blocks] == [Picture]
