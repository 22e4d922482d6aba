"""ablations.records.claims: what publications say, as data that fit the registry, and files of a user's own."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from ablations.core.claim import SAME, Claim, compared, label_of, metric_of
from ablations.core.setting import SIZE
from ablations.core.variant import Variant
from ablations.models.presets import PRESETS
from ablations.planning.claims import claims_of, own_among, with_own
from ablations.records.claims import read_claims
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.metrics import METRICS
from ablations.subjects.alexnet.registry import components, derive
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.train import evaluate_as, train
from tests.making import CLAIMS, setting

ROOT = Path(__file__).parents[2]
BUDGET = Budget(epochs=5, train_examples=100, batch_size=10, image_size=32)
SETTING = setting(budget=BUDGET)
every_claim = pytest.mark.parametrize("claim", CLAIMS, ids=[claim.name for claim in CLAIMS])

OWN = """
source = "a friend"

[conditions.here]
datasets = ["cifar10"]
epochs = 3

[[claim]]
name = "norm_helps"
component = "lrn"
level = "batch_norm"
statement = "Batch normalisation lowers the error."
source = "over lunch"
metric = "test_top1_error_percent"
direction = "lowers"
smallest_effect = 1
reason = "less than a point is not worth the code"
published_effect = -3
conditions = "here"

[[claim]]
name = "early"
component = "lrn"
level = "off"
against = "pooling=average"
statement = "Something of the first epoch."
metric = "test_loss"
epoch = 1
direction = "raises"
smallest_effect = 0.1
reason = "a guess"
"""


@every_claim
def test_a_claim_is_about_registered_levels_that_change_something(claim: Claim) -> None:
    for component, level in compared(claim):
        assert level in components()[component].levels
        variant = Variant(departures=((component, level),))
        assert any(derive(preset.spec, variant) != preset.spec for preset in PRESETS.values())


@every_claim
def test_a_claim_is_complete(claim: Claim) -> None:
    assert "section" in claim.source
    assert claim.statement.endswith(".") and claim.published and claim.confounds and claim.reason
    assert any(character.isdigit() for character in claim.published) or claim.published.startswith("no number given")
    assert claim.direction in (-1, 0, 1)
    assert claim.smallest_effect > 0
    assert claim.family in ("krizhevsky2012", "simonyan2015")


@every_claim
def test_the_conditions_of_a_claim_are_of_things_that_there_are(claim: Claim) -> None:
    from ablations.subjects.alexnet.data.catalogue import DATASETS

    assert set(claim.conditions.datasets) <= set(DATASETS)
    assert set(claim.conditions.presets) <= set(PRESETS)


@every_claim
def test_a_published_number_goes_in_the_direction_of_its_claim_and_is_of_interest(claim: Claim) -> None:
    if claim.published_effect is not None and claim.direction == SAME:
        assert abs(claim.published_effect) < claim.smallest_effect
    elif claim.published_effect is not None:
        assert claim.published_effect * claim.direction > claim.smallest_effect


def test_claims_have_names_of_their_own() -> None:
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)


def test_the_metrics_of_claims_are_those_that_training_reports(data: Data, budget: Budget) -> None:
    spec = PRESETS["cifar_small"].spec
    timed = replace(budget, threshold_percent=99.0, threshold_every=1)
    trained = train(spec, seed=0, budget=timed, data=data)
    outcomes = {name for name, metric in METRICS.items() if metric.kind != SIZE}
    assert outcomes <= evaluate_as(spec, trained, "test")[0].keys()
    early = {metric_of(claim, "test").partition("@")[0] for claim in CLAIMS if claim.epoch}
    assert early <= trained.curve[0].keys()


def test_every_component_of_the_paper_has_a_claim() -> None:
    # The two-GPU claim compares width, not grouping; of the others the paper says what it did, not what it was worth.
    silent = {"batch_norm", "grouping", "input_scale", "optimizer", "schedule", "weight_init"}
    silent |= {"pixel_noise", "rescaling", "rotation", "translation", "vertical_flip"}  # of later copies
    silent |= {"warm_up"}  # of Goyal et al. 2017
    described = {name for name, component in components().items() if not component.control}
    assert {claim.component for claim in CLAIMS} == described - silent


def test_claims_of_gives_those_on_the_levels_under_study_in_the_papers_order() -> None:
    found = claims_of([("pooling", "non_overlapping"), ("lrn", "off"), ("dropout", "rate_0.3")], SETTING, CLAIMS)
    names = ["order_lrn_pooling", "lrn_imagenet", "lrn_cifar", "pooling_error", "pooling_overfitting"]
    assert [claim.name for claim in found] == names
    assert claims_of([], SETTING, CLAIMS) == ()


def test_the_order_of_importance_is_three_comparisons_of_neighbours() -> None:
    chain = [compared(claim) for claim in CLAIMS if claim.name.startswith("order_")]
    assert [pair[0][0] for pair in chain] == ["activation", "width", "lrn"]
    assert [pair[1][0] for pair in chain] == ["width", "lrn", "pooling"]


@pytest.mark.parametrize(
    ("name", "published_points"),
    [
        ("lrn_imagenet", 1.4),
        ("pooling_error", 0.4),
        ("width_two_gpus", 1.7),
        ("lrn_cifar", 2),
        ("pca_jitter_error", 1),
        ("order_lrn_pooling", 1.4 - 0.4),
        ("order_width_lrn", 1.7 - 1.4),
    ],
)
def test_half_of_a_published_difference_is_the_smallest_effect_of_interest(name: str, published_points: float) -> None:
    (claim,) = [claim for claim in CLAIMS if claim.name == name]
    assert claim.published_effect == pytest.approx(published_points)
    assert claim.smallest_effect == pytest.approx(published_points / 2)


def test_claims_that_ask_the_same_of_the_same_comparison_are_one_question() -> None:
    by_name = {claim.name: claim for claim in CLAIMS}
    assert by_name["lrn_imagenet"].asks == by_name["lrn_cifar"].asks
    assert by_name["pooling_error"].asks != by_name["pooling_overfitting"].asks


def test_a_claims_metric_follows_what_the_study_evaluates_on() -> None:
    by_name = {claim.name: claim for claim in CLAIMS}
    assert metric_of(by_name["lrn_cifar"], "validation") == "validation_top1_error_percent"
    assert metric_of(by_name["bias_init_added"], "validation") == "train_loss@1"
    assert label_of(by_name["order_lrn_pooling"]) == "-lrn against pooling=non_overlapping"


def test_a_file_of_ones_own_is_a_family_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OWN)
    first, second = read_claims(path)
    assert (first.family, first.source, first.direction) == ("mine", "a friend, over lunch", -1)
    assert (first.smallest_effect, first.published_effect, first.published) == (1.0, -3.0, "no number given")
    assert (first.conditions.datasets, first.conditions.epochs) == (("cifar10",), 3)
    assert (second.epoch, second.against, second.source) == (1, "pooling=average", "a friend")
    assert with_own(path) == (*CLAIMS, first, second)
    assert with_own(None) == CLAIMS


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('level = "batch_norm"\n', "", "claim 'norm_helps': level is missing."),
        ('"batch_norm"', '"batchnorm"', "claim 'norm_helps': unknown level of lrn 'batchnorm'; did you mean"),
        ('component = "lrn"\nlevel = "off"', 'component = "lnr"\nlevel = "off"', "unknown component 'lnr'; did you"),
        ('"pooling=average"', '"pooling"', "claim 'early': unknown level of pooling ''"),
        ('"lowers"', '"lower"', "unknown direction 'lower'; did you mean 'lowers'?"),
        ("test_loss", "test_los", "unknown metric 'test_los'; did you mean 'test_loss'?"),
        ("published_effect", "publishd_effect", "unknown key 'publishd_effect'; did you mean 'published_effect'?"),
        ("smallest_effect = 1\n", "smallest_effect = 0\n", "smallest_effect is 0; it must be above 0."),
        ("smallest_effect = 1\n", 'smallest_effect = "big"\n', "smallest_effect is 'big'; it must be a number."),
        ("epoch = 1\n", "epoch = 0\n", "epoch is 0; the first is 1."),
        ('conditions = "here"', 'conditions = "ther"', "unknown conditions 'ther'; did you mean 'here'?"),
        ("epochs = 3", "epochs = 3.5", "epochs of conditions.here is 3.5; it must be a whole number."),
        ('["cifar10"]', "[10]", "datasets of conditions.here is [10]; it must be a list of names."),
        ('"early"', '"norm_helps"', "two claims are called 'norm_helps'."),
        ("[[claim]]", "[[claims]]", "unknown key 'claims'; did you mean 'claim'?"),
        ('name = "early"', "name = ", "is no TOML: "),
    ],
)
def test_a_wrong_file_is_answered_in_one_sentence(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    assert old in OWN
    path = tmp_path / "mine.toml"
    path.write_text(OWN.replace(old, new))
    with pytest.raises(ValueError) as error:
        read_claims(path)
    assert sentence in str(error.value)
    assert str(error.value).startswith("claims file '") and "mine.toml" in str(error.value)


def test_a_missing_file_and_a_taken_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.toml' cannot be read: No such file"):
        read_claims(tmp_path / "none.toml")
    path = tmp_path / "mine.toml"
    path.write_text(OWN.replace("norm_helps", "lrn_cifar"))
    with pytest.raises(ValueError, match="the name 'lrn_cifar' is taken by a published claim"):
        with_own(path)


def test_the_claim_that_contributing_shows_is_read(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```toml\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.DOTALL)
    path = tmp_path / "shown.toml"
    path.write_text(shown)
    (claim,) = read_claims(path)
    assert (claim.name, claim.direction, claim.conditions.epochs) == ("batch_norm_helps", -1, 30)


def test_claims_that_the_study_cannot_judge_are_named_and_none_at_all_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OWN)
    judged = claims_of([("lrn", "batch_norm")], SETTING, with_own(path))
    assert own_among(judged, path) == {"norm_helps"}
    assert capsys.readouterr().err == "not judged, as this study does not make the change, or measure it then: early\n"
    with pytest.raises(ValueError, match="is about a change that this study makes: norm_helps, early"):
        own_among(claims_of([("lrn", "off")], SETTING, with_own(path)), path)
    assert own_among(judged, None) == set()


def test_steps_are_claimed_of_trials_that_count_them_and_errors_of_trials_that_are_not_stopped() -> None:
    def names(budget: Budget) -> list[str]:
        return [claim.name for claim in claims_of([("activation", "tanh")], setting(budget=budget), CLAIMS)]

    timed = replace(BUDGET, threshold_percent=25.0)
    assert names(BUDGET) == ["activation_speed", "activation_importance"]
    assert names(timed) == ["activation_speed", "activation_steps", "activation_importance"]
    assert names(replace(timed, stop_at_threshold=True)) == ["activation_steps"]
    # A dropout that doubles the steps is measured where steps are, and the gap that it spares where trials end alike.
    for budget, expected in (
        (BUDGET, ["dropout_overfitting"]),
        (timed, ["dropout_overfitting", "dropout_convergence"]),
        (replace(timed, stop_at_threshold=True), ["dropout_convergence"]),
    ):
        assert [claim.name for claim in claims_of([("dropout", "off")], setting(budget=budget), CLAIMS)] == expected


def test_trials_are_evaluated_after_every_so_many_epochs_and_after_the_last_and_races_never() -> None:
    def epochs(budget: Budget) -> list[int]:
        shared = setting(budget=replace(budget, epochs=7))
        return [unit for unit in range(1, 8) if shared.evaluates(unit)]

    assert epochs(replace(BUDGET, evaluate_every=3)) == [3, 6, 7]
    assert epochs(replace(BUDGET, evaluate_every=1)) == [1, 2, 3, 4, 5, 6, 7]
    assert epochs(replace(BUDGET, evaluate_every=9)) == [7]
    assert epochs(replace(BUDGET, threshold_percent=25.0, stop_at_threshold=True)) == []


def test_an_early_error_is_claimed_of_trials_that_are_evaluated_then_and_an_early_loss_of_all() -> None:
    early = tuple(
        replace(CLAIMS[0], component="lrn", level="off", against="", metric=metric, epoch=2)
        for metric in ("test_top1_error_percent", "train_loss")
    )
    for every, epochs, kept in ((1, 5, early), (2, 5, early), (3, 5, early[1:]), (3, 2, early)):
        budget = replace(BUDGET, evaluate_every=every, epochs=epochs)
        assert claims_of([("lrn", "off")], setting(budget=budget), early) == kept
