"""The training images that a report shows are what the network gets, under the names of their classes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ablations.core.subject import Place
from ablations.models.presets import PRESETS
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.samples import SEED, samples, seen, words
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.subject import SUBJECT
from ablations.subjects.alexnet.training.examples import Examples, split_examples
from ablations.subjects.alexnet.training.streams import CPU
from tests.conftest import CLASSES, Planner


def examples(data: Data, budget: Budget, **changes: Any) -> Examples:
    """What the reference trains on, with a border of two pixels and other augmentation."""
    spec = replace(budget.given(PRESETS["cifar_small"].spec), **{"crop_pad": 2, **changes})
    return split_examples(spec, seed=SEED, budget=budget, data=data, device=CPU)[0]


def test_a_study_shows_images_of_different_classes_by_name_as_stored_and_as_two_epochs_draw_them(
    plan: Planner, place: Place, data: Data
) -> None:
    study, _ = plan()
    found = samples(study, place)
    assert found.columns == ("as stored", "epoch 1", "epoch 2")
    assert len(found.rows) == 5 and {*found.rows} == {*CLASSES}
    for name, (stored, *draws) in zip(found.rows, found.images, strict=True):
        assert stored.shape == (16, 16, 3) and stored.dtype == np.uint8
        assert any(np.array_equal(stored, image.numpy()) for image in data.train.images)
        assert CLASSES[2 - int(stored.mean(axis=(0, 1)).argmax())] == name  # each class is noise in its colour
        assert len(draws) == 2 and not np.array_equal(*draws)
    assert SUBJECT.samples(study, place).rows == found.rows


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("mean_image", [True, False])
def test_without_colour_noise_a_draw_is_a_crop_of_the_reflected_image_to_the_last_bit(
    data: Data, budget: Budget, scaled: bool, mean_image: bool
) -> None:
    some = examples(data, budget, pca_jitter=0.0, unit_scale=scaled, mean_image=mean_image)
    index = np.array([0, 40, 80])
    draws = some.draws(SEED, 2)
    found = seen(some, some.rows[index], 2, budget).numpy()
    for place, got in zip(index, found, strict=True):
        bordered = np.pad(data.train.images[some.rows[place]].numpy(), ((2, 2), (2, 2), (0, 0)), mode="reflect")
        top, left = int(draws.top[place]), int(draws.left[place])
        cut = bordered[top : top + 16, left : left + 16]
        np.testing.assert_array_equal(got, cut[:, ::-1] if draws.flip[place] else cut)


def test_colour_noise_moves_every_pixel_of_an_image_alike_and_only_as_long_as_the_training_has_it(
    data: Data, budget: Budget
) -> None:
    half = {"pca_until": 0.5, "pca_divisor": 1.1}
    noisy, plain = examples(data, budget, pca_jitter=0.5, **half), examples(data, budget, pca_jitter=0.0)
    index = noisy.rows[[1]]
    first, without = (seen(one, index, 1, budget).numpy().astype(int)[0] for one in (noisy, plain))
    moved = (first - without)[((first > 0) & (first < 255)).all(axis=2)]
    assert np.ptp(moved, axis=0).max() <= 1 and np.abs(moved).max() > 2  # rounding apart
    later, without = (seen(one, index, 2, budget).numpy() for one in (noisy, plain))
    np.testing.assert_array_equal(later, without)


def test_the_words_name_what_is_done_and_nothing_else(data: Data, budget: Budget) -> None:
    told = words(examples(data, budget, pca_jitter=0.1, rotation=5.0), 5)
    for part in (
        "5 training images, each as it is stored (16 x 16 pixels)",
        "16 x 16 pixels are cut out at a random place of the image with a border of 2 reflected pixels",
        "half of them are mirrored",
        "rotated by up to 5 degrees",
        "each principal component by a normal draw of 0.1 times its standard deviation",
    ):
        assert part in told
    still = words(examples(data, budget, random_crop=False, flip=False, pca_jitter=0.0), 5)
    assert "the same in every epoch, as nothing is augmented." in still and "mirrored" not in still


def test_where_nothing_is_drawn_an_image_is_shown_once(plan: Planner, place: Place) -> None:
    study, _ = plan()
    spec = {"random_crop": False, "flip": False, "pca_jitter": 0.0}
    config = {**study.setting.config, "spec": {**study.setting.config["spec"], **spec}}
    found = samples(replace(study, setting=replace(study.setting, config=config)), place)
    assert found.columns == ("as stored", "every epoch")
    for stored, drawn in found.images:
        np.testing.assert_array_equal(stored, drawn)
