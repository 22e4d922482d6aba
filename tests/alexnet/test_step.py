"""The training step: what is captured is the whole of it, and a replay is worth an eager step."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ablations.bench.gpu.tape import Tape
from ablations.core.errors import InputError
from ablations.core.identity import sparse
from ablations.core.variant import Variant
from ablations.models import response_norm
from ablations.models.presets import PRESETS
from ablations.models.spec import Spec
from ablations.records import checkpoint as checkpoint_module
from ablations.records.checkpoint import Checkpoint
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.registry import derive
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training import step as step_module
from ablations.subjects.alexnet.training import train as training_module
from ablations.subjects.alexnet.training.evaluate import evaluate
from ablations.subjects.alexnet.training.examples import Examples, split_examples
from ablations.subjects.alexnet.training.optimizers import Rate, learning_rates
from ablations.subjects.alexnet.training.precision import casting, computing
from ablations.subjects.alexnet.training.step import CAPTURED, WARM_UP, Body, Step
from ablations.subjects.alexnet.training.streams import CPU
from ablations.subjects.alexnet.training.train import Trained, Turns, start, train, training
from tests.making import plan_from, with_budget

SPEC = PRESETS["cifar_small"].spec
BUDGET = Budget(epochs=2, train_examples=90, batch_size=16, image_size=16)  # five whole batches and one of 10


@pytest.fixture
def tapes(monkeypatch: pytest.MonkeyPatch) -> list[Tape]:
    """Makes trainings on the CPU capture their step; those that did."""
    made: list[Tape] = []

    def capture(body: Body, generators: Sequence[torch.Generator]) -> Body:
        made.append(tape := Tape())
        with tape:
            body()
        return tape.replay

    def capturing(*arguments: Any, **named: Any) -> Step:
        return Step(*arguments, **{**named, "capture": capture})

    # Operations of ctypes are on no tape: as on a GPU, torch normalises.
    monkeypatch.setattr(response_norm, "_library", lambda: None)
    monkeypatch.setattr(training_module, "Step", capturing)
    return made


def plainly(spec: Spec, data: Data, monkeypatch: pytest.MonkeyPatch, budget: Budget = BUDGET) -> dict[str, Tensor]:
    """The weights after eager steps whose rates are rounded to float32, as those of replays are.

    Adam divides a gradient that is mostly rounding by its own size: unrounded rates move some of a million weights
    by a tenth of a step.
    """

    def rounded(*arguments: Any, **named: Any) -> list[float]:
        return [float(np.float32(rate)) for rate in learning_rates(*arguments, **named)]

    with monkeypatch.context() as patch:
        patch.setattr(training_module, "Step", Step)
        patch.setattr(step_module, "learning_rates", rounded)
        trained = train(spec, seed=3, budget=budget, data=data)
    assert trained.step == "eager"
    return trained.network.state_dict()


def distance(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    return max(float((one[name].float() - other[name].float()).abs().max()) for name in one)


EVERYTHING = replace(
    SPEC, rotation=10.0, translation=0.1, vertical_flip=True, bias_lr_factor=2.0, schedule="cosine", mean_image=True
)


@pytest.mark.parametrize(
    ("spec", "captures"),
    [
        (EVERYTHING, 1),
        (replace(EVERYTHING, optimizer="sgd_original"), 1),
        (replace(SPEC, optimizer="adamw", learning_rate=0.003), 1),
        (derive(SPEC, Variant(departures=(("batch_norm", "without_lrn"),))), 1),
        (replace(SPEC, pca_until=0.5), 2),  # a step without the noise is another step
        (replace(SPEC, pixel_noise=0.2), 1),  # drawn by the host, so captured from the inputs on
    ],
    ids=["everything", "original", "adamw", "batch_norm", "noise_ends", "host_noise"],
)
def test_a_replayed_step_trains_as_an_eager_one_does(
    spec: Spec, captures: int, data: Data, tapes: list[Tape], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = train(spec, seed=3, budget=BUDGET, data=data)
    assert trained.step == (CAPTURED if not spec.pixel_noise else "captured, from the network's inputs on")
    assert len(tapes) == captures
    # All whole batches but the warm-up's are replays; the last of an epoch is smaller.
    assert sum(tape.replays for tape in tapes) == 2 * 5 - WARM_UP
    eager = plainly(spec, data, monkeypatch)
    assert distance(trained.network.state_dict(), eager) < 1e-7


def test_a_step_that_cannot_be_captured_stays_eager_says_so_and_loses_nothing(
    data: Data, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries = []

    def refuse(body: Body, generators: Sequence[torch.Generator]) -> Body:
        tries.append(len(generators))
        raise RuntimeError("operation not permitted when stream is capturing\nand where")

    def refusing(*arguments: Any, **named: Any) -> Step:
        return Step(*arguments, **{**named, "capture": refuse})

    eager = plainly(SPEC, data, monkeypatch)
    monkeypatch.setattr(training_module, "Step", refusing)
    trained = train(SPEC, seed=3, budget=BUDGET, data=data)
    assert trained.step == "eager: it could not be captured (operation not permitted when stream is capturing)"
    assert trained.step in caplog.text
    assert tries == [2]  # once, with the streams of both dropout layers
    assert distance(trained.network.state_dict(), eager) < 1e-5


def test_a_layer_that_asks_the_host_is_seen_on_the_tape() -> None:
    with Tape(), pytest.raises(RuntimeError, match="not permitted"):
        float(torch.ones(3).sum())


def test_images_that_lie_elsewhere_are_brought_to_a_captured_step(
    data: Data, tapes: list[Tape], monkeypatch: pytest.MonkeyPatch
) -> None:
    eager = plainly(SPEC, data, monkeypatch)
    monkeypatch.setattr(Examples, "on_device", False)
    trained = train(SPEC, seed=3, budget=BUDGET, data=data)
    assert trained.step == "captured, from the network's inputs on"
    assert distance(trained.network.state_dict(), eager) < 1e-5


def test_a_training_whose_step_is_captured_goes_on_within_an_epoch(
    data: Data, tapes: list[Tape], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_module, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(checkpoint_module, "WRITING_SHARE", 1e9)

    def steps() -> Turns[Trained]:
        kept = Checkpoint(tmp_path / "kept.npz", code="same", as_read=torch.from_numpy)
        return training(SPEC, seed=3, budget=BUDGET, data=data, checkpoint=kept)

    for _ in islice(steps(), 5):  # two replays
        pass
    turns = steps()
    for _ in range(7):
        next(turns)
    with pytest.raises(StopIteration) as end:
        next(turns)
    trained = end.value.value
    assert [tape.replays for tape in tapes] == [2, 3]  # after three eager steps, the first of which ends an epoch
    assert trained.step == CAPTURED
    eager = plainly(SPEC, data, monkeypatch)
    assert distance(trained.network.state_dict(), eager) < 1e-5


def test_a_loss_that_is_not_finite_is_seen_without_reading_each_step(data: Data) -> None:
    budget = replace(BUDGET, epochs=1)
    training, _ = split_examples(SPEC, seed=0, budget=budget, data=data, device=CPU)
    network = start(SPEC, seed=0, budget=budget, data=data, device=CPU)
    step = Step(network, SPEC, training, budget)
    step.begin(training, 0, 1, Rate(SPEC))
    step()
    assert not step.diverged()
    step.total.fill_(float("nan"))
    assert step.diverged()
    images = [step.images]
    for _ in range(5):
        step()
        images.append(step.images)
    assert images == [16, 32, 48, 64, 80, 90]


def test_products_in_bf16_are_near_those_in_float32_and_not_the_same(data: Data) -> None:
    exact, rough = (
        train(SPEC, seed=0, budget=replace(BUDGET, epochs=1, precision=precision), data=data)
        for precision in ("float32", "bf16")
    )
    losses = [trained.curve[0]["train_loss"] for trained in (exact, rough)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    # Weights stay float32, and evaluation is in float32 whatever the steps were.
    assert {value.dtype for value in rough.network.parameters()} == {torch.float32}
    with torch.inference_mode(), casting("bf16", CPU):
        index = torch.arange(20)
        inside = rough.network(rough.evaluation.plain(index))
    assert inside.dtype == torch.bfloat16
    assert rough.last.row["loss"] == pytest.approx(evaluate(rough.network, rough.evaluation).row["loss"], rel=1e-6)


def test_response_normalisation_stays_float32_in_a_pass_of_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_norm, "_library", lambda: None)  # as on a GPU
    norm = SPEC.blocks[0].norm
    assert norm
    layer = response_norm.LocalResponseNorm(norm)
    weight = torch.full((8, 8, 1, 1), 0.3, requires_grad=True)
    x = torch.linspace(-3, 3, 8 * 5 * 5).view(1, 8, 5, 5)

    def gradient(precision: str) -> Tensor:
        with casting(precision, CPU):
            y = layer(weight.view(1, 8, 8, 1).mean(2, keepdim=True) * x)
        (found,) = torch.autograd.grad(y.square().sum(), weight)
        return found

    # Nothing else here is a product of matrices, so the precision changes no bit.
    assert torch.equal(gradient("bf16"), gradient("float32"))


def test_the_way_back_of_a_bf16_step_is_not_cast_again(data: Data) -> None:
    budget = replace(BUDGET, precision="bf16")
    training, _ = split_examples(SPEC, seed=0, budget=budget, data=data, device=CPU)
    network = start(SPEC, seed=0, budget=budget, data=data, device=CPU)
    forward, back = [], []
    network.register_forward_hook(lambda *_: forward.append(torch.is_autocast_enabled("cpu")))
    network.classifier.register_full_backward_hook(lambda *_: back.append(torch.is_autocast_enabled("cpu")))
    step = Step(network, SPEC, training, budget)
    step.begin(training, 0, 1, Rate(SPEC))
    step()
    assert (forward, back) == ([True], [False])


def test_tf32_is_on_within_and_as_it_was_afterwards() -> None:
    def now() -> tuple[str, str]:
        return torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision  # type: ignore[attr-defined]

    before = now()
    with computing("tf32"):
        assert now() == ("tf32", "tf32")
        with response_norm._exact_products():
            assert now() == ("tf32", "ieee")
    assert now() == before
    with computing("float32"):
        assert now() == ("ieee", "ieee")


def test_a_precision_of_a_gpu_is_refused_where_trials_hold_none(
    blobs: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ABLATIONS_CACHE", str(cache))
    asked = ["--dataset", f"folder:{blobs}", "--image-size", "16", "--gpus-per-trial", "0", "--results", str(tmp_path)]
    with pytest.raises(InputError, match="--precision bf16 is for trials on a GPU"):
        plan_from(*asked, "--precision", "bf16")
    assert plan_from(*asked).place.gpus == 0


def test_float32_leaves_the_key_of_a_trial_as_it_was_and_bf16_does_not(plan: Any) -> None:
    (trial, *_) = plan()[1]
    assert "precision" not in json.dumps(sparse(trial))  # what the key is made of
    keys = {with_budget(trial, precision=word).key for word in ("float32", "tf32", "bf16")}
    assert len(keys) == 3
    assert trial.key in keys


CUDA = torch.device("cuda", 0)


def on_a_stand_in(spec: Spec, data: Data, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How steps on tensors that say that they are CUDA's, and hold no numbers, were taken."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    examples, _ = split_examples(spec, seed=0, budget=BUDGET, data=data, device=CPU)
    network = start(spec, seed=0, budget=BUDGET, data=data, device=CPU)
    zeros = torch.zeros

    def like(tensor: Tensor) -> Tensor:
        return torch.empty_like(mode.from_tensor(tensor), device=CUDA)

    def backward(loss: Tensor) -> None:  # the engine itself asks the driver
        for weight in network.parameters():
            weight.grad = torch.empty_like(weight)

    def unpinned(*sizes: Any, pin_memory: bool = False, **named: Any) -> Tensor:
        return zeros(*sizes, **named)

    monkeypatch.setattr(torch, "zeros", unpinned)
    monkeypatch.setattr(Tensor, "backward", backward)
    with mode:
        for layer in network.modules():
            for name, weight in layer._parameters.items():
                layer._parameters[name] = nn.Parameter(like(weight)) if weight is not None else None
        statistics: dict[str, Any] = {name: like(getattr(data, name)) for name in STATISTICS}
        images = like(data.train.images)
        there = replace(data, train=replace(data.train, images=images), **statistics)
        examples = replace(examples, data=there, images=images, rows=like(examples.rows), labels=like(examples.labels))
        step = Step(network, spec, examples, BUDGET, capture=lambda body, generators: body)
        step.begin(examples, 0, 1, Rate(spec))
        taken = []
        for _ in range(WARM_UP + 2):
            step()
            taken.append(step.how)
    assert step.total.device == CUDA
    return taken


STATISTICS = ("mean", "mean_image", "components", "component_deviations")
ORIGINAL = replace(EVERYTHING, optimizer="sgd_original")  # torch has no stand-in of its fused updates


def test_a_step_mixes_no_devices_and_asks_the_host_for_nothing(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    eager = ["eager"] * WARM_UP
    assert on_a_stand_in(ORIGINAL, data, monkeypatch) == [*eager, CAPTURED, CAPTURED]


def test_a_mean_that_lies_on_the_host_is_seen_on_a_stand_in(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "STATISTICS", ("mean", "mean_image", "component_deviations"))
    with pytest.raises(RuntimeError, match="device"):
        on_a_stand_in(ORIGINAL, data, monkeypatch)
