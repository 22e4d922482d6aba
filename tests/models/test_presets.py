"""Every registered preset, by being registered; and each against something outside."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ablations.core.trial import Trial
from ablations.core.variant import Variant
from ablations.models.layers import NORMS
from ablations.models.layout import Layer, layout
from ablations.models.network import build
from ablations.models.presets import PRESETS
from ablations.models.spec import Dense, Spec, described
from ablations.subjects.alexnet.registry import derive
from ablations.subjects.alexnet.setting import Budget
from tests.making import trial_of

every_preset = pytest.mark.parametrize("name", PRESETS)


def of(name: str, image_size: int | None = None) -> tuple[Layer, ...]:
    preset = PRESETS[name]
    return layout(preset.spec, num_classes=preset.classes, image_size=image_size or preset.spec.image_size)


def trial(name: str, *departures: tuple[str, str], seed: int = 0) -> Trial:
    variant = Variant(departures=departures)
    budget = Budget(epochs=1, train_examples=128, batch_size=128, image_size=32)
    return trial_of(derive(PRESETS[name].spec, variant), budget, seed=seed, preset=name, variant=variant)


@pytest.mark.parametrize(
    ("name", "reference", "departed"),
    [
        # Since it follows the text in alpha, in the form of momentum and in its ten views; no record was older.
        ("paper", "b9af83dfc3a9", "6a74201018e8"),
        # Since their hidden layers are wide and their recipe was chosen on validation images.
        ("cifar", "e5a3a07d018e", "1b802c16b92e"),
        ("cifar_small", "3ec3978c2f4a", "4f2b8a9ed330"),
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
        ("keras_zero_based", [55, 27, 13, 13, 13], [27, 13, 13, 13, 6]),  # 3 + 224, and pools of 2/2
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
        ("keras_zero_based", "conv1", ["border", "conv", "norm", "activation", "pool"]),
        ("keras_zero_based", "conv2", ["conv", "norm", "activation", "pool"]),
        ("keras_zero_based", "conv5", ["conv", "activation", "pool"]),
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


def tensorflows_normalisation(x: Tensor) -> Tensor:
    """tf.nn.local_response_normalization as its documentation gives it, at its defaults, of (B, C, H, W)."""
    depth_radius, bias, alpha, beta = 5, 1.0, 1.0, 0.5
    rows = [
        x[:, d] / (bias + alpha * x[:, max(0, d - depth_radius) : d + depth_radius + 1].square().sum(1)) ** beta
        for d in range(x.shape[1])
    ]
    return torch.stack(rows, 1)


@torch.no_grad()
def test_the_keras_write_up_is_the_chain_of_functions_that_it_lists() -> None:
    few = replace(PRESETS["keras_zero_based"].spec, hidden=(Dense(features=20), Dense(features=20)))
    network = build(few, num_classes=10, image_size=64).eval()
    generator = torch.Generator().manual_seed(0)
    w: list[Tensor] = []
    for weight in network.parameters():
        weight.normal_(std=weight[0].numel() ** -0.5 if weight.dim() > 1 else 1.0, generator=generator)
        w.append(weight)
    images = torch.randn(3, 3, 64, 64, generator=generator)
    x = F.conv2d(F.pad(images, (3, 0, 3, 0)), w[0], w[1], 4)  # left and above; (3 + 64 - 11) / 4 + 1 = 15
    x = F.max_pool2d(tensorflows_normalisation(x).relu(), 2)
    x = F.max_pool2d(tensorflows_normalisation(F.conv2d(x, w[2], w[3], padding=2)).relu(), 2)
    x = F.conv2d(F.conv2d(x, w[4], w[5], padding=1), w[6], w[7], padding=1)  # no activation after either
    x = F.max_pool2d(F.conv2d(x, w[8], w[9], padding=1).relu(), 2).flatten(1)
    expected = F.linear(F.linear(F.linear(x, w[10], w[11]).relu(), w[12], w[13]).relu(), w[14], w[15])
    assert expected.std() > 0.1
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4)


def test_the_keras_write_up_draws_normal_weights_but_for_its_last_layer() -> None:
    spec = PRESETS["keras_zero_based"].spec
    *rest, last = described(spec).values()
    assert [part.weight_std for part in rest] == [0.01] * 7
    assert (last.weight_std, spec.weight_init) == (None, "glorot")
    assert {part.bias for part in (*rest, last)} == {0.0}
    assert [layer.dropout for layer in spec.hidden] == [0.5, 0.5] and spec.dropout_place == "after"


def test_without_an_activation_there_is_none_to_replace() -> None:
    spec = derive(PRESETS["keras_zero_based"].spec, Variant(departures=(("activation", "tanh"),)))
    assert [block.activation for block in spec.blocks] == ["tanh", "tanh", "none", "none", "tanh"]
    assert [layer.activation for layer in spec.hidden] == ["tanh", "tanh"]


def test_the_weights_of_the_second_net_of_vision_hist_are_those_of_a_hand_count() -> None:
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    features = [7 * 7 * 512, 4096, 4096, 10]  # five pools of 2/2 make 7 of 224
    expected = [9 * before * after + after for before, after in pairwise(widths)]
    expected += [before * after + after for before, after in pairwise(features)]
    assert [layer.parameters for layer in of("vision_hist_vgg16")] == expected
    assert sum(expected) == 134_301_514  # as its readme prints it


def test_the_second_net_of_vision_hist_has_the_recipe_of_the_first() -> None:
    first, second = PRESETS["vision_hist"].spec, PRESETS["vision_hist_vgg16"].spec
    assert {"blocks", "hidden", "weight_init", "classifier_weight_std", "image_size", "stored_ratio"} == {
        field.name for field in fields(Spec) if getattr(first, field.name) != getattr(second, field.name)
    }
    assert second.optimizer == "adamw" and second.schedule == "step_30_60" and second.dropout_place == "before"
    assert (second.learning_rate, second.weight_decay, second.image_size) == (1e-4, 0.1, 224)
    assert second.blocks == PRESETS["vgg16"].spec.blocks
    parts = described(second)
    assert [part.weight_std for part in parts.values()] == [None] * 13 + [0.01] * 3
    assert {part.bias for part in parts.values()} == {0.0}


def test_no_source_names_an_issue_of_this_project() -> None:
    root = Path(__file__).parents[2]
    texts = [root / "README.md", *(path for folder in ("ablations", "models") for path in (root / folder).rglob("*"))]
    assert len(texts) > 100
    for path in texts:
        if path.suffix in (".py", ".md", ".toml"):
            found = re.search(
                r"\b(this project's|our) issue|\bissue #?\d", path.read_text(encoding="utf-8"), re.IGNORECASE
            )
            assert not found, f"{path}: {found}"


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
    ("name", "theirs"),
    [("vgg_a", "vgg11"), ("vgg_b", "vgg13"), ("vgg16", "vgg16"), ("vgg19", "vgg19"), ("vision_hist_vgg16", "vgg16")],
)
def test_torchvisions_vgg_weights_give_the_same_logits(name: str, theirs: str) -> None:
    from torchvision import models

    # Theirs averages the last map to 7x7, which is the identity at 224 pixels.
    same_logits(replace(PRESETS[name].spec, adaptive_pool=7), getattr(models, theirs)(), size=64)
