"""ablations.claims: what the paper says, as data that fits the registry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ablations.claims import CLAIMS, claims_of
from ablations.data.load import Data
from ablations.registry import components, derive
from ablations.train import train
from ablations.types import Budget, Claim, Variant
from models.presets import PRESETS

BUDGET = Budget(epochs=5, train_examples=100, batch_size=10, image_size=32)
every_claim = pytest.mark.parametrize("claim", CLAIMS, ids=[claim.name for claim in CLAIMS])


@every_claim
def test_a_claim_is_about_a_registered_level_that_changes_something(claim: Claim) -> None:
    assert claim.level in components()[claim.component].levels
    variant = Variant(departures=((claim.component, claim.level),))
    assert any(derive(preset.spec, variant) != preset.spec for preset in PRESETS.values())


@every_claim
def test_a_claim_is_complete(claim: Claim) -> None:
    assert "section" in claim.source
    assert claim.statement.endswith(".") and claim.published and claim.confounds
    assert any(character.isdigit() for character in claim.published) or claim.published.startswith("no number given")
    assert claim.direction in (-1, 1)
    assert claim.smallest_effect > 0


def test_claims_have_names_of_their_own() -> None:
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)


def test_the_metric_of_a_claim_is_one_that_training_reports(data: Data, budget: Budget) -> None:
    timed = replace(budget, threshold_percent=99.0, threshold_every=1)
    trained = train(PRESETS["cifar_small"].spec, seed=0, budget=timed, data=data)
    assert {claim.metric for claim in CLAIMS} <= trained.curve[-1].keys()


def test_every_component_of_the_paper_has_a_claim() -> None:
    # The two-GPU claim compares width, not grouping; of the others the paper says what it did, not what it was worth.
    silent = {"grouping", "input_scale", "optimizer", "schedule", "weight_init"}
    described = {name for name, component in components().items() if not component.control}
    assert {claim.component for claim in CLAIMS} == described - silent


def test_claims_of_gives_those_on_the_levels_under_study_in_the_papers_order() -> None:
    found = claims_of([("pooling", "non_overlapping"), ("lrn", "off"), ("dropout", "rate_0.3")], BUDGET)
    assert [claim.name for claim in found] == ["lrn_imagenet", "lrn_cifar", "pooling_error", "pooling_overfitting"]
    assert claims_of([], BUDGET) == ()


@pytest.mark.parametrize(
    ("name", "published_points"),
    [("lrn_imagenet", 1.4), ("pooling_error", 0.4), ("width_two_gpus", 1.7), ("lrn_cifar", 2), ("pca_jitter_error", 1)],
)
def test_half_of_a_published_difference_is_the_smallest_effect_of_interest(name: str, published_points: float) -> None:
    (claim,) = [claim for claim in CLAIMS if claim.name == name]
    assert claim.smallest_effect == pytest.approx(published_points / 2)


def test_steps_are_claimed_of_trials_that_count_them_and_errors_of_trials_that_are_not_stopped() -> None:
    def names(budget: Budget) -> list[str]:
        return [claim.name for claim in claims_of([("activation", "tanh")], budget)]

    timed = replace(BUDGET, threshold_percent=25.0)
    assert names(BUDGET) == ["activation_speed", "activation_importance"]
    assert names(timed) == ["activation_speed", "activation_steps", "activation_importance"]
    assert names(replace(timed, stop_at_threshold=True)) == ["activation_steps"]
