"""Training images as they are stored, and as augmentation hands them to the network: what a report shows of the data.

Shapes: B images, C channels, S side of a stored image, s side of what the network sees.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ablations.core.samples import Samples
from ablations.core.study import Study
from ablations.core.subject import Place
from ablations.core.text import counted, listed
from ablations.core.trial import Trial
from ablations.core.variant import Variant
from ablations.subjects.alexnet.data.augment import to_input
from ablations.subjects.alexnet.data.load import stratified
from ablations.subjects.alexnet.setting import Budget, budget_of, spec_of
from ablations.subjects.alexnet.training.examples import Examples, split_examples
from ablations.subjects.alexnet.training.streams import CPU
from ablations.subjects.alexnet.trial import open_data

IMAGES = 5  # of as many classes, where the data have them
SEED = 0  # every study has it
NAMED = {  # the ten classes of Imagenette, whose folders are called as WordNet numbers them
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


def samples(study: Study, place: Place) -> Samples:
    """Returns the first image of each of five classes as it is stored, and its two draws of seed 0's first epochs."""
    setting = study.setting
    spec, budget = spec_of(setting.config), budget_of(setting.config)
    trial = Trial(
        variant=Variant(), seed=SEED, data=setting.data, fingerprint=setting.fingerprint, config=setting.config
    )
    data = open_data(trial, place, CPU)
    examples, _ = split_examples(spec, seed=SEED, budget=budget, data=data, device=CPU)
    index = stratified(examples.labels, min(IMAGES, examples.count))
    where = examples.rows[index]
    epochs = (1, 2) if _random(examples) else (1,)
    forms = [_coloured(examples.images[where]), *(seen(examples, index, epoch, budget) for epoch in epochs)]
    heads = [f"epoch {epoch}" if epoch <= budget.epochs else "another draw" for epoch in epochs]
    return Samples(
        title="What the network sees",
        words=words(examples, len(index)),
        rows=tuple(NAMED.get(name := data.classes[label], name) for label in data.train.labels[where].tolist()),
        columns=("as stored", *(heads if len(epochs) > 1 else ["every epoch"])),
        images=[[form[number].numpy() for form in forms] for number in range(len(index))],
    )


def seen(examples: Examples, index: Tensor, epoch: int, budget: Budget) -> Tensor:
    """Returns what the network gets of the examples `index` (B,) in an epoch, as (B, s, s, 3) uint8.

    What the input has in place of grey levels is undone: the mean is added back, and unit scale multiplied out.
    """
    spec, data = examples.spec, examples.data
    noisy = (epoch - 1) / budget.epochs < spec.pca_until  # as `training.train` has it
    used = spec if noisy else replace(spec, pca_jitter=0.0)
    inputs = replace(examples, spec=used).augmented(index, examples.draws(SEED, epoch))
    pixels = inputs.permute(0, 2, 3, 1)
    if spec.unit_scale:
        pixels = pixels * data.std
    if used.pca_jitter:
        pixels = pixels * spec.pca_divisor
    black = torch.zeros((1, *pixels.shape[1:]), dtype=torch.uint8)
    mean = -to_input(black, data, replace(spec, unit_scale=False), None).permute(0, 2, 3, 1)
    return _coloured((pixels + mean).round().clamp(0, 255).byte())


def _coloured(pixels: Tensor) -> Tensor:
    """Returns `pixels` (B, h, w, C) with three channels: those of a grey image are alike."""
    return pixels.expand(*pixels.shape[:3], 3) if pixels.shape[3] == 1 else pixels


def words(examples: Examples, count: int) -> str:
    """Says which images these are and what augmentation does to them."""
    size, stored = examples.size, examples.data.size
    parts = _random(examples)
    if size != stored and not _moves(examples):
        parts = [f"its middle {size} x {size} pixels", *parts]
    made = f": {listed(parts)}" if parts else ""
    drawn = "drawn anew in every epoch" if _random(examples) else "the same in every epoch, as nothing is augmented"
    return (
        f"{counted(count, 'training image')}, each as it is stored ({stored} x {stored} pixels) and as the reference "
        f"with seed {SEED} gets it, {drawn}{made}. The mean, which is subtracted before the network "
        "reads an image, is added back, and what lies beyond black or white is cut off."
    )


def _moves(examples: Examples) -> bool:
    return examples.spec.random_crop and examples.room > 0


def _random(examples: Examples) -> list[str]:
    """Names what is drawn at random, in the order in which it is done."""
    spec, size, border = examples.spec, examples.size, examples.spec.crop_pad
    beyond = f" with a border of {border} reflected pixels" if border else ""
    some = f", in the first {100 * spec.pca_until:.0f}% of the training" if spec.pca_until < 1 else ""
    tone = "colours move along each principal component" if examples.data.channels > 1 else "all of the grey moves"
    far = f"{spec.pca_jitter:g} times its {'variance' if spec.pca_unit == 'variance' else 'standard deviation'}"
    known: dict[str, Any] = {
        f"{size} x {size} pixels are cut out at a random place of the image{beyond}": _moves(examples),
        "half of them are mirrored": spec.flip,
        "half of them are turned upside down": spec.vertical_flip,
        f"they are rotated by up to {spec.rotation:g} degrees": spec.rotation,
        f"they are enlarged or reduced by a factor of up to {spec.rescaling:g}": spec.rescaling != 1,
        f"they are shifted by up to {100 * spec.translation:g}% of their side": spec.translation,
        f"{tone} by a normal draw of {far}{some}": spec.pca_jitter,
        f"noise of {spec.pixel_noise:g} standard deviations is added to every value": spec.pixel_noise,
    }
    return [text for text, used in known.items() if used]
