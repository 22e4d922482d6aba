"""The linear baseline against ridge regression written out in numpy, and what is kept of it on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ablations.models.presets import PRESETS
from ablations.subjects.alexnet import baseline
from ablations.subjects.alexnet.baseline import limits, linear_error_percent, penalty
from ablations.subjects.alexnet.data.catalogue import cache_folder
from ablations.subjects.alexnet.data.load import Data, Split, load
from ablations.subjects.alexnet.data.prepare import prepare
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.examples import split_examples

SPEC = PRESETS["cifar_small"].spec
CIFAR = Path.home() / ".cache" / "ablation-data" / "cifar10-jpeg"
BUDGET = Budget(epochs=1, train_examples=300, batch_size=10, image_size=12)


def made_up(count: int = 400, size: int = 12, classes: int = 3, signal: float = 8.0) -> Data:
    """Noise with a faint pattern for each class, which a linear classifier finds in part; half of it is to test on."""
    random = np.random.default_rng(5)
    patterns = random.normal(0, signal, (classes, size, size, 3))
    splits = []
    for _ in range(2):
        labels = random.integers(0, classes, count)
        pixels = np.clip(128 + patterns[labels] + random.normal(0, 60, (count, size, size, 3)), 0, 255).astype(np.uint8)
        hashes = torch.from_numpy(random.integers(0, 2**32, count))
        splits.append(Split(images=torch.from_numpy(pixels), labels=torch.from_numpy(labels), hashes=hashes))
    return Data(
        name="made up",
        classes=tuple("abc"[:classes]),
        train=splits[0],
        test=splits[1],
        mean=torch.zeros(3),
        std=1.0,
        mean_image=torch.zeros(size, size, 3),
        components=torch.eye(3),
        component_deviations=torch.ones(3),
        fingerprint="feedbeef",
    )


def ridge(pixels: np.ndarray, labels: np.ndarray, alpha: float) -> Callable[[np.ndarray], np.ndarray]:
    """Scores (E, K) by the normal equations: classes as -1 and +1, an intercept that is not penalised."""
    targets = 2.0 * np.eye(labels.max() + 1)[labels] - 1
    middle, base = pixels.mean(0), targets.mean(0)
    centred = pixels - middle
    weights = np.linalg.solve(centred.T @ centred + alpha * np.eye(pixels.shape[1]), centred.T @ (targets - base))
    return lambda seen: (seen - middle) @ weights + base


def flat(images: torch.Tensor) -> np.ndarray:
    """(M, pixels) float64."""
    return images.numpy().reshape(len(images), -1).astype(np.float64)


@pytest.mark.parametrize("evaluate_on", ["test", "validation"])
def test_the_error_is_that_of_ridge_regression_on_the_images_of_seed_0(tmp_path: Path, evaluate_on: str) -> None:
    data, budget = made_up(), replace(BUDGET, evaluate_on=evaluate_on)
    training, evaluated = split_examples(SPEC, seed=0, budget=budget, data=data, device=torch.device("cpu"))
    pixels, labels = flat(data.train.images[training.rows]), training.labels.numpy()
    scale = np.sqrt(np.mean((pixels - pixels.mean(0)) ** 2))
    chosen = penalty((pixels / scale).astype(np.float32), labels)
    scores = ridge(pixels / scale, labels, chosen)(flat(evaluated.images[evaluated.rows]) / scale)
    expected = 100 * np.mean(scores.argmax(1) != evaluated.labels.numpy())
    assert 5 < expected < 50  # of 67
    # An image on the border may fall on the other side in single precision.
    found = linear_error_percent(SPEC, budget, data, tmp_path)
    assert found == pytest.approx(expected, abs=1.01 * 100 / evaluated.count)


def test_the_penalty_is_the_best_of_leaving_one_image_out() -> None:
    random = np.random.default_rng(6)
    labels = np.arange(40) % 3
    for signal, size in ((0.3, 80), (3.0, 20)):
        pixels = random.normal(0, 1, (40, size)) + signal * random.normal(0, 1, (3, size))[labels]
        losses = {}
        for alpha in baseline.PENALTIES:
            left = [ridge(np.delete(pixels, one, 0), np.delete(labels, one), alpha)(pixels[one]) for one in range(40)]
            losses[alpha] = np.mean((np.array(left) - (2.0 * np.eye(3)[labels] - 1)) ** 2)
        assert penalty(pixels.astype(np.float32), labels) == min(losses, key=lambda alpha: losses[alpha])


def test_it_is_fitted_once_and_read_from_then_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = made_up()
    first = linear_error_percent(SPEC, BUDGET, data, tmp_path)
    other = linear_error_percent(SPEC, replace(BUDGET, train_examples=20), data, tmp_path)
    assert first is not None and other is not None and other > first + 5  # learnt from fewer

    def again(*_: object) -> float:
        raise AssertionError

    monkeypatch.setattr(baseline, "_fitted", again)
    assert linear_error_percent(SPEC, replace(BUDGET, epochs=7, batch_size=3), data, tmp_path) == first
    with pytest.raises(AssertionError):  # other images of the same name
        linear_error_percent(SPEC, BUDGET, replace(data, fingerprint="0ddba11"), tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        "null",
        '{"error_percent": 3.0}',
        '{"of": {}, "error_percent": 3.0}',
        "of: text",
        "of: 101",
        b"\xff",
    ],
)
def test_what_is_damaged_on_disk_is_fitted_again(tmp_path: Path, damage: str | bytes) -> None:
    data = made_up()
    first = linear_error_percent(SPEC, BUDGET, data, tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    if damage in ("of: text", "of: 101"):
        value: str | float = "text" if damage == "of: text" else 101.0
        damage = json.dumps({**json.loads(whole), "error_percent": value})
    path.write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    assert linear_error_percent(SPEC, BUDGET, data, tmp_path) == first
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_named_and_costs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert linear_error_percent(SPEC, BUDGET, made_up(), tmp_path / "file") is not None
    assert "the linear baseline is not kept in" in capsys.readouterr().err


def test_images_of_one_class_have_no_baseline(tmp_path: Path) -> None:
    data = made_up()
    alike = replace(data, train=replace(data.train, labels=torch.zeros(400, dtype=torch.int64)))
    for _ in range(2):  # computed, and read
        assert linear_error_percent(SPEC, BUDGET, alike, tmp_path) is None


def test_large_images_are_averaged_down_from_their_centre() -> None:
    images = torch.from_numpy(np.random.default_rng(7).integers(0, 256, (5, 70, 70, 3), dtype=np.uint8))
    seen = baseline._pixels(images, torch.tensor([4, 0]), 64).reshape(2, 3, 32, 32)
    centre = images.numpy()[[4, 0], 3:67, 3:67].astype(float)
    blocks = centre.reshape(2, 32, 2, 32, 2, 3).mean((2, 4)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(seen, blocks, rtol=1e-6)


def test_what_the_classifier_saw_less_of_is_said() -> None:
    assert limits(BUDGET) == ""
    large = replace(BUDGET, train_examples=50_000, image_size=224)
    assert limits(large) == "10,000 of them, 32 pixels a side"


@pytest.mark.slow
@pytest.mark.skipif(not CIFAR.is_dir(), reason="CIFAR-10 as files is not on this machine")
def test_five_thousand_images_of_cifar10_give_about_62_percent(tmp_path: Path) -> None:
    # Measured independently, by multinomial ridge regression on the raw pixels: 61.5 to 62.5.
    folder = prepare(f"folder:{CIFAR}", data_root=None, size=32, cache=cache_folder(), quiet=True)
    budget = Budget(epochs=1, train_examples=5_000, batch_size=128, image_size=32)
    found = linear_error_percent(SPEC, budget, load(folder), tmp_path)
    assert found is not None and 61.5 < found < 62.5
