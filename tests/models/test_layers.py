"""ablations.models.layers, against torch's own layers and against the formulas."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ablations.models.layers import ACTIVATIONS, NORMS, POOLS, Dropout, LocalConv2d
from ablations.models.spec import Conv, Norm, Pool

LAYOUTS = [torch.contiguous_format, torch.channels_last]


def activations(*, channels: int = 12, dtype: torch.dtype = torch.float64, scale: float = 1.0) -> Tensor:
    """(B 3, C, H 4, W 5)."""
    generator = torch.Generator().manual_seed(7)
    return scale * torch.randn(3, channels, 4, 5, generator=generator, dtype=dtype)


def local(block: Conv, channels: int, size: int) -> LocalConv2d:
    """A locally connected layer of double precision with random weights and biases."""
    layer = LocalConv2d(channels, block, size).double()
    generator = torch.Generator().manual_seed(1)
    for weight in layer.parameters():
        weight.data.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64))
    return layer


@pytest.mark.parametrize("memory_format", LAYOUTS)
@pytest.mark.parametrize(
    ("stride", "pad", "groups", "side"), [(1, 1, 1, 5), (1, 0, 1, 3), (2, 1, 1, 3), (1, 1, 2, 5), (2, 0, 2, 2)]
)
def test_a_local_layer_is_a_loop_over_positions_each_with_weights_of_its_own(
    stride: int, pad: int, groups: int, side: int, memory_format: torch.memory_format
) -> None:
    block = Conv(channels=6, kernel=3, stride=stride, pad=pad, groups=groups, local=True)
    layer = local(block, channels=4, size=side)
    x = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    padded, expected = F.pad(x, (pad,) * 4), torch.empty(2, 6, side, side, dtype=torch.float64)
    # (P, O, C / groups, kernel, kernel) and (O, P)
    weight, bias = layer.weight.detach().view(side**2, 6, 4 // groups, 3, 3), layer.bias.detach().view(6, -1)
    for row in range(side):
        for column in range(side):
            window = padded[:, :, row * stride : row * stride + 3, column * stride : column * stride + 3]
            for output in range(6):
                group = output // (6 // groups)
                seen = window[:, group * (4 // groups) : (group + 1) * (4 // groups)]
                position = row * side + column
                total = (seen * weight[position, output]).sum(dim=(1, 2, 3))
                expected[:, output, row, column] = total + bias[output, position]
    torch.testing.assert_close(layer(x.contiguous(memory_format=memory_format)), expected)


@pytest.mark.parametrize(("stride", "pad", "groups", "side"), [(1, 1, 1, 4), (2, 1, 2, 2), (2, 0, 1, 1)])
def test_the_gradient_of_a_local_layer_is_its_finite_difference(stride: int, pad: int, groups: int, side: int) -> None:
    layer = local(Conv(channels=4, kernel=3, stride=stride, pad=pad, groups=groups, local=True), channels=2, size=side)
    x = torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64).requires_grad_()

    def run(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (x,))
        return result

    assert torch.autograd.gradcheck(run, (x, layer.weight, layer.bias))


def test_a_local_layer_writes_channels_last_which_the_layers_behind_it_are_fastest_in() -> None:
    layer = local(Conv(channels=6, kernel=3, pad=1, local=True), channels=4, size=5)
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    assert layer(x).is_contiguous(memory_format=torch.channels_last)


def test_a_local_layer_with_equal_weights_everywhere_is_a_convolution() -> None:
    layer = local(Conv(channels=6, kernel=3, pad=1, local=True), channels=4, size=5)
    layer.weight.data.copy_(layer.weight.data[:1].expand_as(layer.weight))
    layer.bias.data.zero_()
    x = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    torch.testing.assert_close(layer(x), F.conv2d(x, layer.weight[0].view(6, 4, 3, 3), padding=1))


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("relu", lambda x: x.clamp(min=0)),
        ("tanh", torch.tanh),
        ("sigmoid", torch.sigmoid),
        ("none", lambda x: x),
        ("leaky_relu", lambda x: torch.maximum(x, 0.01 * x)),
        ("elu", lambda x: torch.where(x > 0, x, x.exp() - 1)),
        ("gelu", lambda x: x * torch.special.ndtr(x)),
        ("silu", lambda x: x * torch.sigmoid(x)),
    ],
)
def test_an_activation_is_the_function_of_its_name(name: str, theirs: Callable[[Tensor], Tensor]) -> None:
    x = activations()
    torch.testing.assert_close(ACTIVATIONS[name]()(x), theirs(x))


def test_every_activation_keeps_its_input() -> None:
    for make in ACTIVATIONS.values():
        x = activations()
        make()(x)
        torch.testing.assert_close(x, activations())


@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_keeps_the_shape_and_takes_the_channels(norm: str) -> None:
    x = activations(dtype=torch.float32)
    assert NORMS[norm](Norm(kind=norm), 12)(x).shape == x.shape


def test_pools_are_torchs_and_an_average_leaves_the_padding_out() -> None:
    x = activations()
    pool = Pool(size=3, stride=2, pad=1)
    torch.testing.assert_close(POOLS["max"](pool)(x), F.max_pool2d(x, 3, 2, 1))
    corner = POOLS["average"](pool)(x)[:, :, 0, 0]
    torch.testing.assert_close(corner, x[:, :, :2, :2].mean(dim=(2, 3)))


def masked(rescale: str, rate: float = 0.5, seed: int = 3) -> Tensor:
    """A long vector of ones (B 1, features 40,000) after dropout in training."""
    layer = Dropout(rate, rescale)
    layer.generator = torch.Generator().manual_seed(seed)
    y: Tensor = layer(torch.ones(1, 40_000))
    return y


@pytest.mark.parametrize("rate", [0.5, 0.3])
def test_dropout_zeroes_at_its_rate(rate: float) -> None:
    share = (masked("train", rate) == 0).double().mean().item()
    assert abs(share - rate) < 5 * (rate * (1 - rate) / 40_000) ** 0.5  # five standard errors of a binomial share


def test_dropout_rescales_in_training_or_in_test_and_never_in_both() -> None:
    x = activations(dtype=torch.float32)[:, :, 0, 0]
    assert masked("train", 0.3).unique().tolist() == [0.0, pytest.approx(1 / 0.7)]
    assert masked("test", 0.3).unique().tolist() == [0.0, 1.0]
    torch.testing.assert_close(Dropout(0.3, "train").eval()(x), x)
    torch.testing.assert_close(Dropout(0.3, "test").eval()(x), x * 0.7)


def test_the_gradient_of_dropout_is_its_mask() -> None:
    layer = Dropout(0.5, "train")
    layer.generator = torch.Generator().manual_seed(0)
    x = torch.ones(4, 50, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, y.detach())


def test_dropout_masks_come_from_its_stream_alone() -> None:
    torch.manual_seed(1)
    first = masked("train")
    torch.manual_seed(2)
    assert torch.equal(masked("train"), first)
    assert not torch.equal(masked("train", seed=4), first)


def test_dropout_in_training_without_a_stream_is_refused() -> None:
    with pytest.raises(RuntimeError, match="initialise"):
        Dropout(0.5, "train")(torch.ones(1, 2))


def test_an_unknown_rescale_is_refused_with_the_allowed_ones() -> None:
    with pytest.raises(ValueError, match="'both'; allowed: 'train', 'test'"):
        Dropout(0.5, "both")


def test_batch_normalisation_is_torchs() -> None:
    assert isinstance(NORMS["batch"](Norm(kind="batch"), 12), nn.BatchNorm2d)
