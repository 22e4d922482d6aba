"""The teaching copies' augmentation: against torchvision's, and one draw at a time."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF

from ablations.models.presets import PRESETS
from ablations.models.spec import Spec
from ablations.subjects.alexnet.data.distort import Distortions, add_noise, distorted, draw_distortions
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.registry import component
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.examples import Examples, split_examples
from ablations.subjects.alexnet.training.streams import CPU, streams

BORDER = 4  # that crops are taken out of
SMALL = replace(PRESETS["cifar_small"].spec, crop_pad=BORDER)
ROLES = {
    "vertical_flip": "on",
    "rotation": "degrees_25",
    "rescaling": "factor_1.25",
    "translation": "share_0.1",
    "pixel_noise": "std_0.2",
}
EVERYTHING = torch.arange(6)


def under(spec: Spec, *names: str) -> Spec:
    for name in names:
        spec = component(name).levels[ROLES[name]](spec)
    return spec


def pixels(size: int = 24, count: int = 6) -> Tensor:
    """Smooth noise (N, size, size, 3) uint8: what lies between pixels is no accident."""
    coarse = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(3))
    smooth = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)
    return (smooth * 255).byte().permute(0, 2, 3, 1).contiguous()


def draws(count: int = 6) -> Distortions:
    return draw_distortions(count, stream=streams(0), epoch=1)


@pytest.mark.parametrize(
    "names", [("rotation",), ("rescaling",), ("translation",), ("rotation", "rescaling", "translation")]
)
def test_geometry_is_torchvisions_wherever_that_reads_the_image(names: tuple[str, ...]) -> None:
    spec, images, chosen = under(SMALL, *names), pixels(), draws()
    ours = distorted(images, spec, chosen, EVERYTHING)
    for number, image in enumerate(images.permute(0, 3, 1, 2).float()):
        settings = {
            "angle": chosen.turn[number].item() * spec.rotation,
            "scale": spec.rescaling ** chosen.zoom[number].item(),
            "translate": (chosen.shift[number] * spec.translation * 24).tolist(),
            "shear": [0.0, 0.0],
            "interpolation": InterpolationMode.BILINEAR,
        }
        theirs = TF.affine(image, **settings)
        inside = TF.affine(torch.ones(1, 24, 24), **settings)[0] > 0.999  # theirs is black beyond the border
        assert 0.4 < inside.float().mean() <= 1
        # Theirs may move by fractions of a pixel only in the version that takes floats.
        difference = (ours[number].permute(2, 0, 1) - theirs).abs()[:, inside]
        assert difference.max() < 0.5 and (images[number].permute(2, 0, 1) - theirs).abs()[:, inside].max() > 5


def test_a_vertical_flip_turns_rows_over_where_it_was_drawn_and_reads_nothing_between_pixels() -> None:
    images, chosen = pixels(), draws()
    found = distorted(images, under(SMALL, "vertical_flip"), chosen, EVERYTHING)
    assert found.dtype == torch.uint8 and set(chosen.upside_down.tolist()) == {True, False}
    for number, image in enumerate(images):
        assert (
            torch.equal(found[number], TF.vflip(image.permute(2, 0, 1)).permute(1, 2, 0)) == chosen.upside_down[number]
        )
        assert torch.equal(found[number], image) != chosen.upside_down[number]


def test_without_distortion_the_pixels_are_passed_on_as_they_are() -> None:
    images = pixels()
    assert distorted(images, SMALL, draws(), EVERYTHING) is images
    inputs = torch.zeros(6, 3, 4, 4)
    assert add_noise(inputs, 0.0, draws(), EVERYTHING) is inputs and not inputs.any()


def test_what_comes_in_from_beyond_the_border_is_the_crop_reflected() -> None:
    # A move of exactly two pixels to the right and three down: numpy's symmetric padding.
    spec, images = replace(SMALL, translation=0.25), pixels(16, 1)
    chosen = replace(draws(1), shift=torch.tensor([[2 / 4, 3 / 4]]))
    found = distorted(images, spec, chosen, torch.tensor([0]))[0, :, :, 0].numpy()
    padded = np.pad(images[0, :, :, 0].numpy(), 4, mode="symmetric")
    np.testing.assert_allclose(found, padded[1:17, 2:18], atol=1e-3)


def test_draws_are_uniform_within_their_limits_and_independent() -> None:
    many = draws(4000)
    columns = {"turn": many.turn, "zoom": many.zoom, "right": many.shift[:, 0], "down": many.shift[:, 1]}
    for values in columns.values():
        assert stats.kstest(values.numpy(), "uniform", (-1, 2)).pvalue > 1e-3
    columns["flip"] = many.upside_down.float()
    correlations = torch.corrcoef(torch.stack(list(columns.values()))) - torch.eye(len(columns))
    assert correlations.abs().max() < 5 / math.sqrt(4000)
    assert len(many.grain.unique()) == 4000
    assert abs(many.upside_down.float().mean() - 0.5) < 5 * 0.5 / math.sqrt(4000)


def test_noise_is_normal_with_the_deviation_asked_for_and_each_examples_own() -> None:
    chosen = draws(16)
    found = add_noise(torch.zeros(16, 3, 20, 20), 0.3, chosen, torch.arange(16))
    assert stats.kstest(found.flatten().numpy(), "norm", (0, 0.3)).pvalue > 1e-3
    flat = torch.corrcoef(found.flatten(1)) - torch.eye(16)
    assert flat.abs().max() < 5 / math.sqrt(3 * 20 * 20)
    backwards = add_noise(torch.zeros(5, 3, 20, 20), 0.3, chosen, torch.tensor([4, 3, 2, 1, 0]))
    assert torch.equal(backwards.flip(0), found[:5])


@pytest.fixture(scope="module")
def training(data: Data) -> Examples:
    """The 90 `blobs` as training sees them, with crops out of their border."""
    budget = Budget(epochs=1, train_examples=90, batch_size=32, image_size=16)
    return split_examples(SMALL, seed=0, budget=budget, data=data, device=CPU)[0]


def seen(training: Examples, spec: Spec, epoch: int = 1) -> Tensor:
    """Inputs (B 90, 3, 16, 16) under `spec`, whose draws are made anew."""
    examples = replace(training, spec=spec)
    return examples.augmented(torch.arange(90), examples.draws(0, epoch))


@pytest.mark.parametrize("name", ROLES)
def test_a_distortion_changes_what_training_sees_and_keeps_its_layout_and_type(name: str, training: Examples) -> None:
    before, after = seen(training, SMALL), seen(training, under(SMALL, name))
    assert (after - before).abs().max() > 0.1
    assert not torch.equal(after, seen(training, under(SMALL, name), epoch=2))
    assert torch.equal(after, seen(training, under(SMALL, name)))
    assert after.dtype == torch.float32 and after.is_contiguous(memory_format=torch.channels_last)


def test_noise_has_its_deviation_on_either_scale_of_the_inputs(training: Examples) -> None:
    for scale in (True, False):
        spec = replace(SMALL, unit_scale=scale)
        noise = seen(training, replace(spec, pixel_noise=0.2)) - seen(training, spec)
        expected = 0.2 * (1 if scale else training.data.std)
        assert noise.std().item() == pytest.approx(expected, rel=0.02)


def test_switching_one_on_moves_no_other_draw(training: Examples) -> None:
    plain = training.draws(0, 1)
    for name in ROLES:
        other = replace(training, spec=under(SMALL, name)).draws(0, 1)
        for record, same in ((plain, other), (plain.distortions, other.distortions)):
            for field in dataclasses.fields(record):
                value = getattr(record, field.name)
                if isinstance(value, Tensor):
                    assert torch.equal(value, getattr(same, field.name)), field.name


def test_crop_flip_and_distortion_compose_as_a_pipeline_of_torchvisions(training: Examples) -> None:
    spec = under(replace(SMALL, pca_jitter=0.0), "vertical_flip", "rotation", "rescaling", "translation")
    found, chosen = seen(training, spec), training.draws(0, 1)
    for number in range(10):
        image = training.images[training.rows[number]].permute(2, 0, 1)
        bordered = TF.pad(image, [BORDER], padding_mode="reflect")
        image = TF.crop(bordered, int(chosen.top[number]), int(chosen.left[number]), 16, 16)
        image = TF.hflip(image) if chosen.flip[number] else image
        image = TF.vflip(image) if chosen.distortions.upside_down[number] else image
        moved = TF.affine(
            TF.pad(image, [8], padding_mode="symmetric").float(),  # so that nothing black comes in
            angle=chosen.distortions.turn[number].item() * 25,
            scale=1.25 ** chosen.distortions.zoom[number].item(),
            translate=(chosen.distortions.shift[number] * 0.1 * 16).tolist(),
            shear=[0.0, 0.0],
            interpolation=InterpolationMode.BILINEAR,
        )
        expected = (TF.center_crop(moved, [16]) - training.data.mean[:, None, None]) / training.data.std
        torch.testing.assert_close(found[number], expected, rtol=0, atol=2e-3)


def test_evaluation_sees_no_distortion(training: Examples) -> None:
    index = torch.arange(20)
    assert torch.equal(replace(training, spec=under(SMALL, *ROLES)).plain(index), training.plain(index))
