"""ablations.models.layout: map sizes, parameters and multiply-accumulates, against hand counts and built networks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from ablations.core.variant import Variant
from ablations.models.layout import Layer, layout, macs, parameters, pooled_size
from ablations.models.network import build
from ablations.models.presets import PRESETS
from ablations.models.spec import Conv, Dense, Pool, Spec
from ablations.subjects.alexnet.registry import components, derive

PAPER = PRESETS["paper"].spec
EVERY_LEVEL = [(name, level) for name, component in components().items() for level in component.levels]


def of(spec: Spec, *departures: tuple[str, str], classes: int = 1000) -> tuple[Layer, ...]:
    return layout(derive(spec, Variant(departures=departures)), num_classes=classes, image_size=spec.image_size)


def test_the_paper_has_60_965_224_parameters() -> None:
    assert parameters(of(PAPER)) == 60_965_224


def test_the_weights_of_each_layer_of_the_paper_are_those_of_a_hand_count() -> None:
    assert {layer.name: layer.weights for layer in of(PAPER)} == {
        "conv1": 11 * 11 * 3 * 96,  # 34,848
        "conv2": 5 * 5 * 48 * 256,  # 307,200: each group reads 48 maps (3.5)
        "conv3": 3 * 3 * 256 * 384,  # 884,736
        "conv4": 3 * 3 * 192 * 384,  # 663,552
        "conv5": 3 * 3 * 192 * 256,  # 442,368
        "fc6": 6 * 6 * 256 * 4096,
        "fc7": 4096 * 4096,
        "fc8": 4096 * 1000,
    }
    assert [layer.weights for layer in of(PAPER)][:5] == [34_848, 307_200, 884_736, 663_552, 442_368]
    assert [layer.biases for layer in of(PAPER)] == [96, 256, 384, 384, 256, 4096, 4096, 1000]


def test_the_maps_of_the_paper_are_55_27_13_13_13_and_6() -> None:
    assert [layer.map_size for layer in of(PAPER)[:5]] == [55, 27, 13, 13, 13]
    assert [layer.pooled_size for layer in of(PAPER)[:5]] == [27, 13, 13, 13, 6]


def test_the_multiply_accumulates_of_the_paper_are_724_million() -> None:
    millions = [round(layer.macs / 1e6, 1) for layer in of(PAPER)]
    assert millions[:5] == [105.4, 223.9, 149.5, 112.1, 74.8]
    assert round(sum(layer.macs for layer in of(PAPER)[5:]) / 1e6, 1) == 58.6
    assert round(macs(of(PAPER)) / 1e6, 1) == 724.4


@pytest.mark.parametrize(
    ("departure", "published_parameters", "million_macs"),
    [
        (("width", "half"), 59_798_312, 391.5),  # the released one-GPU layer file, 145-half
        (("grouping", "full"), 62_378_344, 1135.3),  # the common ungrouped copies
    ],
)
def test_published_relatives_of_the_paper_have_their_published_sizes(
    departure: tuple[str, str], published_parameters: int, million_macs: float
) -> None:
    layers = of(PAPER, departure)
    assert parameters(layers) == published_parameters
    assert round(macs(layers) / 1e6, 1) == million_macs


@pytest.mark.parametrize("preset", PRESETS)
def test_the_layout_of_any_level_is_that_of_the_built_network(preset: str) -> None:
    reference, seen = PRESETS[preset].spec, set[object]()
    for departure in EVERY_LEVEL:
        spec = derive(reference, Variant(departures=(departure,)))
        # All that `build` reads of it: levels that change how it is trained build the same network again.
        built = (spec.blocks, spec.hidden, spec.adaptive_pool, spec.dropout_place, spec.dropout_rescale)
        if built in seen:
            continue
        seen.add(built)
        try:
            matches_the_network(spec, reference.image_size)
        except AssertionError as error:
            error.add_note(f"under {departure}")
            raise
    assert len(seen) > 10


@pytest.mark.parametrize("image_size", [24, 32, 33, 47])
@pytest.mark.parametrize(
    "pool", [Pool(ceil=True), Pool(ceil=True, pad=1), Pool(size=2, ceil=True), Pool(size=2, stride=3)]
)
def test_the_layout_of_other_poolings_is_that_of_the_built_network(pool: Pool, image_size: int) -> None:
    spec = PRESETS["cifar_small"].spec
    blocks = tuple(replace(block, pool=pool if block.pool else None) for block in spec.blocks)
    matches_the_network(replace(spec, blocks=blocks), image_size)


SEEN: dict[tuple[str, int], dict[str, tuple[int, ...]]] = {}


def shapes(network: nn.Module, image_size: int) -> dict[str, tuple[int, ...]]:
    """What each module of a network on the meta device puts out; networks of equal modules are run once."""
    parts = [(name, type(part), _settings(part)) for name, part in network.named_modules()]
    if (key := (str(parts), image_size)) not in SEEN:
        seen = SEEN[key] = {}

        def watch(name: str, module: nn.Module) -> None:
            module.register_forward_hook(lambda _, inputs, output: seen.update({name: tuple(output.shape)}))

        for name, module in network.named_modules():
            watch(name, module)
        with torch.device("meta"):
            network(torch.empty(2, 3, image_size, image_size))
    return SEEN[key]


def _settings(module: nn.Module) -> dict[str, object]:
    """Its own attributes and the sizes of its weights: what it prints leaves some out."""
    own = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    return {**own, **{name: weight.shape for name, weight in module.named_parameters(recurse=False)}}


def matches_the_network(spec: Spec, image_size: int) -> None:
    """Compares with what torch does; on the meta device shapes are computed and numbers are not."""
    with torch.device("meta"):
        network = build(spec, num_classes=10, image_size=image_size).eval()
    seen = shapes(network, image_size)
    layers = layout(spec, num_classes=10, image_size=image_size)
    for layer in layers:
        if not layer.weights:
            assert not any(name.startswith(f"classifier.{layer.name}") for name in seen)  # removed
            continue
        if layer.name.startswith("conv"):
            assert seen[f"features.{layer.name}.conv"] == (2, layer.outputs, layer.map_size, layer.map_size)
            assert seen[f"features.{layer.name}"] == (2, layer.outputs, layer.pooled_size, layer.pooled_size)
            block = network.get_submodule(f"features.{layer.name}")
        else:
            assert seen[f"classifier.{layer.name}"] == (2, layer.outputs)
            block = network.get_submodule(f"classifier.{layer.name}")
        sizes = [parameter.numel() for parameter in block.parameters()]
        assert sum(sizes) == layer.parameters
        assert max(sizes) == layer.weights
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters(layers)


def test_the_multiply_accumulates_are_half_of_what_torch_counts_as_flops() -> None:
    spec = derive(PRESETS["cifar"].spec, Variant(departures=(("grouping", "full"), ("lrn", "off"))))
    with torch.device("meta"):
        network, images = build(spec, num_classes=10, image_size=32).eval(), torch.empty(1, 3, 32, 32)
        with FlopCounterMode(display=False) as counter:
            network(images)
    assert 2 * macs(layout(spec, num_classes=10, image_size=32)) == counter.get_total_flops()


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("size", range(3, 20))
def test_a_pooled_size_is_that_of_torchs_max_pool(size: int, ceil: bool) -> None:
    for window, stride, pad in [(3, 2, 0), (3, 2, 1), (2, 2, 0), (2, 2, 1), (2, 3, 0), (2, 3, 1), (3, 3, 1)]:
        expected = F.max_pool2d(torch.zeros(1, 1, size, size), window, stride, pad, ceil_mode=ceil).shape[-1]
        assert pooled_size(size, Pool(size=window, stride=stride, pad=pad, ceil=ceil)) == expected


@pytest.mark.parametrize("preset", ["paper", "cifar", "cifar_small"])
def test_non_overlapping_pooling_keeps_the_size_of_every_map(preset: str) -> None:
    spec = PRESETS[preset].spec
    before, after = of(spec), of(spec, ("pooling", "non_overlapping"))
    assert [(layer.map_size, layer.pooled_size) for layer in before] == [
        (layer.map_size, layer.pooled_size) for layer in after
    ]


@pytest.mark.parametrize("image_size", [16, 24, 28, 29, 31, 32, 48])
def test_non_overlapping_pooling_keeps_the_maps_of_the_small_presets_at_other_image_sizes(image_size: int) -> None:
    spec = PRESETS["cifar_small"].spec
    departed = derive(spec, Variant(departures=(("pooling", "non_overlapping"),)))
    before, after = (layout(one, num_classes=10, image_size=image_size) for one in (spec, departed))
    assert [layer.pooled_size for layer in before] == [layer.pooled_size for layer in after]


def test_too_small_an_image_is_refused_with_the_layer_and_the_sizes() -> None:
    # By hand: conv1 (40 + 4 - 11) // 4 + 1 = 9, pooled 4; conv2 4, pooled 1; conv5 1, pooled (1 - 3) // 2 + 1 = 0.
    with pytest.raises(ValueError, match=r"image size 40 is too small: conv5 reads a 1x1 map.* 0x0 after pooling"):
        layout(PAPER, num_classes=10, image_size=40)
    with pytest.raises(ValueError, match="image size 6 is too small: conv1 reads a 6x6 map"):
        layout(PAPER, num_classes=10, image_size=6)
    with pytest.raises(ValueError, match="conv5"):
        build(PAPER, num_classes=10, image_size=40)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_smallest_image_that_is_accepted_runs(preset: str) -> None:
    spec = PRESETS[preset].spec

    def accepted(size: int) -> bool:
        try:
            layout(spec, num_classes=10, image_size=size)
        except ValueError:
            return False
        return True

    smallest = next(size for size in range(1, 300) if accepted(size))
    assert all(accepted(size) for size in range(smallest, smallest + 70))
    matches_the_network(spec, smallest)


def test_groups_that_do_not_divide_the_channels_are_refused_with_the_layer() -> None:
    spec = replace(PAPER, blocks=(Conv(channels=8, kernel=3, groups=2),))
    with pytest.raises(ValueError, match="conv1: 2 groups do not divide 3 -> 8 channels"):
        layout(spec, num_classes=10, image_size=32)


def test_a_grey_image_has_one_channel() -> None:
    spec = replace(PAPER, blocks=(Conv(channels=4, kernel=3),), hidden=(Dense(features=5),))
    layers = layout(spec, num_classes=2, image_size=5, channels=1)
    assert [layer.weights for layer in layers] == [3 * 3 * 1 * 4, 3 * 3 * 4 * 5, 5 * 2]
    logits: Tensor = build(spec, num_classes=2, image_size=5, channels=1)(torch.zeros(7, 1, 5, 5))
    assert logits.shape == (7, 2)
