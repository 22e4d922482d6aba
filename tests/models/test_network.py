"""ablations.models.network: the one builder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ablations.models.init import initialise
from ablations.models.network import Network, build
from ablations.models.presets import PRESETS
from ablations.models.spec import Conv, Dense, Norm, Pool, Spec
from ablations.subjects.alexnet.training.streams import CPU, streams

SMALL = PRESETS["cifar_small"].spec


def network_of(spec: Spec = SMALL, *, seed: int = 0) -> Network:
    return initialise(build(spec, num_classes=10, image_size=32), spec, streams(seed), CPU)


def images(count: int = 4, size: int = 32) -> Tensor:
    """(B count, C 3, H size, W size)."""
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(5))


def names(module: nn.Module) -> list[str]:
    return [name for name, _ in module.named_children()]


def test_layers_have_the_papers_names() -> None:
    network = network_of()
    assert names(network.features) == ["conv1", "conv2", "conv3", "conv4", "conv5"]
    assert [name for name in names(network.classifier) if "_" not in name] == ["fc6", "fc7", "fc8"]


def test_a_network_is_the_chain_of_functions_that_its_spec_lists() -> None:
    network, x = network_of().eval(), images()
    weights = dict(network.named_parameters())
    for index, block in enumerate(SMALL.blocks, start=1):
        name = f"features.conv{index}.conv"
        x = F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], 1, block.pad, groups=block.groups).relu()
        if block.norm:
            x = F.local_response_norm(x, 5, block.norm.alpha, 0.75, block.norm.k)
        if block.pool:
            x = F.max_pool2d(x, 3, 2, 1)
    x = x.flatten(1)
    for name in ("fc6", "fc7"):
        x = F.linear(x, weights[f"classifier.{name}.weight"], weights[f"classifier.{name}.bias"]).relu()
    expected = F.linear(x, weights["classifier.fc8.weight"], weights["classifier.fc8.bias"])
    torch.testing.assert_close(network(images()), expected)


@pytest.mark.slow
def test_the_builder_makes_torchvisions_alexnet_from_a_spec() -> None:
    from torchvision.models import alexnet

    pool = Pool(size=3, stride=2)
    spec = Spec(
        blocks=(
            Conv(channels=64, kernel=11, stride=4, pad=2, pool=pool),
            Conv(channels=192, kernel=5, pad=2, pool=pool),
            Conv(channels=384, kernel=3, pad=1),
            Conv(channels=256, kernel=3, pad=1),
            Conv(channels=256, kernel=3, pad=1, pool=pool),
        ),
        hidden=(Dense(features=4096, dropout=0.5),) * 2,
        dropout_place="before",
        image_size=224,
        learning_rate=0.01,
    )
    ours, theirs = build(spec, num_classes=1000, image_size=224), alexnet()
    assert sum(parameter.numel() for parameter in ours.parameters()) == 61_100_840  # torchvision's documentation
    with torch.no_grad():
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            mine.copy_(other)
        torch.testing.assert_close(ours.eval()(images(2, 224)), theirs.eval()(images(2, 224)))


@pytest.mark.slow
def test_the_paper_trains_one_step_at_full_size() -> None:
    spec = PRESETS["paper"].spec
    network = initialise(build(spec, num_classes=1000, image_size=224), spec, streams(0), CPU)
    logits = network(60 * images(2, 224))
    F.cross_entropy(logits, torch.tensor([1, 2])).backward()
    assert logits.shape == (2, 1000)
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


def test_the_memory_layout_does_not_change_the_logits() -> None:
    network = network_of().eval()
    expected = network(images())
    network = network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(
        network(images().contiguous(memory_format=torch.channels_last)), expected, rtol=1e-4, atol=1e-5
    )


def test_the_order_of_a_block_is_the_order_of_its_layers() -> None:
    block = replace(SMALL.blocks[0], order=("norm", "pool", "activation"))
    network = network_of(replace(SMALL, blocks=(block, *SMALL.blocks[1:])))
    assert names(network.get_submodule("features.conv1")) == ["conv", "norm", "pool", "activation"]
    assert names(network.get_submodule("features.conv2")) == ["conv", "activation", "norm", "pool"]
    assert names(network.get_submodule("features.conv3")) == ["conv", "activation"]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("after", ["fc6", "fc6_activation", "fc6_dropout", "fc7", "fc7_activation", "fc7_dropout", "fc8"]),
        ("before", ["fc6_dropout", "fc6", "fc6_activation", "fc7_dropout", "fc7", "fc7_activation", "fc8"]),
    ],
)
def test_dropout_stands_where_the_spec_puts_it(place: str, expected: list[str]) -> None:
    assert names(network_of(replace(SMALL, dropout_place=place)).classifier) == expected


def test_a_rate_of_zero_leaves_no_dropout_layer() -> None:
    spec = replace(SMALL, hidden=tuple(replace(layer, dropout=0.0) for layer in SMALL.hidden))
    assert not [name for name in names(network_of(spec).classifier) if "dropout" in name]


def test_a_grouped_convolution_reads_only_its_own_half() -> None:
    conv2 = network_of().get_submodule("features.conv2.conv")
    x = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[:, 8:] += 1
    before, after = conv2(x), conv2(changed)
    assert torch.equal(before[:, :16], after[:, :16])
    assert not torch.equal(before[:, 16:], after[:, 16:])


def test_a_second_normalisation_follows_the_first_wherever_that_stands() -> None:
    block = replace(SMALL.blocks[0], extra_norm=Norm(kind="same_map"))
    early = replace(block, order=("norm", "activation", "pool"))
    network = network_of(replace(SMALL, blocks=(block, early, *SMALL.blocks[2:])))
    assert names(network.get_submodule("features.conv1")) == ["conv", "activation", "norm", "extra_norm", "pool"]
    assert names(network.get_submodule("features.conv2")) == ["conv", "norm", "extra_norm", "activation", "pool"]


@pytest.mark.parametrize(("size", "side", "zeros"), [(224, 55, 3), (227, 55, 0), (32, 7, 3), (35, 7, 0), (33, 7, 2)])
def test_rounding_a_map_up_reads_zeros_to_the_right_and_below(size: int, side: int, zeros: int) -> None:
    block = Conv(channels=2, kernel=11, stride=4, ceil=True)
    spec = Spec(blocks=(block,), hidden=(), image_size=size, learning_rate=0.1)
    conv1 = initialise(build(spec, num_classes=2, image_size=size), spec, streams(0), CPU).get_submodule(
        "features.conv1"
    )
    conv, x = conv1.get_submodule("conv"), images(1, size)
    assert isinstance(conv, nn.Conv2d)
    expected = F.conv2d(F.pad(x, (0, zeros, 0, zeros)), conv.weight, conv.bias, 4).relu()
    assert expected.shape[-1] == side
    torch.testing.assert_close(conv1(x), expected)


@pytest.mark.parametrize(
    ("size", "side", "behind", "local"),
    [(224, 55, 0, False), (32, 7, 0, False), (33, 8, 3, False), (32, 7, 0, True), (33, 8, 3, True)],
)
def test_zeros_before_a_map_lie_above_and_to_the_left(size: int, side: int, behind: int, local: bool) -> None:
    # By hand: (3 + 33 - 11) / 4 is 6.25, which rounds up to 7, so that the last window ends at 7 * 4 + 11 = 39 of 36.
    block = Conv(channels=2, kernel=11, stride=4, pad_before=3, ceil=True, local=local, activation="none")
    spec = Spec(blocks=(block,), hidden=(), image_size=size, learning_rate=0.1)
    made = initialise(build(spec, num_classes=2, image_size=size), spec, streams(0), CPU)
    conv1, x = made.get_submodule("features.conv1"), images(1, size)
    expected = conv1.get_submodule("conv")(F.pad(x, (3, behind, 3, behind)))
    assert expected.shape[-1] == side
    torch.testing.assert_close(conv1(x), expected)
    # A pixel in the first corner is read by the first window at its fourth row and column.
    corner = torch.zeros(1, 3, size, size)
    corner[:, 1, 0, 0] = 1.0
    conv = conv1.get_submodule("conv")
    if isinstance(conv, nn.Conv2d):
        assert conv.bias is not None
        torch.testing.assert_close(conv1(corner)[0, :, 0, 0], conv.weight[:, 1, 3, 3] + conv.bias)


def test_an_adaptive_pool_makes_the_first_linear_layer_the_same_for_every_image_size() -> None:
    spec = replace(SMALL, adaptive_pool=3)
    small, large = (build(spec, num_classes=10, image_size=size).eval() for size in (32, 64))
    large.load_state_dict(small.state_dict())
    x = images(2, 64)
    features = F.adaptive_avg_pool2d(small.features(x), 3).flatten(1)
    assert features.shape == (2, 32 * 3 * 3)
    torch.testing.assert_close(large(x), small.classifier(features))


def test_a_removed_layer_hands_on_what_it_reads_and_its_pooling_stays() -> None:
    first, second, *rest = SMALL.blocks
    fc6, fc7 = SMALL.hidden
    spec = replace(
        SMALL, blocks=(first, replace(second, removed=True), *rest), hidden=(replace(fc6, removed=True), fc7)
    )
    network = network_of(spec).eval()
    assert names(network.features) == ["conv1", "conv2", "conv3", "conv4", "conv5"]
    assert names(network.get_submodule("features.conv2")) == ["pool"]
    assert [name for name in names(network.classifier) if "_" not in name] == ["fc7", "fc8"]
    conv3, fc7_layer = network.get_submodule("features.conv3.conv"), network.get_submodule("classifier.fc7")
    assert isinstance(conv3, nn.Conv2d) and isinstance(fc7_layer, nn.Linear)
    assert (conv3.in_channels, fc7_layer.in_features) == (16, 32 * 4 * 4)
    assert network(images()).shape == (4, 10)


def first_block(**changes: object) -> Spec:
    block = replace(SMALL.blocks[0], **changes)  # type: ignore[arg-type]
    return replace(SMALL, blocks=(block, *SMALL.blocks[1:]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: first_block(activation="rely"), "unknown activation 'rely'; did you mean 'relu'.*sigmoid"),
        (lambda: first_block(norm=Norm(kind="batsh")), "unknown norm 'batsh'; did you mean 'batch'"),
        (lambda: first_block(pool=Pool(kind="mean")), "unknown pool 'mean'.*average, max"),
        (lambda: first_block(order=("activation", "pool")), "order is .* each of activation, norm, pool once"),
        (lambda: replace(SMALL, dropout_place="befor"), "unknown dropout_place 'befor'; did you mean 'before'"),
        (lambda: replace(SMALL, hidden=(Dense(features=4, activation="swish"),)), "unknown activation 'swish'"),
        (lambda: replace(SMALL, dropout_rescale="never"), "dropout_rescale is 'never'"),
    ],
)
def test_a_name_that_would_leave_a_layer_out_is_refused(make: Callable[[], Spec], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(make(), num_classes=10, image_size=32)
