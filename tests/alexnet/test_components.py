"""Every registered component, by being registered."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch.nn import functional as F

from ablations.core.load import FIRST
from ablations.core.variant import Variant
from ablations.models.init import initialise
from ablations.models.layout import layout, parameters
from ablations.models.network import build
from ablations.models.presets import PRESETS
from ablations.models.spec import Spec, described, leaves
from ablations.planning.factors import Forms
from ablations.subjects.alexnet.registry import components, derive
from ablations.subjects.alexnet.training.streams import CPU, streams
from tests.making import setting

SMALL = PRESETS["cifar_small"].spec
COMPONENTS = components()
EVERY_LEVEL = [(name, level) for name, component in COMPONENTS.items() for level in component.levels]
FIRST_LEVELS = [(name, next(iter(component.levels))) for name, component in COMPONENTS.items()]

every_component = pytest.mark.parametrize("name", COMPONENTS)
every_level = pytest.mark.parametrize(("name", "level"), EVERY_LEVEL)


def departed(spec: Spec, *departures: tuple[str, str]) -> Spec:
    return derive(spec, Variant(departures=departures))


def touched(spec: Spec, departure: tuple[str, str]) -> set[str]:
    before, after = leaves(spec), leaves(departed(spec, departure))
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


@every_component
def test_a_component_says_what_it_is_and_who_described_it(name: str) -> None:
    component = COMPONENTS[name]
    assert component.name == name
    assert component.reference and component.source and component.activity.unit
    assert component.summary and "\n" not in component.summary
    assert "section" in component.source or "arXiv" in component.source or component.control


@every_level
def test_a_level_is_a_pure_function(name: str, level: str) -> None:
    rewrite = COMPONENTS[name].levels[level]
    for preset in PRESETS.values():
        before = copy.deepcopy(preset.spec)
        first, second = rewrite(preset.spec), rewrite(preset.spec)
        assert first == second
        assert preset.spec == before


@every_level
def test_a_level_changes_at_least_one_preset(name: str, level: str) -> None:
    assert any(departed(preset.spec, (name, level)) != preset.spec for preset in PRESETS.values())


@every_component
def test_the_levels_of_a_component_differ_from_each_other(name: str) -> None:
    derived = [
        tuple(departed(preset.spec, (name, level)) for preset in PRESETS.values()) for level in COMPONENTS[name].levels
    ]
    assert len(set(derived)) == len(derived)


@every_level
def test_a_level_keeps_the_annotated_kind_of_every_value(name: str, level: str) -> None:
    # 1 for 1.0 would give an equal spec another key.
    for preset in PRESETS.values():
        before, after = leaves(preset.spec), leaves(departed(preset.spec, (name, level)))
        for path in before.keys() & after.keys():
            if before[path] is not None and after[path] is not None:
                assert type(before[path]) is type(after[path]), path


@every_level
def test_a_level_builds_and_learns_on_a_small_network(name: str, level: str) -> None:
    spec = departed(SMALL, (name, level))
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    network = build(spec, num_classes=10, image_size=16)
    initialise(network, spec, streams(0, salt=spec.stream_salt), CPU, lambda: images)
    logits = network.train()(images)
    F.cross_entropy(logits, torch.arange(4)).backward()
    assert logits.shape == (4, 10) and logits.isfinite().all()
    for path, weight in network.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), path
        # A layer that nothing flows through is a defect; a batch norm hides its convolution's bias.
        assert weight.grad.abs().sum() > 0 or path.endswith("bias"), path


@pytest.mark.parametrize("preset", PRESETS)
def test_the_headline_components_can_all_be_combined(preset: str) -> None:
    from ablations.subjects.alexnet.recipes import HEADLINE

    spec = PRESETS[preset].spec
    asked = [departure for departure in FIRST_LEVELS if departure[0] in HEADLINE]
    assert len(asked) == len(HEADLINE) == 6
    # What a preset does not have cannot be taken away, and a plan says so.
    headline = [departure for departure in asked if departed(spec, departure) != spec]
    assert len(headline) == 6 or preset not in ("paper", "original_code", "cifar", "cifar_small")
    made = Forms(FIRST, setting(preset))
    assert all(made.conflict(one, two) == "" for one, two in itertools.combinations(headline, 2))
    assert len({departed(spec, *chosen) for chosen in subsets(headline)}) == 2 ** len(headline)


def subsets(departures: list[tuple[str, str]]) -> list[tuple[tuple[str, str], ...]]:
    return [chosen for size in range(len(departures) + 1) for chosen in itertools.combinations(departures, size)]


def test_a_study_has_a_negative_control_and_two_positive_ones_of_which_one_is_mild() -> None:
    controls = {name for name, component in COMPONENTS.items() if component.control}
    assert controls == {"placebo", "sabotage", "mild_sabotage"}
    shares = [departed(SMALL, departure).shuffled_labels for departure in FIRST_LEVELS if "sabotage" in departure[0]]
    assert shares == [0.05, 0.5]


def test_the_placebo_touches_nothing_but_the_salt() -> None:
    assert touched(SMALL, ("placebo", "salted")) == {"stream_salt"}


def test_the_papers_reference_is_what_bias_one_gives_and_zero_takes_away() -> None:
    paper = PRESETS["paper"].spec
    assert departed(departed(paper, ("bias_init", "zero")), ("bias_init", "one")) == paper


def test_the_original_codes_lrn_is_what_its_preset_has() -> None:
    preset, paper = PRESETS["original_code"].spec, PRESETS["paper"].spec
    assert departed(preset, ("lrn", "original_code")) == preset
    for ours, theirs in zip(departed(paper, ("lrn", "original_code")).blocks[:2], preset.blocks[:2], strict=True):
        assert (ours.order, ours.norm, ours.extra_norm) == (theirs.order, theirs.norm, theirs.extra_norm)


def test_switching_lrn_off_takes_the_original_codes_third_normalisation_too() -> None:
    blocks = departed(PRESETS["original_code"].spec, ("lrn", "off")).blocks
    assert not any(block.norm or block.extra_norm for block in blocks)
    batch = departed(PRESETS["original_code"].spec, ("lrn", "batch_norm")).blocks
    assert [block.norm.kind if block.norm else None for block in batch] == ["batch", "batch", None, None, None]
    assert not any(block.extra_norm for block in batch)


@pytest.mark.parametrize("level", ["no_conv3", "no_conv4", "no_conv3_conv4"])
def test_depth_without_convolutions_keeps_the_size_of_every_map(level: str) -> None:
    for preset in ("paper", "cifar", "vgg16", "cuda_convnet_13pct"):
        spec = PRESETS[preset].spec
        before, after = (
            layout(one, num_classes=10, image_size=spec.image_size) for one in (spec, departed(spec, ("depth", level)))
        )
        assert [layer.pooled_size for layer in before] == [layer.pooled_size for layer in after]


def test_another_family_of_optimisers_brings_its_own_learning_rate_and_the_same_family_keeps_it() -> None:
    assert departed(SMALL, ("optimizer", "sgd")) == SMALL
    assert departed(SMALL, ("optimizer", "sgd_original")).learning_rate == SMALL.learning_rate == 0.02
    assert departed(SMALL, ("optimizer", "adam")).learning_rate == 1e-3
    port = PRESETS["vision_hist"].spec
    assert departed(port, ("optimizer", "adam")).learning_rate == port.learning_rate == 1e-4
    assert departed(port, ("optimizer", "sgd")).learning_rate == 0.01


def test_a_level_that_nothing_would_read_changes_nothing() -> None:
    made = Forms(FIRST, setting("cuda_convnet_18pct"))  # neither dropout nor colour noise
    for departure in (("dropout", "before"), ("dropout", "rescale_test"), ("pca_jitter", "weak")):
        assert not made.changes(departure)
    assert made.changes(("lrn", "off"))


def test_batch_norm_stands_between_the_convolution_and_all_that_follows_it() -> None:
    for preset in ("paper", "original_code", "cuda_convnet_18pct"):
        spec = departed(PRESETS[preset].spec, ("batch_norm", "on"))
        with torch.device("meta"):
            network = build(spec, num_classes=10, image_size=spec.image_size)
        for block in network.features.children():
            names = [name for name, _ in block.named_children() if name != "border"]
            assert names[:2] == ["conv", "batch_norm"] and "batch_norm" not in names[2:]


def test_batch_norm_alone_keeps_the_local_normalisation_and_its_second_level_does_not() -> None:
    spec = PRESETS["original_code"].spec
    on, without = (departed(spec, ("batch_norm", level)) for level in ("on", "without_lrn"))
    assert [(block.norm, block.extra_norm) for block in on.blocks] == [
        (block.norm, block.extra_norm) for block in spec.blocks
    ]
    assert without == departed(on, ("lrn", "off"))


def test_batch_norm_adds_a_scale_and_a_shift_a_channel() -> None:
    before, after = (
        parameters(layout(spec, num_classes=10, image_size=32))
        for spec in (SMALL, departed(SMALL, ("batch_norm", "on")))
    )
    assert after - before == 2 * (16 + 32 + 48 + 48 + 32)


def test_depth_has_the_removals_of_zeiler_and_fergus_table_3() -> None:
    for level, gone in (
        ("no_conv3_conv4", {"conv3", "conv4"}),
        ("no_fc7", {"fc7"}),
        ("no_fc6_fc7", {"fc6", "fc7"}),
        ("no_conv3_conv4_fc6_fc7", {"conv3", "conv4", "fc6", "fc7"}),
    ):
        paper = PRESETS["paper"].spec
        assert described(paper).keys() - described(departed(paper, ("depth", level))).keys() == gone


def test_switching_lrn_off_takes_every_norm_and_nothing_else() -> None:
    assert all(block.norm is None for block in departed(SMALL, ("lrn", "off")).blocks)
    assert all(path.startswith(("blocks.0.norm", "blocks.1.norm")) for path in touched(SMALL, ("lrn", "off")))
