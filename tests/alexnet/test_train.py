"""Training: pairing, schedules, divergence, evaluation."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from ablations.core.variant import Variant
from ablations.models.presets import PRESETS
from ablations.models.spec import Spec
from ablations.subjects.alexnet.data.load import Data, held_out
from ablations.subjects.alexnet.registry import components, derive
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.evaluate import evaluate
from ablations.subjects.alexnet.training.examples import batches, shuffle_labels, split_examples
from ablations.subjects.alexnet.training.optimizers import SCHEDULES, optimizer_of
from ablations.subjects.alexnet.training.streams import CPU
from ablations.subjects.alexnet.training.train import DivergedError, start, train

SPEC = PRESETS["cifar_small"].spec
CHANGING_PIXELS = {"pca_jitter", "crop_flip", "input_scale", "vertical_flip", "rotation", "rescaling", "translation"}
CHANGING_PIXELS |= {"pixel_noise"}
DRAW_CHANGING = {"placebo"}  # whose very point is other draws


def departures() -> list[tuple[str, str]]:
    """Every level of every registered component."""
    return [(name, level) for name, found in components().items() for level in found.levels]


def first_batch(
    spec_departures: tuple[tuple[str, str], ...], data: Data, budget: Budget
) -> tuple[torch.Tensor, torch.Tensor]:
    spec = derive(SPEC, Variant(departures=spec_departures))
    training, _ = split_examples(spec, seed=1, budget=budget, data=data, device=CPU)
    return next(iter(batches(training, seed=1, epoch=1, batch_size=32)))


@pytest.mark.parametrize("departure", [d for d in departures() if d[0] not in DRAW_CHANGING])
def test_a_departure_moves_no_draw_but_its_own(departure: tuple[str, str], data: Data, budget: Budget) -> None:
    reference_images, reference_labels = first_batch((), data, budget)
    images, labels = first_batch((departure,), data, budget)
    if departure[0] not in CHANGING_PIXELS:
        assert torch.equal(images, reference_images)
    if departure[0] not in ("sabotage", "mild_sabotage"):
        assert torch.equal(labels, reference_labels)


def test_without_pca_jitter_the_crops_and_flips_stay(data: Data, budget: Budget) -> None:
    reference, _ = first_batch((), data, budget)
    without, _ = first_batch((("pca_jitter", "off"),), data, budget)
    shift = reference - without
    # The colour noise is one constant per image and channel.
    assert torch.allclose(shift, shift[:, :, :1, :1].expand_as(shift), atol=1e-5)
    assert shift.abs().max() > 0.01


def test_shared_layers_start_from_equal_weights_in_every_variant(data: Data, budget: Budget) -> None:
    reference = start(SPEC, seed=3, budget=budget, data=data, device=CPU).state_dict()
    for departure in departures():
        if departure[0] in DRAW_CHANGING or departure[0] in ("width", "bias_init", "weight_init"):
            continue
        spec = derive(SPEC, Variant(departures=(departure,)))
        other = start(spec, seed=3, budget=budget, data=data, device=CPU).state_dict()
        for name, weight in reference.items():
            if name in other and other[name].shape == weight.shape:  # a removed layer is missing
                assert torch.equal(other[name], weight), (departure, name)


def test_lsuv_looks_at_the_same_training_images_in_every_variant_and_at_no_others(
    data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = Budget(epochs=1, train_examples=40, batch_size=20, image_size=16, evaluate_on="validation")
    lsuv = derive(SPEC, Variant(departures=(("weight_init", "lsuv"),)))

    def begun(data: Data, *departures: tuple[str, str], seed: int = 3) -> dict[str, torch.Tensor]:
        spec = derive(lsuv, Variant(departures=departures))
        return start(spec, seed=seed, budget=budget, data=data, device=CPU).state_dict()

    def alike(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
        return all(torch.equal(one[name], other[name]) for name in one)

    reference = begun(data)
    for departure in (("crop_flip", "off"), ("pca_jitter", "off"), ("dropout", "off"), ("sabotage", "half")):
        assert alike(reference, begun(data, departure)), departure
    assert not alike(reference, begun(data, ("input_scale", "raw")))

    def without(rows: torch.Tensor) -> Data:
        images = data.train.images.clone()
        images[rows] = 0
        return replace(data, train=replace(data.train, images=images))

    training, _ = split_examples(lsuv, seed=3, budget=budget, data=data, device=CPU)
    used = torch.zeros(len(data.train.labels), dtype=torch.bool)
    used[training.rows] = True
    held = held_out(data.train)
    # Blackening an image may move it out of the held-out ones, so the split is kept as it is.
    assert not (used & held).any() and used.sum() == 40
    monkeypatch.setattr("ablations.subjects.alexnet.training.examples.held_out", lambda split: held)
    assert alike(reference, begun(without(~used)))
    assert not alike(reference, begun(without(used)))


def test_the_placebo_draws_anew(data: Data, budget: Budget) -> None:
    reference, _ = first_batch((), data, budget)
    salted, _ = first_batch((("placebo", "salted"),), data, budget)
    assert not torch.equal(reference, salted)


def test_the_same_seed_trains_to_the_same_bits_whatever_the_global_generator_holds(data: Data, budget: Budget) -> None:
    torch.manual_seed(0)
    first = train(SPEC, seed=5, budget=budget, data=data)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    second = train(SPEC, seed=5, budget=budget, data=data)
    assert torch.equal(before, torch.get_rng_state())
    for name, weight in first.network.state_dict().items():
        assert torch.equal(weight, second.network.state_dict()[name]), name
    assert torch.equal(first.last.outcomes, second.last.outcomes)


def test_another_seed_trains_to_another_network(data: Data, budget: Budget) -> None:
    one, two = (train(SPEC, seed=seed, budget=budget, data=data) for seed in (0, 1))
    assert one.curve[-1]["train_loss"] != two.curve[-1]["train_loss"]


def test_training_learns_colours_that_a_person_can_tell_apart(data: Data) -> None:
    budget = Budget(epochs=12, train_examples=90, batch_size=16, image_size=16)
    trained = train(replace(SPEC, pca_jitter=0.0), seed=0, budget=budget, data=data)
    assert trained.curve[-1]["test_top1_error_percent"] < 20  # chance is 67


def test_the_curve_has_a_row_an_epoch_with_finite_numbers(data: Data, budget: Budget) -> None:
    rows: list[dict[str, float]] = []
    trained = train(SPEC, seed=0, budget=budget, data=data, report=rows.append)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert all(math.isfinite(value) for row in rows for value in row.values())
    assert rows == list(trained.curve)


def test_evaluating_seldom_changes_nothing_but_what_is_known_along_the_way(data: Data, budget: Budget) -> None:
    often, seldom = (
        train(SPEC, seed=0, budget=replace(budget, epochs=5, evaluate_every=every), data=data) for every in (1, 2)
    )
    errors = [
        {row["epoch"]: row["test_top1_error_percent"] for row in one.curve if "test_top1_error_percent" in row}
        for one in (often, seldom)
    ]
    assert list(errors[0]) == [1, 2, 3, 4, 5]
    assert errors[1] == {epoch: errors[0][epoch] for epoch in (2, 4, 5)}
    assert (often.last.outcomes == seldom.last.outcomes).all()


def test_a_learning_rate_that_is_far_too_high_ends_as_diverged(data: Data, budget: Budget) -> None:
    with pytest.raises(DivergedError, match="epoch 1"):
        train(replace(SPEC, learning_rate=1e12), seed=0, budget=budget, data=data)


@pytest.mark.parametrize(
    ("rate", "reason"),
    [(1e45, "a weight was not finite"), (1e20, "the evaluation's loss was not finite"), (1e3, "loss was absurd")],
)
def test_a_last_step_that_ruins_the_weights_ends_as_diverged_though_no_training_loss_saw_it(
    rate: float, reason: str, data: Data, budget: Budget
) -> None:
    # One step of all images: its loss is that of the untrained network, and finite.
    once = replace(budget, epochs=1, batch_size=90)
    spec = replace(SPEC, learning_rate=rate, schedule="constant", weight_decay=0.0)
    with pytest.raises(DivergedError, match=f"{reason}.* in epoch 1") as found:
        train(spec, seed=0, budget=once, data=data)
    assert found.value.curve == ()


def test_the_reported_error_is_what_a_plain_loop_counts(data: Data, budget: Budget) -> None:
    network = start(SPEC, seed=0, budget=budget, data=data, device=CPU)
    _, evaluation = split_examples(SPEC, seed=0, budget=budget, data=data, device=CPU)
    found = evaluate(network, evaluation)
    network.eval()
    wrong, losses = 0, []
    for image, label in zip(data.test.images, data.test.labels, strict=True):
        centred = (image.float() - data.mean) / data.std
        with torch.no_grad():
            logits = network(centred.permute(2, 0, 1)[None])
        wrong += int(logits.argmax() != label)
        losses.append(F.cross_entropy(logits, label[None]).item())
    assert found.row["top1_error_percent"] == pytest.approx(100 * wrong / 60)
    assert found.row["loss"] == pytest.approx(sum(losses) / 60, rel=1e-5)
    assert int(found.outcomes.sum()) == 60 - wrong


def test_weights_decay_and_biases_do_not(data: Data, budget: Budget) -> None:
    network = start(SPEC, seed=0, budget=budget, data=data, device=CPU)
    before = {name: value.clone() for name, value in network.named_parameters()}
    optimizer = optimizer_of(network, replace(SPEC, learning_rate=0.1, weight_decay=0.5))
    for value in network.parameters():
        value.grad = torch.zeros_like(value)
    optimizer.step()
    for name, value in network.named_parameters():
        factor = 1.0 if name.endswith("bias") else 1 - 0.1 * 0.5
        assert torch.allclose(value, before[name] * factor), name


def test_the_step_schedule_divides_by_ten_where_net_145_did() -> None:
    factors = [SCHEDULES["step"](epoch / 91) for epoch in (0, 24.9, 25, 51, 79, 90)]
    assert factors == pytest.approx([1, 1, 0.1, 0.01, 0.001, 0.001])


def test_colour_noise_ends_when_its_share_of_the_training_is_done(data: Data, budget: Budget) -> None:
    # One of two epochs: the second is that of a training whose noise is off.
    half = train(replace(SPEC, pca_until=0.5), seed=0, budget=budget, data=data)
    whole = train(SPEC, seed=0, budget=budget, data=data)
    none = train(replace(SPEC, pca_until=0.0), seed=0, budget=budget, data=data)
    without = train(replace(SPEC, pca_jitter=0.0), seed=0, budget=budget, data=data)
    losses = [[row["train_loss"] for row in trained.curve] for trained in (half, whole, none, without)]
    assert losses[0][0] == losses[1][0] and losses[0][1] != losses[1][1]
    assert losses[2] == losses[3]


def test_noisy_images_are_divided_and_others_are_not(data: Data, budget: Budget) -> None:
    divided = replace(SPEC, pca_divisor=1.1)

    def inputs(spec: Spec) -> tuple[torch.Tensor, torch.Tensor]:
        training, _ = split_examples(spec, seed=0, budget=budget, data=data, device=CPU)
        index = torch.arange(8)
        return training.augmented(index, training.draws(0, 1)), training.plain(index)

    (noisy, plain), (noisy_divided, plain_divided) = inputs(SPEC), inputs(divided)
    torch.testing.assert_close(noisy_divided, noisy / 1.1)
    assert torch.equal(plain_divided, plain)
    silent = inputs(replace(divided, pca_jitter=0.0))[0]
    assert torch.equal(silent, inputs(replace(SPEC, pca_jitter=0.0))[0])


def test_the_plateau_schedule_reads_validation_images_and_never_the_test_set(data: Data, budget: Budget) -> None:
    spec = replace(SPEC, schedule="plateau", warm_up=0.0, learning_rate=1e-9)  # a network that learns nothing
    with pytest.raises(ValueError, match="--evaluate-on validation"):
        train(spec, seed=0, budget=budget, data=data)
    asked = replace(budget, evaluate_on="validation", train_examples=32, epochs=8)
    rates = [row["learning_rate"] for row in train(spec, seed=0, budget=asked, data=data).curve]
    assert rates == pytest.approx([1e-9] * 6 + [1e-10] * 2)  # the first epoch is the best, five wait


@pytest.mark.parametrize("optimizer", ["sgd_original", "adam", "adamw"])
def test_every_optimiser_trains(optimizer: str, data: Data, budget: Budget) -> None:
    rate = 0.003 if "adam" in optimizer else 0.03
    trained = train(replace(SPEC, optimizer=optimizer, learning_rate=rate), seed=0, budget=budget, data=data)
    assert trained.curve[1]["train_loss"] < trained.curve[0]["train_loss"]
    assert 0 < trained.curve[1]["learning_rate"] < trained.curve[0]["learning_rate"] < rate


def test_shuffled_labels_keep_the_class_counts_and_move_about_half_times_the_share_of_others() -> None:
    labels = torch.arange(10).repeat_interleave(1000)
    shuffled = shuffle_labels(labels, replace(SPEC, shuffled_labels=0.5), seed=0)
    assert torch.equal(shuffled.bincount(), labels.bincount())
    # Half are permuted, and a tenth of those meet their own class again: .45, standard error .005.
    assert (shuffled != labels).float().mean().item() == pytest.approx(0.45, abs=0.02)


def test_validation_images_are_held_out_of_training(data: Data, budget: Budget) -> None:
    asked = replace(budget, evaluate_on="validation", train_examples=70)
    training, evaluation = split_examples(SPEC, seed=0, budget=asked, data=data, device=CPU)
    seen = {image.numpy().tobytes() for image in training.images[training.rows]}
    held = {image.numpy().tobytes() for image in evaluation.images[evaluation.rows]}
    assert held
    assert not seen & held
    assert held <= {image.numpy().tobytes() for image in data.train.images}


def test_a_trial_without_augmentation_sees_the_stored_pixels(data: Data, budget: Budget) -> None:
    spec = replace(SPEC, random_crop=False, flip=False, pca_jitter=0.0)
    training, _ = split_examples(spec, seed=0, budget=budget, data=data, device=CPU)
    seen = training.augmented(torch.arange(90), training.draws(0, 1))
    assert torch.allclose(seen.permute(0, 2, 3, 1), (data.train.images.float() - data.mean) / data.std, atol=1e-5)
