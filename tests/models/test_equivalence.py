"""ablations.models.equivalence: other words for the same training are found out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ablations.core.variant import Variant
from ablations.models.equivalence import canonical
from ablations.models.presets import PRESETS
from ablations.models.spec import Norm, Spec
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.registry import derive
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.train import train

SMALL = PRESETS["cifar_small"].spec
FEW = Budget(epochs=2, train_examples=40, batch_size=20, image_size=16)


def under(*departures: tuple[str, str]) -> Spec:
    return derive(SMALL, Variant(departures=departures))


def first_block(spec: Spec, **changes: object) -> Spec:
    first, *rest = spec.blocks
    return replace(spec, blocks=(replace(first, **changes), *rest))  # type: ignore[arg-type]


WITHOUT_CONV3 = under(("depth", "no_conv3"))
WITHOUT_DROPOUT = under(("dropout", "off"))
WITHOUT_NOISE = under(("pca_jitter", "off"))
CENTRE = replace(SMALL, random_crop=False)
NO_DECAY = under(("weight_decay", "off"))
PAPERS_WEIGHTS = under(("weight_init", "paper"))
BATCH_NORM = under(("lrn", "batch_norm"))
BARE = under(("lrn", "off"))

# A spec, and other words for it.
SAME: dict[str, tuple[Spec, Spec]] = {
    "the activation of a removed convolution": (
        WITHOUT_CONV3,
        replace(
            WITHOUT_CONV3,
            blocks=tuple(
                replace(block, activation="tanh", channels=7) if block.removed else block
                for block in WITHOUT_CONV3.blocks
            ),
        ),
    ),
    "the dropout of removed layers": (
        under(("depth", "no_fc6_fc7")),
        under(("depth", "no_fc6_fc7"), ("dropout", "off")),
    ),
    "where dropout stands that is off": (WITHOUT_DROPOUT, replace(WITHOUT_DROPOUT, dropout_place="before")),
    "how dropout is rescaled that is off": (WITHOUT_DROPOUT, replace(WITHOUT_DROPOUT, dropout_rescale="test")),
    "the unit of noise that is off": (WITHOUT_NOISE, replace(WITHOUT_NOISE, pca_unit="variance", pca_divisor=1.1)),
    "the border of the centre crop": (CENTRE, replace(CENTRE, crop_pad=0)),
    "random crops without room": (replace(SMALL, crop_pad=0), replace(SMALL, crop_pad=0, random_crop=False)),
    "whether biases decay where nothing decays": (NO_DECAY, replace(NO_DECAY, decay_biases=True)),
    "the scheme that no layer asks for": (PAPERS_WEIGHTS, replace(PAPERS_WEIGHTS, weight_init="glorot")),
    "the constants of a batch normalisation": (BATCH_NORM, first_block(BATCH_NORM, norm=Norm(kind="batch", size=9))),
    "the place of a normalisation that is not there": (
        BARE,
        first_block(BARE, order=("norm", "activation", "pool")),
    ),
}


def learned(spec: Spec, data: Data) -> dict[str, Tensor]:
    return train(spec, seed=0, budget=FEW, data=data).network.state_dict()


@pytest.mark.parametrize("words", SAME)
def test_specs_of_one_canonical_form_train_alike_bit_for_bit(words: str, data: Data) -> None:
    one, other = SAME[words]
    assert one != other and canonical(one) == canonical(other)
    first, second = learned(one, data), learned(other, data)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_canonical_form_is_its_own_and_no_two_presets_share_one(preset: str) -> None:
    form = canonical(PRESETS[preset].spec)
    assert canonical(form) == form
    assert [name for name in PRESETS if canonical(PRESETS[name].spec) == form] == [preset]


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: replace(spec, dropout_place="before"),
        lambda spec: replace(spec, pca_unit="variance"),
        lambda spec: replace(spec, crop_pad=3),
        lambda spec: replace(spec, views="ten"),
        lambda spec: replace(spec, weight_init="glorot"),
        lambda spec: replace(spec, decay_biases=True),
        lambda spec: first_block(spec, order=("norm", "activation", "pool")),
        lambda spec: first_block(spec, norm=Norm(k=3.0)),
    ],
)
def test_what_is_read_keeps_specs_apart(change: Callable[[Spec], Spec]) -> None:
    assert canonical(change(SMALL)) != canonical(SMALL)
