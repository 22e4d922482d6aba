"""Records know the code that trained them: its version is raised when training changes, and its digest follows."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ablations.models.spec import Conv, Dense, Norm, Pool, Spec
from ablations.records import lineage
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.train import evaluate_as, train
from ablations.subjects.alexnet.version import TRAINING_VERSION, training_digest

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
        assert golden["version"] < TRAINING_VERSION, "raise ablations.records.lineage.TRAINING_VERSION first"
        GOLDEN.write_text(json.dumps({"version": TRAINING_VERSION, "losses": found}, indent=1) + "\n")
        return
    assert golden["version"] == TRAINING_VERSION, "the version was raised: run this test with NEW_GOLDEN_LOSSES=1"
    # Processors differ in their last bits, which a dozen steps make larger.
    assert found == {name: pytest.approx(values, rel=1e-4) for name, values in golden["losses"].items()}, (
        "training comes out otherwise than before: raise ablations.records.lineage.TRAINING_VERSION"
    )


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, str]], str]]:
    """Writes files under a folder that stands for `ablations`, and gives their digest."""
    monkeypatch.setattr(lineage, "_folder", lambda package: tmp_path / package)
    caches = (lineage._path, lineage._module, training_digest)

    def digest(files: dict[str, str]) -> str:
        for cache in caches:
            cache.cache_clear()
        shutil.rmtree(tmp_path / "ablations", ignore_errors=True)
        for name, text in files.items():
            path = tmp_path / "ablations" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return training_digest()

    yield digest
    for cache in caches:
        cache.cache_clear()


TRAIN = '''"""Trains."""
from ablations.steps import step as one

def training():
    """Twice."""
    return one() + one()

def evaluate_as():
    return RATE

RATE = 0.1
'''
STEPS = """from ablations.models import nets

def step():
    return nets.build()

def unused():
    return 1
"""
NETS = "def build():\n    return 7\n"
TRAIN_PY = "subjects/alexnet/training/train.py"
FILES = {
    TRAIN_PY: TRAIN,
    "steps.py": STEPS,
    "models/nets.py": NETS,
    "models/__init__.py": "",
}


def test_words_formatting_moves_and_what_training_does_not_reach_leave_the_digest(
    tree: Callable[[dict[str, str]], str],
) -> None:
    before = tree(FILES)
    commented = TRAIN.replace('"""Twice."""', '"""Two."""  # as it was').replace("one() + one()", "(one()\n  + one())")
    assert tree({**FILES, TRAIN_PY: commented}) == before
    assert tree({**FILES, "steps.py": STEPS.replace("return 1", "return 2")}) == before
    assert tree({**FILES, "report.py": "def report():\n    pass\n"}) == before
    moved = {
        TRAIN_PY: TRAIN.replace("ablations.steps", "ablations.moved"),
        "moved.py": STEPS,
        "models/nets.py": NETS,
        "models/__init__.py": "",
    }
    assert tree(moved) == before


@pytest.mark.parametrize(
    "changed",
    [
        {"models/nets.py": NETS.replace("7", "8")},
        {TRAIN_PY: TRAIN.replace("0.1", "0.2")},
        {TRAIN_PY: TRAIN.replace("one() + one()", "one()")},
        {"steps.py": STEPS.replace("nets.build()", "-nets.build()")},
        {"models/norm.c": "int f(void) { return 1; }"},
        {"models/nets.py": NETS + "build.rate = 3\n"},
    ],
)
def test_what_training_reaches_changes_the_digest(
    tree: Callable[[dict[str, str]], str], changed: dict[str, str]
) -> None:
    assert tree({**FILES, **changed}) != tree(FILES)


def test_comments_in_c_leave_the_digest(tree: Callable[[dict[str, str]], str]) -> None:
    plain = tree({**FILES, "models/norm.c": "int f(void) { return 1; }"})
    assert tree({**FILES, "models/norm.c": "/* one */ int f(void)\n{ return 1; } // done"}) == plain


def test_the_digest_reaches_layers_draws_and_updates_and_no_report() -> None:
    names = {getattr(statement, "name", "") for statement in lineage._reached(lineage._ENTRIES)}
    assert {"ResponseNorm", "LocalConv2d", "split_examples", "shuffle_labels", "OriginalSGD", "stream", "Step"} <= names
    assert not {"Study", "Effect", "report", "make_plan", "Evidence", "Component"} & names
