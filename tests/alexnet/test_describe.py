"""ablations.subjects.alexnet.describe: Specs in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ablations.core.variant import Variant
from ablations.models.presets import PRESETS
from ablations.models.spec import Spec
from ablations.subjects.alexnet.describe import difference, stack
from ablations.subjects.alexnet.registry import derive

PAPER = PRESETS["paper"].spec


def under(*departures: tuple[str, str]) -> Spec:
    return derive(PAPER, Variant(departures=departures))


def test_a_spec_does_not_differ_from_itself() -> None:
    assert difference(PAPER, PAPER) == {}


def test_a_difference_has_both_values_and_stands_with_its_part() -> None:
    changed = replace(PAPER, momentum=0.5, flip=False, dropout_place="before")
    assert difference(changed, PAPER) == {
        "network": ["dropout_place before (after)"],
        "data": ["flip off (on)"],
        "recipe": ["momentum 0.5 (0.9)"],
    }


def test_layers_that_change_alike_share_a_line() -> None:
    assert difference(under(("bias_init", "zero")), PAPER) == {"network": ["bias 0 (1) in conv2, conv4-5, fc6-7"]}
    # The paper gives every layer a deviation, so that its scheme is nowhere read and even its own is news.
    assert difference(under(("weight_init", "kaiming")), PAPER) == {
        "network": ["weight_std none (0.01) in every layer", "weight_init kaiming"]
    }
    assert difference(under(("weight_init", "lsuv")), PAPER) == {
        "network": ["weight_std none (0.01) in every layer", "weight_init lsuv"]
    }


def test_a_field_that_changes_in_many_ways_is_a_list_over_the_layers() -> None:
    (channels, *_) = difference(under(("width", "half")), PAPER)["network"]
    assert channels == "channels 48/128/192/192/256 (96/256/384/384/256)"


def test_a_normalisation_is_compared_by_its_constants_or_as_one_that_is_missing() -> None:
    assert difference(under(("lrn", "alpha_over_n")), PAPER) == {
        "network": ["norm.alpha_over_size on (off) in conv1-2"]
    }
    assert difference(under(("lrn", "off")), PAPER) == {
        "network": ["norm none (lrn(n=5 alpha=0.0001 beta=0.75 k=2)) in conv1-2"]
    }


def test_what_nothing_reads_is_no_difference() -> None:
    without = under(("dropout", "off"), ("pca_jitter", "off"))
    assert difference(replace(without, dropout_place="before", pca_unit="variance"), PAPER) == {
        "network": ["dropout 0 (0.5) in fc6-7"],
        "data": ["pca_jitter 0 (0.1)"],
    }


def test_with_other_numbers_of_layers_they_are_described_instead() -> None:
    found = difference(PRESETS["cuda_convnet_18pct"].spec, PAPER)["network"]
    assert "norm same_map(n=3 alpha=5e-05/n beta=0.75 k=1) in conv1-2" in found
    assert "weight_std 0.0001 in conv1" in found and "decay_factor 250 in fc4" in found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("original_code", "96 11x11/4 lrn max3/2 relu; 256 5x5 g2 lrn same_map max3/2; 384 3x3; 384 3x3 g2; "),
        ("keras_zero_based", "96 11x11/4 lrn relu max2/2; 256 5x5 lrn relu max2/2; 2 x 384 3x3 none; 256 3x3 max2/2; "),
        ("cuda_convnet_11pct", "64 5x5 max3/2 lrn; 64 5x5 lrn max3/2; 64 local 3x3; 32 local 3x3"),
        ("vgg16", "64 3x3; 64 3x3 max2/2; 128 3x3; 128 3x3 max2/2; 2 x 256 3x3; 256 3x3 max2/2; "),
    ],
)
def test_the_layers_of_a_preset_are_those_of_its_source_in_a_line(name: str, expected: str) -> None:
    assert stack(PRESETS[name].spec).startswith(expected)


def test_a_removed_layer_is_in_no_line_and_batch_normalisation_and_activation_are() -> None:
    spec = under(("depth", "no_conv3_conv4_fc6_fc7"), ("batch_norm", "without_lrn"), ("activation", "tanh"))
    assert stack(spec) == "96 11x11/4 batch tanh max3/2; 256 5x5 g2 batch tanh max3/2; 256 3x3 g2 batch tanh max3/2"
