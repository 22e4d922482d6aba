"""Plans: what is asked for, what is skipped and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ablations.core.errors import InputError
from ablations.core.load import FIRST
from ablations.core.variant import Variant
from ablations.models.equivalence import canonical
from ablations.models.presets import PRESETS
from ablations.planning.factors import departures_of
from ablations.planning.grids import grids_of
from ablations.subjects.alexnet.setting import Budget, spec_of
from tests.conftest import Planner


def test_a_word_names_the_first_level_a_level_or_all_of_them() -> None:
    assert departures_of(FIRST, ["lrn"]) == (("lrn", "off"),)
    assert departures_of(FIRST, ["activation=none", "activation=none"]) == (("activation", "none"),)
    assert [level for _, level in departures_of(FIRST, ["pooling=all"])] == [
        "non_overlapping",
        "non_overlapping_naive",
        "average",
    ]


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("lnr", "unknown component 'lnr'; did you mean 'lrn'"),
        ("lrn=of", "unknown level of lrn 'of'; did you mean 'off'"),
        ("placebo", "rides along in every study"),
    ],
)
def test_a_wrong_word_is_answered_in_one_sentence(word: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        departures_of(FIRST, [word])


def test_the_controls_ride_along_in_every_study(plan: Planner) -> None:
    study, trials = plan(seeds=2)
    assert [variant.label for variant in study.variants] == [
        "reference",
        "-lrn",
        "mild_sabotage=twentieth",
        "placebo=salted",
        "sabotage=half",
    ]
    assert len(trials) == 10
    assert study.keys == tuple(trial.key for trial in trials)
    assert len(set(study.keys)) == 10


def test_trials_come_seed_by_seed_so_that_a_part_holds_whole_pairs(plan: Planner) -> None:
    _, trials = plan(seeds=3)
    assert [trial.seed for trial in trials] == [0] * 5 + [1] * 5 + [2] * 5


def test_a_toggle_without_effect_is_refused(plan: Planner) -> None:
    with pytest.raises(ValueError, match="bias_init=zero changes nothing in preset cifar_small"):
        plan(words=["bias_init"])


def test_the_sentence_on_a_toggle_without_effect_says_which_levels_have_one(plan: Planner) -> None:
    with pytest.raises(InputError) as raised:
        plan(words=["bias_init"])
    assert str(raised.value) == "bias_init=zero changes nothing in preset cifar_small, and bias_init=one does."
    with pytest.raises(InputError) as raised:
        plan(preset="cuda_convnet_18pct", words=["lrn=paper_formula"])
    assert str(raised.value).endswith("preset cuda_convnet_18pct, and lrn=off or before_relu or batch_norm does.")
    with pytest.raises(InputError) as raised:
        plan(preset="cuda_convnet_18pct", words=["grouping"])
    assert str(raised.value).endswith("preset cuda_convnet_18pct, and no level of grouping does.")


def test_what_a_grid_chose_by_itself_is_skipped_with_the_reason_where_it_changes_nothing(plan: Planner) -> None:
    study, _ = plan(preset="cuda_convnet_80sec", words=[])
    assert {row.variant.label for row in study.skipped} == {"-lrn", "-dropout", "-pca_jitter", "grouping=full"}
    assert {row.reason for row in study.skipped} == {"changes nothing in preset cuda_convnet_80sec"}
    assert study.components == (("activation", "tanh"), ("pooling", "non_overlapping"))
    with pytest.raises(InputError, match="grouping=full changes nothing in preset cuda_convnet_80sec, and"):
        plan(preset="cuda_convnet_80sec", words=["activation", "grouping"])


def test_a_grid_of_which_nothing_is_left_is_refused_with_what_it_left_out(plan: Planner) -> None:
    with pytest.raises(InputError, match=r"nothing is left to study .* lrn=off, dropout=off change nothing"):
        plan(grid="smoke", preset="cuda_convnet_80sec", words=[])
    with pytest.raises(InputError, match=r"fractional needs 4 .* not 2; .* left out, .* lrn=off, dropout=off, pca"):
        plan(grid="fractional", preset="cuda_convnet_80sec", words=[])


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("grid", grids_of())
def test_every_grid_by_itself_fits_every_preset_or_says_why_not(grid: str, preset: str, plan: Planner) -> None:
    spec = PRESETS[preset].spec
    evaluate_on = "validation" if spec.schedule == "plateau" else "test"
    budget = Budget(epochs=1, train_examples=1, batch_size=1, image_size=spec.image_size, evaluate_on=evaluate_on)
    try:
        study, trials = plan(grid=grid, preset=preset, words=[], budget=budget)
    except InputError as error:
        assert "change nothing" in str(error) or "left out" in str(error)
        return
    trained = [canonical(spec_of(trial.config)) for trial in trials]
    assert len(set(trained)) == len(trained)  # no two variants are the same training
    assert all(row.reason for row in study.skipped)


def test_levels_without_effect_are_skipped_with_the_reason_when_all_are_asked_for(plan: Planner) -> None:
    study, _ = plan(words=["bias_init=all"])
    assert [(row.variant.label, row.reason) for row in study.skipped] == [
        ("bias_init=zero", "changes nothing in preset cifar_small")
    ]
    assert study.components == (("bias_init", "one"),)


def test_a_conflict_is_computed_and_named(plan: Planner) -> None:
    study, _ = plan(grid="pairs", words=["width", "grouping"])
    (skipped,) = study.skipped
    assert skipped.variant == Variant(departures=(("width", "half"), ("grouping", "full")))
    assert "both rewrite blocks.1.groups" in skipped.reason


def test_a_level_that_comes_to_the_same_as_another_runs_once(plan: Planner, budget: Budget) -> None:
    # Without padding and rounding, a naive window of 2 is the careful one.
    study, _ = plan(preset="paper", words=["pooling=all"], budget=replace(budget, image_size=224))
    assert [(row.variant.label, row.reason) for row in study.skipped] == [
        ("pooling=non_overlapping_naive", "the same network and recipe as pooling=non_overlapping")
    ]


def test_a_combination_in_which_one_hides_the_other_is_skipped_with_the_reason(plan: Planner) -> None:
    study, _ = plan(grid="pairs", words=["depth=no_fc6_fc7", "dropout"])
    assert [(row.variant.label, row.reason) for row in study.skipped] == [
        ("depth=no_fc6_fc7 -dropout", "-dropout changes nothing beside depth=no_fc6_fc7")
    ]


def test_an_image_too_small_names_the_layer_and_the_size(plan: Planner, budget: Budget) -> None:
    with pytest.raises(ValueError, match="image size 20 is too small: conv2 reads a 1x1 map"):
        plan(preset="paper", budget=replace(budget, image_size=20))


def test_the_plan_is_the_same_in_whatever_order_components_are_named(plan: Planner) -> None:
    one, two = plan(words=["lrn", "dropout"]), plan(words=["dropout", "lrn"])
    assert set(one[0].keys) == set(two[0].keys)


def test_a_schedule_that_reads_the_validation_error_is_refused_or_skipped_where_none_is_held_out(
    plan: Planner, budget: Budget
) -> None:
    with pytest.raises(ValueError, match=r"preset gist: the schedule 'plateau' .* needs --evaluate-on validation"):
        plan(preset="gist", words=["dropout"], budget=replace(budget, image_size=64))
    study, _ = plan(words=["schedule=plateau"])
    assert [row.variant.label for row in study.skipped] == ["schedule=plateau"]
    assert "--evaluate-on validation" in study.skipped[0].reason
    study, _ = plan(words=["schedule=plateau"], budget=replace(budget, evaluate_on="validation"))
    assert not study.skipped
