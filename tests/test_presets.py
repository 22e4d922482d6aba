"""Every registered preset, by being registered; and each against something outside."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from ablations.registry import derive
from ablations.types import Budget, Trial, Variant
from models.layers import NORMS
from models.layout import Layer, layout
from models.network import build
from models.presets import PRESETS
from models.spec import Spec

every_preset = pytest.mark.parametrize("name", PRESETS)


def of(name: str, image_size: int | None = None) -> tuple[Layer, ...]:
    preset = PRESETS[name]
    return layout(preset.spec, num_classes=preset.classes, image_size=image_size or preset.spec.image_size)


def trial(name: str, *departures: tuple[str, str], seed: int = 0) -> Trial:
    variant = Variant(departures=departures)
    return Trial(
        variant=variant,
        seed=seed,
        budget=Budget(epochs=1, train_examples=128, batch_size=128, image_size=32),
        dataset="cifar10",
        fingerprint="feedbeef",
        preset=name,
        spec=derive(PRESETS[name].spec, variant),
    )


@pytest.mark.parametrize(
    ("name", "reference", "departed"),
    [
        # Since it follows the text in alpha, in the form of momentum and in its ten views; no record was older.
        ("paper", "b9af83dfc3a9", "6a74201018e8"),
        ("cifar", "c3f9831ad381", "1b6a46896bfb"),
        ("cifar_small", "baa1b86e335c", "f6744df1e131"),
    ],
)
def test_records_of_the_first_studies_keep_their_keys(name: str, reference: str, departed: str) -> None:
    # Computed before the fields of the other presets were added.
    assert trial(name).key == reference
    assert trial(name, ("bias_init", "one"), ("lrn", "off"), seed=3).key == departed


@pytest.mark.parametrize(
    ("name", "maps", "pooled"),
    [
        ("original_code", [55, 27, 13, 13, 13], [27, 13, 13, 13, 6]),  # 224 and rounding up
        ("caffe", [55, 27, 13, 13, 13], [27, 13, 13, 13, 6]),  # 227
        ("torchvision", [55, 27, 13, 13, 13], [27, 13, 13, 13, 6]),  # 224 and a padding of 2
        ("keras_zero_based", [54, 27, 13, 13, 13], [27, 13, 13, 13, 6]),
        ("cuda_convnet_18pct", [32, 16, 8], [16, 8, 4]),  # as cuda-convnet's wiki logs them
        ("cuda_convnet_11pct", [24, 12, 6, 6], [12, 6, 6, 6]),
    ],
)
def test_the_maps_of_a_preset_are_those_of_a_hand_count(name: str, maps: list[int], pooled: list[int]) -> None:
    convolutions = of(name)[: len(maps)]
    assert [layer.map_size for layer in convolutions] == maps
    assert [layer.pooled_size for layer in convolutions] == pooled


def test_the_weights_of_the_13_percent_net_are_those_of_a_hand_count() -> None:
    assert [layer.parameters for layer in of("cuda_convnet_13pct")] == [
        5 * 5 * 3 * 64 + 64,
        5 * 5 * 64 * 64 + 64,
        36 * (3 * 3 * 64 * 32 + 32),  # 6x6 positions, each with weights and biases of its own
        36 * (3 * 3 * 32 * 32 + 32),
        36 * 32 * 10 + 10,
    ]


def layers_of(name: str, block: str) -> list[str]:
    """The names of the layers of one block, in the order in which they run."""
    spec = PRESETS[name].spec
    with torch.device("meta"):
        network = build(spec, num_classes=10, image_size=spec.image_size)
    return [child for child, _ in network.get_submodule(f"features.{block}").named_children()]


@pytest.mark.parametrize(
    ("name", "block", "expected"),
    [
        ("original_code", "conv1", ["border", "conv", "norm", "pool", "activation"]),
        ("original_code", "conv2", ["conv", "activation", "norm", "extra_norm", "pool"]),
        ("original_code", "conv5", ["conv", "pool", "activation"]),
        ("caffe", "conv1", ["conv", "activation", "norm", "pool"]),
        ("caffenet", "conv1", ["conv", "activation", "pool", "norm"]),
        ("keras_zero_based", "conv1", ["conv", "norm", "activation", "pool"]),
        ("torchvision", "conv1", ["conv", "activation", "pool"]),
        ("cuda_convnet_18pct", "conv1", ["conv", "pool", "activation", "norm"]),
        ("cuda_convnet_11pct", "conv1", ["conv", "activation", "pool", "norm"]),
        ("cuda_convnet_11pct", "conv2", ["conv", "activation", "norm", "pool"]),
        ("vgg_a_lrn", "conv1", ["conv", "activation", "norm", "pool"]),
    ],
)
def test_layers_stand_in_the_order_of_the_source(name: str, block: str, expected: list[str]) -> None:
    assert layers_of(name, block) == expected


def test_the_paper_normalises_and_steps_as_its_text_prints_it_and_the_code_as_torch_does() -> None:
    x = torch.randn(2, 12, 3, 3, generator=torch.Generator().manual_seed(0)) * 100
    for name, alpha in (("paper", 5e-4), ("original_code", 1e-4)):  # torch divides by n = 5
        norm = PRESETS[name].spec.blocks[0].norm
        assert norm is not None
        torch.testing.assert_close(NORMS["lrn"](norm, 12)(x), nn.LocalResponseNorm(5, alpha=alpha, beta=0.75, k=2.0)(x))
        assert PRESETS[name].spec.optimizer == "sgd_original"


def test_one_step_each_way_lies_between_the_papers_text_and_its_code() -> None:
    paper, code = PRESETS["paper"].spec, PRESETS["original_code"].spec
    there = derive(paper, Variant(departures=(("lrn", "alpha_over_n"),)))
    assert there.blocks[0].norm == code.blocks[0].norm
    assert derive(there, Variant(departures=(("lrn", "paper_formula"),))) == paper
    assert derive(paper, Variant(departures=(("optimizer", "sgd"),))) == replace(paper, optimizer="sgd")


def test_the_clean_arm_of_the_11_percent_claim_is_lrn_off() -> None:
    spec = PRESETS["cuda_convnet_11pct"].spec
    without = derive(spec, Variant(departures=(("lrn", "off"),)))
    assert [replace(block, norm=None) for block in spec.blocks] == list(without.blocks)


@torch.no_grad()
def same_logits(spec: Spec, theirs: nn.Module, size: int) -> None:
    """Gives ours the other's weights by their order and compares the logits of random images."""
    ours = build(spec, num_classes=1000, image_size=size)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        mine.copy_(other)
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(5))
    expected: Tensor = theirs.eval()(images)
    assert expected.std() > 1e-3  # a network that says nothing agrees with any other
    torch.testing.assert_close(ours.eval()(images), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("size", [224, 96])  # the adaptive pooling is the identity at one of them
def test_torchvisions_alexnet_weights_give_the_same_logits(size: int) -> None:
    from torchvision.models import alexnet

    same_logits(PRESETS["torchvision"].spec, alexnet(), size)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "theirs"), [("vgg_a", "vgg11"), ("vgg_b", "vgg13"), ("vgg16", "vgg16"), ("vgg19", "vgg19")]
)
def test_torchvisions_vgg_weights_give_the_same_logits(name: str, theirs: str) -> None:
    from torchvision import models

    # Theirs averages the last map to 7x7, which is the identity at 224 pixels.
    same_logits(replace(PRESETS[name].spec, adaptive_pool=7), getattr(models, theirs)(), size=64)
