"""Optimisers, schedules, and which weight gets which rate and decay."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from ablations.core.identity import sparse
from ablations.models.init import initialise
from ablations.models.network import Network, build
from ablations.models.presets import PRESETS
from ablations.models.spec import Spec
from ablations.subjects.alexnet.training.optimizers import (
    OPTIMIZERS,
    PATIENCE,
    SCHEDULES,
    SGD,
    Adam,
    AdamW,
    Optimizer,
    OriginalSGD,
    Rate,
    optimizer_of,
    set_learning_rates,
)
from ablations.subjects.alexnet.training.streams import CPU, streams

SMALL = replace(PRESETS["cifar_small"].spec, warm_up=0.0)


def network_of(spec: Spec = SMALL) -> Network:
    size = min(spec.image_size, 32)
    return initialise(build(spec, num_classes=10, image_size=size), spec, streams(0), CPU)


def steps(make: str, spec: Spec, gradients: list[float], rates: list[float], start: float = 1.0) -> list[float]:
    """Where one weight is after each step."""
    weight = torch.nn.Parameter(torch.tensor([[start]]))
    groups = [{"params": [weight], "weight_decay": spec.weight_decay}]
    optimizer = OPTIMIZERS[make](groups, lr=spec.learning_rate, momentum=spec.momentum)
    path = []
    for gradient, rate in zip(gradients, rates, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
        weight.grad = torch.tensor([[gradient]])
        optimizer.step()
        path.append(weight.item())
    return path


GRADIENTS = [0.3, -0.1, 0.7, 0.2, 0.4]
RATES = [0.1, 0.1, 0.01, 0.01, 0.01]


def test_the_original_update_is_that_of_section_5() -> None:
    # v <- .9 v - decay * rate * w - rate * gradient; w <- w + v
    weight, velocity, expected = 1.0, 0.0, []
    for gradient, rate in zip(GRADIENTS, RATES, strict=True):
        velocity = 0.9 * velocity - 0.05 * rate * weight - rate * gradient
        weight += velocity
        expected.append(weight)
    spec = replace(SMALL, weight_decay=0.05)
    assert steps("sgd_original", spec, GRADIENTS, RATES) == pytest.approx(expected)


def test_the_two_forms_of_momentum_agree_until_the_rate_drops() -> None:
    ours, torchs = (steps(name, SMALL, GRADIENTS, RATES) for name in ("sgd_original", "sgd"))
    assert ours[:2] == pytest.approx(torchs[:2])
    assert abs(ours[2] - torchs[2]) > 0.01  # the velocity still holds the old rate


@pytest.mark.parametrize(
    ("our", "theirs", "momentum", "options"),
    [
        (SGD, torch.optim.SGD, 0.9, {"momentum": 0.9}),
        (SGD, torch.optim.SGD, 0.0, {"momentum": 0.0}),
        (Adam, torch.optim.Adam, 0.8, {"betas": (0.8, 0.999)}),
        (AdamW, torch.optim.AdamW, 0.8, {"betas": (0.8, 0.999), "weight_decay": 0.0}),
    ],
)
def test_an_optimiser_of_torch_is_torchs_own_to_the_bit(
    our: type[Optimizer], theirs: Any, momentum: float, options: dict[str, Any]
) -> None:
    random = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=random) for shape in ((5, 3, 2, 2), (5,), (4, 5))]
    start[0] = start[0].contiguous(memory_format=torch.channels_last)
    ours, torchs = ([torch.nn.Parameter(weight.clone()) for weight in start] for _ in range(2))

    def groups(weights: list[torch.nn.Parameter]) -> list[dict[str, Any]]:
        return [{"params": [weights[0], weights[2]], "weight_decay": 0.1}, {"params": [weights[1]]}]

    optimizers = [our(groups(ours), lr=0.1, momentum=momentum), theirs(groups(torchs), lr=0.1, fused=True, **options)]
    for step in range(5):
        gradients = [torch.randn(weight.shape, generator=random) for weight in start]
        for optimizer, weights in zip(optimizers, (ours, torchs), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = 0.1 / (step + 1)
            optimizer.zero_grad()
            assert all(weight.grad is None for weight in weights)
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient.clone()
            optimizer.step()
        assert all(torch.equal(one, other) for one, other in zip(ours, torchs, strict=True))
    assert not torch.equal(ours[1], start[1])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_goes_downhill_and_decays_the_weight(name: str) -> None:
    spec = replace(SMALL, weight_decay=0.5)
    assert steps(name, spec, [1.0], [0.1])[0] < 1
    assert steps(name, spec, [0.0], [0.1], start=2.0)[0] < 2


def test_decay_joins_the_gradient_in_adam_and_not_in_adamw() -> None:
    spec = replace(SMALL, weight_decay=0.5)
    # Adam's first step is the rate whatever the gradient's size; decoupled decay is rate * decay * weight.
    assert steps("adam", spec, [1.0], [0.1], start=2.0)[0] == pytest.approx(2 - 0.1)
    assert steps("adamw", spec, [1.0], [0.1], start=2.0)[0] == pytest.approx(2 - 0.1 * 0.5 * 2 - 0.1)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_starts_at_the_learning_rate_and_never_rises(name: str) -> None:
    factors = [SCHEDULES[name](done / 1000) for done in range(1000)]
    assert factors[0] == 1
    assert all(later <= earlier for earlier, later in pairwise(factors))
    assert factors[-1] >= 0


@pytest.mark.parametrize(
    ("name", "epochs", "of", "expected"),
    [
        ("step_30_60", [0, 29.9, 30, 60, 89], 90, [1, 1, 0.1, 0.01, 0.01]),
        ("late_160", [0, 139.9, 140, 150, 159], 160, [1, 1, 0.1, 0.01, 0.01]),
        ("caffe_alexnet", [99, 100, 200, 300, 359], 360, [1, 0.1, 0.01, 0.001, 0.001]),
        ("exponential_4", [0, 22, 23, 46, 68, 89.9], 90, [1, 1, 250 ** (-1 / 3), 250 ** (-2 / 3), 1 / 250, 1 / 250]),
    ],
)
def test_a_schedule_falls_where_its_source_says(name: str, epochs: list[float], of: int, expected: list[float]) -> None:
    assert [SCHEDULES[name](epoch / of) for epoch in epochs] == pytest.approx(expected)


def rates_and_decays(spec: Spec, *, done: float) -> dict[str, tuple[float, float]]:
    network = network_of(spec)
    optimizer = optimizer_of(network, spec)
    set_learning_rates(optimizer, Rate(spec).at(done), done=done)
    names = {id(weight): name for name, weight in network.named_parameters()}
    return {
        names[id(weight)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for weight in group["params"]
    }


def test_biases_learn_at_their_own_rate_and_do_not_decay() -> None:
    found = rates_and_decays(replace(SMALL, bias_lr_factor=2.0), done=0.0)
    for name, value in found.items():
        assert value == ((0.04, 0.0) if name.endswith("bias") else (0.02, 5e-4)), name
    assert set(rates_and_decays(replace(SMALL, decay_biases=True), done=0.0).values()) == {(0.02, 5e-4)}


def test_a_frozen_layer_stops_learning_when_its_share_of_the_training_is_done() -> None:
    first, *rest = SMALL.blocks
    spec = replace(SMALL, blocks=(replace(first, frozen_from=0.8), *rest), schedule="constant")
    for done, rate in ((0.79, 0.02), (0.8, 0.0), (0.99, 0.0)):
        found = rates_and_decays(spec, done=done)
        assert {value[0] for name, value in found.items() if "conv1" in name} == {rate}
        assert {value[0] for name, value in found.items() if "conv1" not in name} == {0.02}


def test_decay_differs_by_layer_in_the_18_percent_net() -> None:
    found = rates_and_decays(PRESETS["cuda_convnet_18pct"].spec, done=0.0)
    decays = {name: decay for name, (_, decay) in found.items() if name.endswith("weight")}
    assert decays.pop("classifier.fc4.weight") == pytest.approx(1.0)  # wc of the parameter file
    assert set(decays.values()) == {0.004}


def test_the_biases_of_a_local_layer_count_as_biases() -> None:
    found = rates_and_decays(PRESETS["cuda_convnet_13pct"].spec, done=0.0)
    assert found["features.conv3.conv.bias"] == (0.002, 0.0)
    assert found["features.conv3.conv.weight"] == (0.001, 0.004)


def test_every_weight_is_in_one_group() -> None:
    for name in ("cifar_small", "cuda_convnet_11pct"):
        spec = PRESETS[name].spec
        network = network_of(spec)
        grouped: list[Tensor] = [w for group in optimizer_of(network, spec).param_groups for w in group["params"]]
        assert sorted(map(id, grouped)) == sorted(map(id, network.parameters()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"optimizer": "adm"}, "unknown optimizer 'adm'; did you mean 'adam'"), ({"schedule": "cosin"}, "'cosine'")],
)
def test_an_unknown_optimiser_or_schedule_is_refused_with_the_nearest(changes: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        optimizer_of(network_of(), replace(SMALL, **changes))  # type: ignore[arg-type]


def test_a_plateau_divides_by_ten_after_its_patience_and_three_times_at_most() -> None:
    rate = Rate(replace(SMALL, schedule="plateau", learning_rate=1.0))
    for error in (50.0, 40.0, 45.0, 41.0, 39.0):  # a new best now and then
        rate.observe(error)
        assert rate.at(0.5) == 1
    rates = []
    for _ in range(5 * PATIENCE):
        rate.observe(39.0)  # as good is not better
        rates.append(rate.at(0.5))
    expected = [0.1 ** min(3, count // PATIENCE) for count in range(1, 5 * PATIENCE + 1)]
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("share", [0.1, 0.25])
def test_a_warm_up_rises_linearly_from_a_tenth_of_the_schedules_rate_to_it(name: str, share: float) -> None:
    spec = replace(SMALL, schedule=name)
    warm, own = Rate(replace(spec, warm_up=share)), Rate(replace(spec, warm_up=0.0))
    # By hand: .1 + .9 * 0, .1 + .9 / 2, .1 + .9 of the schedule's own rate, and its own from there on.
    for done, factor in ((0.0, 0.1), (share / 2, 0.55), (share, 1.0), (2 * share, 1.0), (0.99, 1.0)):
        assert warm.at(done) == pytest.approx(factor * own.at(done), rel=1e-12)


def test_without_a_warm_up_the_rate_is_the_schedules_and_the_key_knows_of_none() -> None:
    for name in SCHEDULES:
        rate = Rate(replace(SMALL, schedule=name, warm_up=0.0))
        assert [rate.at(done) for done in (0.0, 0.3)] == [
            SMALL.learning_rate * SCHEDULES[name](done) for done in (0.0, 0.3)
        ]
    assert "warm_up" not in sparse(replace(SMALL, warm_up=0.0))
    assert sparse(replace(SMALL, warm_up=0.1))["warm_up"] == 0.1


def test_errors_do_not_move_any_other_schedule() -> None:
    for name in SCHEDULES:
        watched, alone = (Rate(replace(SMALL, schedule=name)) for _ in range(2))
        for _ in range(3 * PATIENCE):
            watched.observe(10.0)
        assert (watched.at(0.4) == alone.at(0.4)) == (name != "plateau")


def test_a_weight_without_a_gradient_stays_where_it_is() -> None:
    weight = torch.nn.Parameter(torch.ones(2, 2))
    OriginalSGD([{"params": [weight]}], lr=0.1, momentum=0.9).step()
    assert torch.equal(weight.detach(), torch.ones(2, 2))
