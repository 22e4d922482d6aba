"""How active a component is in a trained reference."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ablations.models.presets import PRESETS
from ablations.models.spec import Pool, Spec, stored_size
from ablations.subjects.alexnet.activity import Probe
from ablations.subjects.alexnet.components.pooling import non_overlapping
from ablations.subjects.alexnet.data.load import Data, load
from ablations.subjects.alexnet.data.prepare import prepare
from ablations.subjects.alexnet.registry import components
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.streams import CPU
from ablations.subjects.alexnet.training.train import start

SMALL = PRESETS["cifar_small"].spec


def probe_of(spec: Spec, data: Data, size: int = 16) -> Probe:
    """A probe of an untrained network, which is enough to measure on."""
    budget = Budget(epochs=1, train_examples=90, batch_size=32, image_size=size)
    network = start(spec, seed=0, budget=budget, data=data, device=CPU)
    return Probe(network, spec, seed=0, budget=budget, data=data, device=CPU)


@pytest.mark.parametrize("preset", ["cifar_small", "cuda_convnet_18pct", "cuda_convnet_11pct"])
def test_every_activity_can_be_measured_in_a_preset(preset: str, blobs: Path, cache: Path) -> None:
    spec = PRESETS[preset].spec
    folder = prepare(f"folder:{blobs}", data_root=None, size=stored_size(spec, 16), cache=cache, quiet=True)
    probe = probe_of(spec, load(folder))
    for name, component in components().items():
        activity = component.activity.measure(probe)
        assert math.isfinite(activity) and activity >= 0, name


def test_activities_are_measured_on_images_of_every_class(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    # A folder's images lie class by class: the first of them are of one class.
    monkeypatch.setattr("ablations.subjects.alexnet.activity.BATCH", 12)
    probe = probe_of(SMALL, data)
    for part in (probe.training, probe.evaluation, probe.training.part(3)):
        assert torch.bincount(part.labels, minlength=3).tolist() == [part.count // 3] * 3


def test_a_rewrite_that_changes_the_size_of_a_map_is_measured_on_untrained_networks(data: Data) -> None:
    # 3/2 windows of 16 pixels give 7, 2/2 windows 8: the trained fc6 does not fit.
    blocks = tuple(replace(block, pool=Pool(size=3, stride=2) if block.pool else None) for block in SMALL.blocks)
    probe = probe_of(replace(SMALL, blocks=blocks), data)
    change = probe.logit_change(non_overlapping)
    assert change > 0 and change == probe.initial_logit_change(non_overlapping)


def test_a_batch_normalisation_that_has_seen_no_batch_is_measured_on_the_one_at_hand(data: Data) -> None:
    # With its initial statistics, a mean of 0 and a variance of 1, it would look like nothing.
    assert components()["batch_norm"].activity.measure(probe_of(SMALL, data)) > 0.1


def test_a_path_changes_with_the_optimiser_and_the_schedule_and_not_with_the_weights_in_place(data: Data) -> None:
    probe = probe_of(SMALL, data)
    before = {name: weight.clone() for name, weight in probe.network.state_dict().items()}
    assert probe.path_change(lambda spec: spec) == 0
    # The rate falls all along a cosine, so the two forms of momentum part ways.
    assert 0 < probe.path_change(lambda spec: replace(spec, optimizer="sgd_original")) < 1
    assert probe.path_change(lambda spec: replace(spec, schedule="constant")) > 0.1
    assert probe.path_change(lambda spec: replace(spec, flip=False, learning_rate=spec.learning_rate)) == pytest.approx(
        0
    )
    assert all(torch.equal(weight, before[name]) for name, weight in probe.network.state_dict().items())
