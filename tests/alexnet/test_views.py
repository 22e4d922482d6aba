"""Ten views and what shares a training: the crops, their average, and one training for several evaluations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import functional as tv

from ablations.core.result import DIVERGED, DONE, OUT_OF_MEMORY
from ablations.core.subject import Place
from ablations.core.trial import Trial, by_training
from ablations.core.variant import Variant
from ablations.execution.executor import serial
from ablations.models.presets import PRESETS
from ablations.models.spec import EVALUATION_FIELDS, Spec, room, training_part
from ablations.records.store import read_result, trial_path
from ablations.subjects.alexnet import trial as module
from ablations.subjects.alexnet.data.augment import VIEWS, views
from ablations.subjects.alexnet.data.load import Data, load
from ablations.subjects.alexnet.data.prepare import prepare
from ablations.subjects.alexnet.registry import components, derive
from ablations.subjects.alexnet.setting import Budget, spec_of
from ablations.subjects.alexnet.training.evaluate import evaluate, log_probabilities
from ablations.subjects.alexnet.training.examples import Examples, split_examples
from ablations.subjects.alexnet.training.streams import CPU
from ablations.subjects.alexnet.training.train import evaluate_as, start, train, training
from tests.conftest import Collect, Planner, without_times
from tests.making import with_spec

SPEC = replace(PRESETS["cifar_small"].spec, views="ten")


def examples_of(spec: Spec, data: Data, size: int = 16) -> Examples:
    budget = Budget(epochs=1, train_examples=90, batch_size=32, image_size=size)
    return split_examples(spec, seed=0, budget=budget, data=data, device=CPU)[1]


def seen(examples: Examples, index: Tensor) -> list[Tensor]:
    """Each view's inputs (B, C, size, size)."""
    return [examples.viewed(index, *view) for view in views(examples.spec.views, examples.room)]


@pytest.mark.parametrize(("stored", "pad", "size"), [(16, 4, 16), (20, 0, 16), (18, 0, 16), (16, 1, 10)])
def test_the_ten_views_are_those_of_torchvision(stored: int, pad: int, size: int, blobs: Path, cache: Path) -> None:
    data = load(prepare(f"folder:{blobs}", data_root=None, size=stored, cache=cache, quiet=True))
    spec = replace(SPEC, crop_pad=pad, stored_ratio=stored / size)
    index = torch.arange(0, 60, 7)
    ours = torch.stack(seen(examples_of(spec, data, size), index))
    pixels = (data.test.images[index].permute(0, 3, 1, 2).float() - data.mean[:, None, None]) / data.std
    bordered = F.pad(pixels, [pad] * 4, mode="reflect")
    theirs = torch.stack(tv.ten_crop(bordered, [size, size]))
    # The same ten, in whatever order: each of ours is one of theirs, and each of theirs one of ours.
    same = (ours[:, None] - theirs[None]).abs().amax(dim=(2, 3, 4, 5)) < 1e-5
    assert same.any(0).all() and same.any(1).all()
    assert torch.equal(ours[0], examples_of(replace(spec, views="centre"), data, size).plain(index))


def test_an_unknown_word_for_the_views_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown views 'tn'; did you mean 'ten'"):
        views("tn", 4)
    assert all(len(views(name, 4)) == count for name, count in VIEWS.items())


def test_probabilities_are_the_mean_of_ten_softmaxes_and_the_errors_are_counted_from_them(
    data: Data, budget: Budget
) -> None:
    # The preset's small weights give all views nearly the same answer for as few steps as these.
    hidden = tuple(replace(layer, weight_std=None) for layer in SPEC.hidden)
    spec = replace(SPEC, pca_jitter=0.0, hidden=hidden, classifier_weight_std=None)
    network = train(spec, seed=0, budget=budget, data=data).network.eval()
    examples = examples_of(SPEC, data)
    found = evaluate(network, examples)
    with torch.no_grad():
        mean = sum(F.softmax(network(inputs).double(), dim=1) for inputs in seen(examples, torch.arange(60))) / 10
    assert isinstance(mean, Tensor)
    torch.testing.assert_close(log_probabilities(network, examples, torch.arange(60)).exp().double(), mean)
    assert found.probabilities is not None
    torch.testing.assert_close(found.probabilities.double(), mean, atol=5e-4, rtol=0)
    right = mean.argmax(1) == data.test.labels
    assert torch.equal(found.outcomes, right)
    assert found.row["top1_error_percent"] == pytest.approx(100 * (1 - right.double().mean().item()))
    loss = -mean[torch.arange(60), data.test.labels].log().mean().item()
    assert found.row["loss"] == pytest.approx(loss, rel=1e-5)
    # It is not the centre crop's answer in other words.
    centre = evaluate(network, examples_of(replace(SPEC, views="centre"), data))
    assert centre.row["loss"] != pytest.approx(loss, rel=1e-3)


def test_batches_of_any_size_give_the_same_probabilities(
    data: Data, budget: Budget, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = start(SPEC, seed=0, budget=budget, data=data, device=CPU)
    whole = evaluate(network, examples_of(SPEC, data))
    monkeypatch.setattr("ablations.subjects.alexnet.training.evaluate.BATCH", 7)
    parts = evaluate(network, examples_of(SPEC, data))
    assert whole.row == pytest.approx(parts.row)


def test_probabilities_above_the_bound_are_not_kept(
    data: Data, budget: Budget, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = start(SPEC, seed=0, budget=budget, data=data, device=CPU)
    monkeypatch.setattr("ablations.subjects.alexnet.training.evaluate.MOST_PROBABILITIES", 60 * 3)
    assert evaluate(network, examples_of(SPEC, data)).probabilities is not None
    monkeypatch.setattr("ablations.subjects.alexnet.training.evaluate.MOST_PROBABILITIES", 60 * 3 - 1)
    assert evaluate(network, examples_of(SPEC, data)).probabilities is None


def evaluation_only() -> list[tuple[str, str, str]]:
    """(preset, component, level) of every departure that evaluation alone reads."""
    return [
        (preset, name, level)
        for preset in ("cifar_small", "paper")
        for name, component in components().items()
        for level in component.levels
        if derive(spec := PRESETS[preset].spec, Variant(departures=((name, level),))) != spec
        and training_part(derive(spec, Variant(departures=((name, level),)))) == training_part(spec)
    ]


def test_ten_view_is_all_that_evaluation_alone_reads() -> None:
    assert {name for _, name, _ in evaluation_only()} == {"ten_view"}
    assert set(EVALUATION_FIELDS) == {"views"}


@pytest.mark.parametrize("field", EVALUATION_FIELDS)
def test_what_evaluation_alone_reads_moves_no_weight_and_no_row_of_the_curve(
    field: str, data: Data, budget: Budget
) -> None:
    values = {"views": ("centre", "ten")}[field]
    one, two = (
        train(replace(SPEC, **{field: value}), seed=0, budget=budget, data=data)  # type: ignore[arg-type]
        for value in values
    )
    assert all(torch.equal(weight, two.network.state_dict()[name]) for name, weight in one.network.state_dict().items())
    timed = ("seconds_per_epoch", "images_per_second")
    rows = [[{key: row[key] for key in row if key not in timed} for row in trained.curve] for trained in (one, two)]
    assert rows[0] == rows[1]


def test_trials_that_differ_in_evaluation_alone_are_one_job(plan: Planner) -> None:
    study, trials = plan(grid="pairs", words=["lrn", "ten_view"], seeds=2)
    jobs = by_training(trials)
    assert sorted(trial.key for job in jobs for trial in job) == sorted(study.keys)
    assert [[trial.variant.label for trial in job] for job in jobs if job[0].seed == 1] == [
        ["reference", "ten_view=ten"],
        ["-lrn", "-lrn ten_view=ten"],
        ["mild_sabotage=twentieth"],
        ["placebo=salted"],
        ["sabotage=half"],
    ]
    assert len({trial.key for job in jobs for trial in job}) == len(trials)


def test_the_presets_whose_published_errors_are_of_ten_views_have_them() -> None:
    authors = {"paper", "original_code", "one_gpu_half", "one_tower_2014", "cuda_convnet_13pct", "cuda_convnet_11pct"}
    assert {name for name, preset in PRESETS.items() if preset.spec.views == "ten"} == authors


def test_ten_views_without_room_for_them_are_refused(plan: Planner, budget: Budget) -> None:
    with pytest.raises(ValueError, match="changes nothing in preset cuda_convnet_18pct, and no level of ten_view does"):
        plan(preset="cuda_convnet_18pct", words=["ten_view"])
    with pytest.raises(ValueError, match="changes nothing in preset paper, and ten_view=centre does"):
        plan(preset="paper", words=["ten_view"], budget=replace(budget, image_size=64))
    # 8/7 of 2 pixels is 2 again, which the preset alone cannot tell.
    assert room(PRESETS["paper"].spec, 2) == 0
    with pytest.raises(ValueError, match="larger than the crops"):
        replace(budget, image_size=2).check(replace(PRESETS["paper"].spec, views="ten"))


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[Spec]:
    """The spec of every training that a serial executor starts."""
    started: list[Spec] = []

    def counted(spec: Spec, **named: object) -> object:
        started.append(spec)
        return training(spec, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "training", counted)
    return started


def alone(trials: tuple[Trial, ...], place: Place) -> Collect:
    """Every trial trained by itself."""
    watch = Collect()
    serial([(trial,) for trial in trials], place, watch)
    return watch


def comparable(watch: Collect) -> dict[str, dict[str, object]]:
    return {result.trial.key: {**without_times(result.to_dict()), "trained_with": ""} for result in watch.results}


def test_a_shared_training_runs_once_and_gives_the_records_of_separate_ones_bit_for_bit(
    plan: Planner, place: Place, tmp_path: Path, trainings: list[Spec]
) -> None:
    _, trials = plan(words=["ten_view"])
    assert len(trials) == 5
    shared = Collect()
    serial(by_training(trials), place, shared)
    assert len(trainings) == 4
    assert shared.epochs == [(trials[index].key, epoch) for index in (0, 2, 3, 4) for epoch in (1, 2)]
    separate = alone(trials, replace(place, folder=tmp_path / "alone"))
    assert len(trainings) == 4 + 5
    assert comparable(shared) == comparable(separate)
    ten, reference = shared.results[:2]  # the reference last: it is measured when the others' records are on disk
    assert (reference.trained_with, ten.trained_with) == ("", reference.trial.key)
    assert ten.seconds > 0
    assert ten.curve == reference.curve and ten.activity == {} and reference.activity["ten_view"] > 0
    # The last row of the curve is by the centre crop, as are all; the metrics are by the spec's own views.
    assert reference.metrics["test_loss"] == reference.curve[-1]["test_loss"]
    assert ten.metrics["test_loss"] != ten.curve[-1]["test_loss"]
    for result in shared.results:
        assert read_result(trial_path(place.folder, result.trial.key)) == (result, "")


def test_only_the_missing_one_of_two_is_evaluated_again_and_comes_out_the_same(
    plan: Planner, place: Place, trainings: list[Spec]
) -> None:
    _, trials = plan(words=["ten_view"])
    both, one = Collect(), Collect()
    serial([trials[:2]], place, both)
    serial([trials[1:2]], place, one)
    assert len(trainings) == 2
    assert comparable(one)[trials[1].key] == comparable(both)[trials[1].key]
    assert one.results[0].trained_with == ""


def test_the_failure_of_a_training_is_that_of_each_trial_and_of_an_evaluation_its_own(
    plan: Planner, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, trials = plan(words=["ten_view"])
    hot = tuple(with_spec(one, replace(spec_of(one.config), learning_rate=1e12)) for one in trials[:2])
    watch = Collect()
    serial(by_training(hot), place, watch)
    assert [(result.status, result.trial.key) for result in watch.results] == [(DIVERGED, one.key) for one in hot]
    assert watch.results[0].error == watch.results[1].error

    def fail(spec: Spec, *arguments: object) -> object:
        if spec.views == "ten":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return evaluate_as(spec, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "evaluate_as", fail)
    watch = Collect()
    serial([trials[:2]], place, watch)
    assert {result.trial.key: result.status for result in watch.results} == {
        trials[0].key: DONE,
        trials[1].key: OUT_OF_MEMORY,
    }
