"""Records of AlexNet know the code that trained them: its version is raised when training changes."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from ablations.models.spec import Conv, Dense, Norm, Pool, Spec
from ablations.records.lineage import reached
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.subject import SUBJECT
from ablations.subjects.alexnet.training.train import evaluate_as, train
from ablations.subjects.alexnet.version import ENTRIES, TRAINING_VERSION, training_digest

GOLDEN = Path(__file__).parents[1] / "golden" / "losses.json"
BUDGET = Budget(epochs=2, train_examples=60, batch_size=16, image_size=16)

_POOL = Pool(size=3, stride=2, pad=1)
_BLOCK = Conv(channels=8, kernel=5, pad=2, norm=Norm(alpha=0.4, k=1.0), pool=_POOL)
SPECS = {  # between them they use most of what a training can do
    "grouped, normalised, jittered": Spec(
        blocks=(_BLOCK, dataclasses.replace(_BLOCK, groups=2)),
        hidden=(Dense(features=16, dropout=0.5),),
        image_size=16,
        crop_pad=2,
        learning_rate=0.02,
        warm_up=0.25,
    ),
    "raw pixels, as in 2012": Spec(
        blocks=(
            dataclasses.replace(
                _BLOCK,
                norm=Norm(alpha_over_size=False),
                extra_norm=Norm(kind="same_map", alpha=1e-3, k=1.0),
                pool=Pool(kind="average", ceil=True),
                weight_std=0.01,
                bias=1.0,
                frozen_from=0.5,
            ),
            Conv(channels=4, kernel=3, pad=1, local=True, weight_std=0.03, order=("norm", "pool", "activation")),
        ),
        hidden=(Dense(features=16, dropout=0.5, weight_std=0.01, bias=1.0),),
        dropout_rescale="test",
        image_size=16,
        crop_pad=2,
        mean_image=True,
        pca_unit="variance",
        pca_until=0.6,
        unit_scale=False,
        views="ten",
        optimizer="sgd_original",
        learning_rate=0.001,
        bias_lr_factor=2.0,
        schedule="step",
    ),
    "all else": Spec(
        blocks=(dataclasses.replace(_BLOCK, norm=None, activation="tanh", batch_norm=True),),
        hidden=(Dense(features=16, dropout=0.2),),
        dropout_place="before",
        weight_init="lsuv",
        image_size=16,
        crop_pad=1,
        vertical_flip=True,
        rotation=10.0,
        rescaling=1.2,
        translation=0.1,
        pixel_noise=0.1,
        optimizer="adamw",
        learning_rate=0.002,
        decay_biases=True,
        schedule="exponential_4",
        shuffled_labels=0.3,
        stream_salt="other",
    ),
}


def losses(spec: Spec, data: Data) -> list[float]:
    """The loss of both epochs, and that of the evaluation, of a training under seed 3."""
    trained = train(spec, seed=3, budget=BUDGET, data=data)
    metrics, _ = evaluate_as(spec, trained, "test")
    return [*(row["train_loss"] for row in trained.curve), metrics["test_loss"]]


def test_the_training_version_is_raised_when_losses_change(data: Data) -> None:
    found = {name: losses(spec, data) for name, spec in SPECS.items()}
    golden = json.loads(GOLDEN.read_text())
    if os.environ.get("NEW_GOLDEN_LOSSES"):
        assert golden["version"] < TRAINING_VERSION, "raise ablations.subjects.alexnet.version.TRAINING_VERSION first"
        GOLDEN.write_text(json.dumps({"version": TRAINING_VERSION, "losses": found}, indent=1) + "\n")
        return
    assert golden["version"] == TRAINING_VERSION, "the version was raised: run this test with NEW_GOLDEN_LOSSES=1"
    # Processors differ in their last bits, which a dozen steps make larger.
    assert found == {name: pytest.approx(values, rel=1e-4) for name, values in golden["losses"].items()}, (
        "training comes out otherwise than before: raise ablations.subjects.alexnet.version.TRAINING_VERSION"
    )


def test_the_digest_reaches_layers_draws_and_updates_and_no_report() -> None:
    names = {getattr(statement, "name", "") for statement in reached(ENTRIES)}
    assert {"ResponseNorm", "LocalConv2d", "split_examples", "shuffle_labels", "OriginalSGD", "stream", "Step"} <= names
    assert not {"Study", "Effect", "report", "make_plan", "Findings", "Component"} & names


def test_alexnet_signs_with_this_version_and_this_digest() -> None:
    assert (SUBJECT.version, SUBJECT.digest()) == (TRAINING_VERSION, training_digest())
