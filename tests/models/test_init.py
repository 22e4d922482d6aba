"""ablations.models.init: weights from named streams, the base of every paired comparison."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ablations.core.variant import Variant
from ablations.models.init import initialise
from ablations.models.layers import Dropout, LocalConv2d
from ablations.models.network import Network, build
from ablations.models.presets import PRESETS
from ablations.models.spec import Spec, described
from ablations.subjects.alexnet.registry import components, derive
from ablations.subjects.alexnet.training.streams import CPU, stream, streams


def without_deviations(spec: Spec) -> Spec:
    """`spec` in which `weight_init` draws the weights of every layer."""
    blocks = tuple(replace(block, weight_std=None) for block in spec.blocks)
    hidden = tuple(replace(layer, weight_std=None) for layer in spec.hidden)
    return replace(spec, blocks=blocks, hidden=hidden, classifier_weight_std=None)


SMALL = PRESETS["cifar_small"].spec
# Those of the presets' hidden layers are N(0, .02) whatever the scheme, which these are not.
FREE, WIDE = without_deviations(SMALL), without_deviations(PRESETS["cifar"].spec)
EVERY_LEVEL = [(name, level) for name, component in components().items() for level in component.levels]


def images(size: int = 32) -> Tensor:
    """A batch (B 24, 3, size, size) that "lsuv" looks at."""
    return torch.randn(24, 3, size, size, generator=torch.Generator().manual_seed(7)) * 1.7 + 0.3


def network_of(spec: Spec, *, seed: int = 0) -> Network:
    network = build(spec, num_classes=10, image_size=32)
    return initialise(network, spec, streams(seed, salt=spec.stream_salt), CPU, images)


def step(network: Network) -> Tensor:
    """Logits (B 4, 10) of one training pass forwards and backwards."""
    network.train()
    images = torch.linspace(-1, 1, 4 * 3 * 32 * 32).reshape(4, 3, 32, 32)
    logits: Tensor = network(images)
    F.cross_entropy(logits, torch.arange(4)).backward()
    return logits.detach()


def paper_like() -> Spec:
    """`cifar_small` with the paper's weights and biases."""
    biases = (0.0, 1.0, 0.0, 1.0, 1.0)
    blocks = tuple(replace(block, weight_std=0.01, bias=bias) for block, bias in zip(SMALL.blocks, biases, strict=True))
    hidden = tuple(replace(layer, weight_std=0.01, bias=1.0) for layer in SMALL.hidden)
    return replace(SMALL, blocks=blocks, hidden=hidden, classifier_weight_std=0.01)


def layers(network: Network) -> dict[str, nn.Conv2d | nn.Linear]:
    return {name: layer for name, layer in network.named_modules() if isinstance(layer, (nn.Conv2d, nn.Linear))}


def kind(layer: nn.Conv2d | nn.Linear) -> tuple[object, ...]:
    """The shape of the weights and the groups."""
    return (layer.weight.shape, layer.groups if isinstance(layer, nn.Conv2d) else 1)


def has_std(weights: Tensor, expected: float) -> bool:
    """Within five standard errors, std / sqrt(2 n), and centred to five of its own."""
    count = weights.numel()
    near: bool = abs(weights.std().item() / expected - 1) < 5 / (2 * count) ** 0.5
    centred: bool = abs(weights.mean().item()) < 5 * expected / count**0.5
    return near and centred


def test_weights_are_kaiming_normal_over_the_fan_in() -> None:
    network = network_of(WIDE)
    # He et al. 2015, equation 10; the fan-in of a grouped layer is that of its group.
    fan_ins = {"conv1": 3 * 25, "conv2": 24 * 25, "conv3": 128 * 9, "conv4": 96 * 9, "conv5": 96 * 9}
    fan_ins |= {"fc6": 128 * 16, "fc7": 2048, "fc8": 2048}
    found = {name.removesuffix(".conv").split(".")[-1]: layer for name, layer in layers(network).items()}
    assert found.keys() == fan_ins.keys()
    for name, fan_in in fan_ins.items():
        assert has_std(found[name].weight, (2 / fan_in) ** 0.5), name


def test_weights_are_the_papers_where_the_spec_says_so() -> None:
    for name, layer in layers(network_of(paper_like())).items():
        assert has_std(layer.weight, 0.01), name


def in_scheme(scheme: str, spec: Spec = FREE) -> dict[str, nn.Conv2d | nn.Linear]:
    return layers(network_of(replace(spec, weight_init=scheme)))


def test_torchs_default_has_the_spread_of_torchs_own_layers() -> None:
    for name, layer in in_scheme("torch_default", WIDE).items():
        # Uniform within 1 / sqrt(fan-in): weights as kaiming_uniform with a = sqrt(5), biases too.
        bound = layer.weight[0].numel() ** -0.5
        assert layer.bias is not None
        for values in (layer.weight, layer.bias):
            # Nearly reached where there are many; of 10 draws the largest is below a half once in a thousand.
            assert bound * (0.99 if values.numel() > 1000 else 0.5) < values.abs().max() <= bound, name
        assert abs(layer.weight.std().item() / (bound / 3**0.5) - 1) < 5 / layer.weight.numel() ** 0.5, name


def test_glorots_scheme_is_uniform_with_the_variance_of_equation_16() -> None:
    for name, layer in in_scheme("glorot").items():
        fan_in, outputs = layer.weight[0].numel(), layer.weight.shape[0]
        fan_out = outputs * (layer.weight[0, 0].numel() if isinstance(layer, nn.Conv2d) else 1)
        bound = (6 / (fan_in + fan_out)) ** 0.5
        assert layer.weight.abs().max() <= bound
        assert abs(layer.weight.std().item() / (bound / 3**0.5) - 1) < 5 / layer.weight.numel() ** 0.5, name
        assert layer.bias is not None and not layer.bias.any()


def test_glorots_scheme_for_rectifiers_is_torchs_with_its_gain() -> None:
    plain, scaled = in_scheme("glorot"), in_scheme("glorot_relu")
    for name, layer in scaled.items():
        torch.testing.assert_close(layer.weight, plain[name].weight * nn.init.calculate_gain("relu"))
    conv = scaled["features.conv3.conv"]  # not grouped: torch's fan-out of a grouped layer is another one
    theirs = nn.init.xavier_uniform_(
        torch.empty(conv.weight.shape), nn.init.calculate_gain("relu"), generator=torch.Generator().manual_seed(0)
    )
    assert has_std(conv.weight, theirs.std().item()) and not has_std(
        plain["features.conv3.conv"].weight, theirs.std().item()
    )
    assert conv.weight.abs().max().item() == pytest.approx(theirs.abs().max().item(), rel=1e-2)


def test_every_scheme_starts_from_the_same_draws() -> None:
    normal, uniform = in_scheme("kaiming"), in_scheme("torch_default")
    for name in normal:
        assert torch.equal(
            normal[name].weight.flatten().argsort()[:100], uniform[name].weight.flatten().argsort()[:100]
        )


def test_a_bias_is_the_middle_of_torchs_default_draw() -> None:
    ones = replace(FREE, weight_init="torch_default", classifier_bias=1.0)
    zeros = replace(ones, classifier_bias=0.0)
    one, zero = (layers(network_of(spec))["classifier.fc8"].bias for spec in (ones, zeros))
    assert one is not None and zero is not None
    torch.testing.assert_close(one, zero + 1)


LSUV = replace(FREE, weight_init="lsuv")
# By what stands between layers, and one with weights that positions do not share.
LSUV_SPECS = {
    "reference": LSUV,
    "tanh": derive(LSUV, Variant(departures=(("activation", "tanh"), ("lrn", "off")))),
    "batch_norm": derive(LSUV, Variant(departures=(("batch_norm", "on"), ("dropout", "rescale_test")))),
    "local": derive(PRESETS["cuda_convnet_13pct"].spec, Variant(departures=(("weight_init", "lsuv"),))),
    "paper_like": derive(paper_like(), Variant(departures=(("weight_init", "lsuv"),))),
}


@torch.no_grad()
def variances(network: Network, batch: Tensor) -> dict[str, float]:
    """Of all that each layer writes for `batch`, found by hooks of our own."""
    found: dict[str, float] = {}
    kinds = (nn.Conv2d, nn.Linear, LocalConv2d)
    for name, layer in network.named_modules():
        if isinstance(layer, kinds):
            layer.register_forward_hook(
                lambda _, inputs, outputs, name=name: found.update({name: outputs.double().var(correction=0).item()})
            )
    for module in network.modules():
        module.train(isinstance(module, nn.BatchNorm2d))  # statistics of the batch, but no dropout
    network(batch)
    return found


@pytest.mark.parametrize("name", LSUV_SPECS)
def test_lsuv_gives_every_layers_outputs_the_variance_1_on_its_images(name: str) -> None:
    spec = LSUV_SPECS[name]
    found = variances(network_of(spec), images())
    assert len(found) == len(described(spec))
    # The authors' program stops at .02 from 1.
    assert all(abs(value - 1) < 0.021 for value in found.values()), found
    plain = variances(network_of(replace(spec, weight_init="kaiming")), images())
    assert any(abs(value - 1) > 0.2 for value in plain.values())


def test_lsuv_starts_from_the_orthonormal_matrices_that_torch_draws() -> None:
    found = in_scheme("lsuv", derive(FREE, Variant(departures=(("grouping", "full"),))))
    for name, layer in found.items():
        role = name.removesuffix(".conv").split(".")[-1]
        theirs = nn.init.orthogonal_(torch.empty(layer.weight.shape), generator=stream(0, f"init/{role}"))
        ratio = layer.weight.norm() / theirs.norm()  # LSUV's one factor
        torch.testing.assert_close(layer.weight.detach(), theirs * ratio, rtol=1e-3, atol=1e-5)


def test_each_group_of_a_grouped_layer_is_orthonormal_by_itself() -> None:
    layer = in_scheme("lsuv")["features.conv4.conv"]
    for rows in layer.weight.detach().flatten(1).chunk(2):
        gram = rows @ rows.T
        torch.testing.assert_close(gram / gram[0, 0], torch.eye(len(gram)), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "departure", [("activation", "tanh"), ("lrn", "off"), ("batch_norm", "on"), ("depth", "no_conv3")]
)
def test_under_lsuv_two_variants_start_from_the_same_weights_up_to_a_factor_a_layer(departure: tuple[str, str]) -> None:
    ours, theirs = layers(network_of(LSUV)), layers(network_of(derive(LSUV, Variant(departures=(departure,)))))
    shared = [name for name in ours if name in theirs and kind(ours[name]) == kind(theirs[name])]
    assert len(shared) >= 6
    assert torch.equal(ours["features.conv1.conv"].weight, theirs["features.conv1.conv"].weight)
    for name in shared:
        one, other = ours[name].weight, theirs[name].weight
        torch.testing.assert_close(one / one.norm(), other / other.norm(), rtol=1e-5, atol=1e-7)


def test_lsuv_leaves_the_network_as_untrained_as_it_was_and_moves_no_generator() -> None:
    spec = LSUV_SPECS["batch_norm"]
    before = torch.get_rng_state()
    network = network_of(spec)
    assert torch.equal(torch.get_rng_state(), before) and all(module.training for module in network.modules())
    assert not any(module._forward_hooks for module in network.modules())
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.num_batches_tracked == 0 and not module.running_mean.any()  # type: ignore[union-attr]
        if isinstance(module, Dropout):
            assert module.generator is not None
            assert any(
                torch.equal(module.generator.get_state(), stream(0, f"dropout/{name}").get_state())
                for name, _ in network.named_modules()
            )


def test_a_layer_with_a_deviation_of_its_own_keeps_it_under_lsuv() -> None:
    spec = replace(LSUV, classifier_weight_std=0.01)
    assert has_std(layers(network_of(spec))["classifier.fc8"].weight, 0.01)
    assert torch.equal(
        layers(network_of(spec))["classifier.fc7"].weight, layers(network_of(LSUV))["classifier.fc7"].weight
    )


def test_lsuv_refuses_images_that_are_missing_or_all_alike() -> None:
    network = build(LSUV, num_classes=10, image_size=32)
    with pytest.raises(ValueError, match="scales weights by training images, and was given none"):
        initialise(network, LSUV, streams(0), CPU)
    with pytest.raises(ValueError, match="the outputs of conv1 do not vary"):
        initialise(network, LSUV, streams(0), CPU, lambda: torch.zeros(4, 3, 32, 32))


def test_an_unknown_scheme_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown weight_init 'kaimin'; did you mean 'kaiming'"):
        in_scheme("kaimin")


def test_a_local_layer_draws_at_every_position_and_a_grouped_one_keeps_its_blocks() -> None:
    def weight(groups: int) -> Tensor:
        block = replace(SMALL.blocks[1], local=True, groups=groups, weight_std=1.0, pool=None)
        network = network_of(replace(SMALL, blocks=(SMALL.blocks[0], block, *SMALL.blocks[2:])))
        found = network.get_submodule("features.conv2.conv").weight
        assert isinstance(found, Tensor)
        return found.detach()

    dense, grouped = weight(1), weight(2)  # (P, O, C / groups * kernel^2)
    assert not torch.equal(dense[0], dense[1])
    outputs, inputs = dense.shape[1] // 2, dense.shape[2] // 2
    assert torch.equal(grouped, torch.cat([dense[:, :outputs, :inputs], dense[:, outputs:, inputs:]], dim=1))


def test_biases_are_the_papers_where_the_spec_says_so() -> None:
    named = dict(network_of(paper_like()).named_parameters())
    found = [weight.unique().tolist() for name, weight in named.items() if name.endswith("bias")]
    assert found == [[0], [1], [0], [1], [1], [1], [1], [0]]


def test_a_grouped_layer_takes_the_block_diagonal_of_the_dense_draw() -> None:
    dense_spec = derive(SMALL, Variant(departures=(("grouping", "full"),)))
    grouped, dense = layers(network_of(SMALL)), layers(network_of(dense_spec))
    for name in ("features.conv2.conv", "features.conv4.conv", "features.conv5.conv"):
        ours, whole = grouped[name].weight, dense[name].weight
        outputs, inputs = whole.shape[0] // 2, whole.shape[1] // 2
        corners = torch.cat([whole[:outputs, :inputs], whole[outputs:, inputs:]])
        # Half the fan-in: sqrt(2) times the standard deviation.
        torch.testing.assert_close(ours, corners * 2**0.5)
    assert torch.equal(grouped["features.conv3.conv"].weight, dense["features.conv3.conv"].weight)


@pytest.mark.parametrize("departure", EVERY_LEVEL)
def test_a_variant_starts_from_the_references_weights_wherever_the_shapes_agree(departure: tuple[str, str]) -> None:
    spec = derive(SMALL, Variant(departures=(departure,)))
    ours, theirs = layers(network_of(SMALL)), layers(network_of(spec))
    # A weight of one shape may still be another layer: conv5 of the narrow network is not grouped.
    shared = [name for name in ours if name in theirs and kind(ours[name]) == kind(theirs[name])]
    assert shared and (ours.keys() == theirs.keys() if departure[0] != "depth" else ours.keys() > theirs.keys())
    if departure[0] == "weight_init":
        return  # whose very point is other weights; that they come from the same draws has a test of its own
    equal = [torch.equal(ours[name].weight, theirs[name].weight) for name in shared]
    assert all(equal) if not spec.stream_salt else not any(equal)


def test_a_layers_weights_do_not_depend_on_how_many_layers_came_before() -> None:
    fewer = replace(SMALL, hidden=SMALL.hidden[:1])
    assert torch.equal(
        layers(network_of(SMALL))["classifier.fc6"].weight, layers(network_of(fewer))["classifier.fc6"].weight
    )


def test_the_seed_changes_every_weight_and_the_same_seed_none() -> None:
    first, again, other = (layers(network_of(SMALL, seed=seed)) for seed in (0, 0, 1))
    for name in first:
        assert torch.equal(first[name].weight, again[name].weight)
        assert not torch.equal(first[name].weight, other[name].weight)


def test_no_two_layers_share_a_draw() -> None:
    starts = [layer.weight.flatten()[:8] / layer.weight.std() for layer in layers(network_of(SMALL)).values()]
    assert all((one - two).abs().max() > 0.1 for one, two in pairwise(starts))


def test_each_dropout_layer_has_a_stream_of_its_own() -> None:
    network = network_of(SMALL)
    states = {
        name: module.generator.get_state()
        for name, module in network.named_modules()
        if isinstance(module, Dropout) and module.generator
    }
    assert states.keys() == {"classifier.fc6_dropout", "classifier.fc7_dropout"}
    for name, state in states.items():
        assert torch.equal(state, stream(0, f"dropout/{name}").get_state())


def test_the_masks_of_one_layer_stay_when_the_other_is_switched_off() -> None:
    def fc7_mask(spec: Spec) -> Tensor:
        network = network_of(spec)
        masks: list[Tensor] = []
        layer = network.get_submodule("classifier.fc7_dropout")
        layer.register_forward_pre_hook(lambda _, inputs: (torch.ones_like(inputs[0]),))
        layer.register_forward_hook(lambda _, inputs, output: masks.append(output.detach()))
        step(network)
        return masks[0]

    first, second = SMALL.hidden
    without_fc6 = replace(SMALL, hidden=(replace(first, dropout=0.0), second))
    assert torch.equal(fc7_mask(SMALL), fc7_mask(without_fc6))


def test_the_global_generator_neither_moves_nor_matters() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    logits = step(network_of(SMALL))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(step(network_of(SMALL)), logits)
