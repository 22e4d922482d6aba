"""Grids: counted by hand, and against the textbook designs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ablations.core.errors import InputError
from ablations.core.variant import Variant
from ablations.planning.grids import find, grids_of
from ablations.subjects.alexnet.recipes import HEADLINE

SIX = tuple((name, "x") for name in HEADLINE)


def test_full_over_six_components_is_every_subset_once() -> None:
    variants = find("full").make(SIX).variants
    expected = {frozenset(s) for r in range(7) for s in itertools.combinations(SIX, r)}
    assert len(variants) == 64
    assert {frozenset(variant.departures) for variant in variants} == expected


@pytest.mark.parametrize(
    ("grid", "count"), [("one_out", 7), ("one_in", 8), ("pairs", 22), ("smoke", 7), ("fractional", 16)]
)
def test_the_other_grids_have_the_counts_of_a_hand_count(grid: str, count: int) -> None:
    assert len(find(grid).make(SIX).variants) == count


@pytest.mark.parametrize("grid", grids_of())
def test_every_grid_holds_the_reference_and_repeats_nothing(grid: str) -> None:
    variants = find(grid).make(SIX if find(grid).defaults else ()).variants
    assert Variant() in variants
    assert len(set(variants)) == len(variants)


@pytest.mark.parametrize("count", [4, 5, 6, 7, 8])
def test_in_a_fraction_no_main_effect_is_aliased_with_a_two_way_interaction(count: int) -> None:
    factors = tuple((f"c{index}", "x") for index in range(count))
    design = find("fractional").make(factors)
    signs = np.array([[1 if factor in variant.departures else -1 for factor in factors] for variant in design.variants])
    if Variant() not in design.variants[:0] and len(signs) % 2:
        signs = signs[1:]  # the reference that was added for the controls
    for one in range(count):
        for two, three in itertools.combinations(range(count), 2):
            if one not in (two, three):
                assert abs((signs[:, one] * signs[:, two] * signs[:, three]).sum()) == 0


def test_a_fraction_takes_as_many_components_as_its_resolution() -> None:
    factors = tuple((name, "x") for name in "abcde")
    assert len(find("fractional").make(factors, 5).variants) == 16 + 1  # the reference, which is not of the fraction
    assert find("fractional").make(factors, 5).aliases == ()
    with pytest.raises(InputError, match="fractional of resolution 6 needs 6 components or more, not 5"):
        find("fractional").make(factors, 6)


def test_a_fraction_names_the_interactions_that_share_a_column() -> None:
    factors = tuple((name, "x") for name in "abcde")
    design = find("fractional").make(factors)
    signs = {
        name: np.array([1 if (name, "x") in variant.departures else -1 for variant in design.variants])
        for name in "abcde"
    }
    assert design.aliases
    for alias in design.aliases:
        columns = [np.prod([signs[name] for name in word.split("*")], axis=0) for word in alias.split(" = ")]
        assert all(abs((columns[0] * column).sum()) == len(column) for column in columns)


def test_one_in_puts_one_component_back_at_a_time() -> None:
    variants = find("one_in").make(SIX).variants
    assert sorted(len(variant.departures) for variant in variants) == [0, 5, 5, 5, 5, 5, 5, 6]


def test_pairs_never_combines_two_levels_of_one_component() -> None:
    variants = find("pairs").make((("lrn", "off"), ("lrn", "before_relu"), ("dropout", "off"))).variants
    assert [variant.label for variant in variants] == [
        "reference",
        "-lrn",
        "lrn=before_relu",
        "-dropout",
        "-dropout -lrn",
        "-dropout lrn=before_relu",
    ]


@pytest.mark.parametrize("grid", ["full", "fractional", "one_in"])
def test_a_two_level_design_refuses_two_levels_of_one_component(grid: str) -> None:
    with pytest.raises(ValueError, match="lrn came with off, before_relu"):
        find(grid).make((("lrn", "off"), ("lrn", "before_relu"), *SIX[2:]))


def test_an_unknown_grid_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'full'"):
        find("ful")


def test_the_reference_alone_takes_no_components() -> None:
    assert find("reference").make(()).variants == (Variant(),)
    with pytest.raises(ValueError, match="trains no departure"):
        find("reference").make(SIX)
