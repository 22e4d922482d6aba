"""Steps to a training error: where a run stops, what it records, and that looking changes nothing."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from ablations.core.result import LOG_STEPS, LOOKED, REACHED, STEPS, TRAINED
from ablations.models.presets import PRESETS
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.evaluate import evaluate
from ablations.subjects.alexnet.training.examples import batches, split_examples
from ablations.subjects.alexnet.training.optimizers import optimizer_of
from ablations.subjects.alexnet.training.stopwatch import Stopwatch, crossing
from ablations.subjects.alexnet.training.streams import CPU
from ablations.subjects.alexnet.training.train import start, train

SPEC = replace(PRESETS["figure1"].spec, learning_rate=3e-4, bias_lr_factor=1.0)
TIMED = Budget(
    epochs=30,
    train_examples=90,
    batch_size=16,
    image_size=16,
    threshold_percent=30.0,
    threshold_every=4,
    threshold_examples=60,
    stop_at_threshold=True,
)


def by_hand(data: Data) -> list[tuple[int, float]]:
    """(step, error in percent) of a plain loop that looks at every class's first 20 images, until 30% are wrong."""
    training, _ = split_examples(SPEC, seed=0, budget=TIMED, data=data, device=CPU)
    network = start(SPEC, seed=0, budget=TIMED, data=data, device=CPU)
    optimizer = optimizer_of(network, SPEC)
    looked_at = torch.cat([torch.where(data.train.labels == label)[0][:20] for label in range(3)])
    pixels = data.train.images[looked_at].float() - data.mean_image
    looks: list[tuple[int, float]] = []
    step = 0
    for epoch in range(1, TIMED.epochs + 1):
        for images, labels in batches(training, 0, epoch, 16):
            network.train()
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimizer.step()
            step += 1
            if step % 4 == 0:
                network.eval()
                with torch.no_grad():
                    wrong = network(pixels.permute(0, 3, 1, 2)).argmax(1) != data.train.labels[looked_at]
                looks.append((step, 100 * float(wrong.double().mean())))
                if looks[-1][1] <= 30:
                    return looks
    raise AssertionError("the loop by hand never arrived")


def test_a_run_stops_at_the_step_that_a_loop_by_hand_finds(data: Data) -> None:
    trained = train(SPEC, seed=0, budget=TIMED, data=data)
    looks = by_hand(data)
    assert len(looks) > 2  # otherwise nothing was timed
    assert [step for step, _ in trained.looks] == [step for step, _ in looks]
    assert [error for _, error in trained.looks] == pytest.approx([error for _, error in looks])
    row = trained.curve[-1]
    assert (row[REACHED], row[TRAINED]) == (1, looks[-1][0])
    assert row[LOOKED] == pytest.approx(looks[-1][1])
    assert looks[-2][0] < row[STEPS] <= looks[-1][0]
    assert row[LOG_STEPS] == pytest.approx(math.log(row[STEPS]))
    assert len(trained.curve) == -(-looks[-1][0] // 6)  # six steps an epoch, the last of them a part
    assert [f"test_{name}" in one for one in trained.curve for name in ["loss"]] == [False] * (
        len(trained.curve) - 1
    ) + [True]


def test_a_run_that_does_not_arrive_says_how_far_it_looked(data: Data) -> None:
    budget = replace(TIMED, threshold_percent=0.0, max_steps=9)
    trained = train(SPEC, seed=0, budget=budget, data=data)
    row = trained.curve[-1]
    assert (row[REACHED], row[TRAINED]) == (0, 9)
    assert STEPS not in row
    assert [step for step, _ in trained.looks] == [4, 8, 9]  # and once at the end, for which no step is wasted
    assert [one["epoch"] for one in trained.curve] == [1, 2]


def test_looking_moves_no_weight(data: Data) -> None:
    plain = replace(TIMED, epochs=2, threshold_percent=None, stop_at_threshold=False)
    watched = replace(plain, threshold_percent=0.0)
    one, two = (train(SPEC, seed=0, budget=budget, data=data) for budget in (plain, watched))
    assert len(two.looks) == 3
    assert one.looks == ()
    for name, weight in one.network.state_dict().items():
        assert torch.equal(weight, two.network.state_dict()[name]), name
    shared = one.curve[-1].keys() - {"images_per_second", "seconds_per_epoch"}
    assert {name: one.curve[-1][name] for name in shared} == {name: two.curve[-1][name] for name in shared}
    assert REACHED not in one.curve[-1]


def test_a_run_that_may_go_on_is_timed_and_trained_to_its_end(data: Data) -> None:
    budget = replace(TIMED, stop_at_threshold=False, epochs=8)
    stopped = train(SPEC, seed=0, budget=replace(TIMED, epochs=8), data=data)
    whole = train(SPEC, seed=0, budget=budget, data=data)
    assert stopped.curve[-1][TRAINED] < whole.curve[-1][TRAINED] == 48
    assert stopped.curve[-1][STEPS] == whole.curve[-1][STEPS]
    assert all("test_top1_error_percent" in row for row in whole.curve)


@pytest.mark.parametrize(
    ("looks", "step"),
    [
        ([(10, 90.0), (20, 40.0), (30, 20.0)], 27.5),  # three quarters of the way from 40 to 20
        ([(10, 90.0), (20, 25.0)], 20.0),
        ([(10, 20.0)], 10.0),
        ([(10, 50.0), (20, 24.0), (30, 60.0), (40, 10.0)], 10 + 10 * 25 / 26),  # the first time counts
        ([(10, 50.0), (20, 25.1)], None),
        ([], None),
    ],
)
def test_the_crossing_is_on_the_line_between_two_looks(looks: list[tuple[int, float]], step: float | None) -> None:
    found = crossing(looks, 25.0)
    assert found is None if step is None else found == pytest.approx(step)


def test_the_images_of_a_look_are_each_class_in_proportion(data: Data) -> None:
    training, _ = split_examples(SPEC, seed=0, budget=TIMED, data=data, device=CPU)
    part = training.part(30)
    assert torch.bincount(part.labels).tolist() == [10, 10, 10]  # the folder lies class by class
    network = start(SPEC, seed=0, budget=TIMED, data=data, device=CPU)
    outcomes, some = (evaluate(network, examples).outcomes for examples in (training, part))
    assert torch.equal(some, torch.cat([outcomes[first : first + 10] for first in (0, 30, 60)]))


def test_a_stopwatch_without_a_threshold_never_looks() -> None:
    def look() -> float:
        raise AssertionError("looked")

    budget = replace(TIMED, threshold_percent=None, epochs=2)
    watch = Stopwatch(budget, look)
    over = []
    for _ in range(12):
        watch.step()
        over.append(watch.over)
    assert over == [False] * 11 + [True]
    assert watch.metrics() == {}


def test_a_stopwatch_goes_on_from_what_json_kept_of_another() -> None:
    errors = iter([80.0, 60.0, 40.0, 20.0, 10.0])
    first = Stopwatch(TIMED, lambda: next(errors))
    for _ in range(10):
        first.step()
    second = Stopwatch(TIMED, lambda: next(errors))
    second.restore(json.loads(json.dumps(first.state())))
    assert (second.steps, second.looks, second.over) == (10, [(4, 80.0), (8, 60.0)], False)
    while not second.over:
        second.step()
    assert second.looks[2:] == [(12, 40.0), (16, 20.0)]  # where a race to 30% ends
    third = Stopwatch(TIMED, lambda: next(errors))
    third.restore(second.state())
    assert third.over and third.metrics() == second.metrics()
