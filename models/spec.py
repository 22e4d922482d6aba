"""Describes a network, its data treatment and its training recipe as frozen values.

Everything that an ablation may change is a field here, so that a variant can be printed,
hashed, compared and stored without importing torch.  Standard library only.

Section numbers such as 3.3 are those of Krizhevsky, Sutskever and Hinton (NIPS 2012), "the paper";
"the code" is the released source of the same network (net #145).

Records hold only fields that differ from their default, and keys are made of what records hold.  So a new
field needs a default that leaves every preset as it was, and no default may ever change.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Norm:
    """A normalisation: response normalisation across maps (3.3) or within each map, or batch normalisation."""

    kind: str = "lrn"  # a key of ablations.models.layers.NORMS
    size: int = 5  # n, the number of adjacent channels; 3.3 gives 5.  For "same_map", the side of a window in pixels
    alpha: float = 1e-4  # 3.3 gives 1e-4, for activations of raw 0-255 pixels
    beta: float = 0.75  # 3.3
    k: float = 2.0  # 3.3
    # Whether alpha is divided by n (by n^2 for "same_map"), as in the code and in torch; the formula of 3.3 does not.
    alpha_over_size: bool = True


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A pooling window, in pixels of the map it reads (3.4)."""

    kind: str = "max"  # a key of ablations.models.layers.POOLS
    size: int = 3  # z of 3.4
    stride: int = 2  # s of 3.4; windows overlap when size > stride
    pad: int = 0  # pixels on each side
    ceil: bool = False  # round the map size up, as the code does


@dataclass(frozen=True, kw_only=True)
class Conv:
    """One convolutional block: a convolution, followed by an activation, a normalisation and a pooling in `order`."""

    channels: int  # that it writes
    kernel: int  # pixels a side
    stride: int = 1  # pixels
    pad: int = 0  # pixels on each side
    ceil: bool = False  # round the map size up, with zeros to the right and below, as the code does
    local: bool = False  # locally connected: every position has weights of its own (the CIFAR-10 nets of 3.3)
    groups: int = 1  # 2 where the paper's two GPUs do not communicate (3.2)
    activation: str = "relu"  # a key of ablations.models.layers.ACTIVATIONS
    norm: Norm | None = None
    extra_norm: Norm | None = None  # directly after `norm`; the code has one within maps after conv2
    pool: Pool | None = None
    order: tuple[str, ...] = ("activation", "norm", "pool")  # each slot once, also those that are empty
    # Standard deviation of the initial normal weights; section 5 gives .01.  None: Spec.weight_init names the scheme.
    weight_std: float | None = None
    bias: float = 0.0  # initial value; section 5 gives 1 for conv 2, 4 and 5
    decay_factor: float = 1.0  # multiplies Spec.weight_decay
    frozen_from: float = 1.0  # share of the training after which its learning rate is zero; the code: 72/91 for conv1
    removed: bool = False  # only its pooling is kept; other layers keep their names (7; Zeiler and Fergus 2014)
    batch_norm: bool = False  # directly after the convolution, whatever `order` says (Ioffe and Szegedy 2015)
    pad_before: int = 0  # pixels of zeros above and to the left only, in addition to `pad` (Keras' ZeroPadding2D)


@dataclass(frozen=True, kw_only=True)
class Dense:
    """One hidden fully connected layer."""

    features: int  # that it writes
    activation: str = "relu"  # a key of ablations.models.layers.ACTIVATIONS
    dropout: float = 0.0  # probability of zeroing a feature (4.2 gives .5)
    weight_std: float | None = None  # as in Conv
    bias: float = 0.0  # initial value; section 5 gives 1
    decay_factor: float = 1.0  # multiplies Spec.weight_decay
    removed: bool = False  # the layer is left out; the other layers keep their names


# Marks a field that only evaluation reads.  Trials that differ in such fields alone share one training.
_EVALUATION = {"read by": "evaluation"}


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Every open choice of one training: network, data treatment and recipe."""

    # Network.
    blocks: tuple[Conv, ...]
    adaptive_pool: int = 0  # side to which the last map is averaged, whatever its size (torchvision: 6); 0: none
    hidden: tuple[Dense, ...]
    dropout_place: str = "after"  # "after" a hidden layer (4.2) or "before" it (torchvision)
    dropout_rescale: str = "train"  # divide by the keep rate in "train", or multiply by it in "test" (4.2)
    weight_init: str = "kaiming"  # a key of ablations.models.init.INITS, for layers whose weight_std is None
    classifier_weight_std: float | None = None  # of the last layer, as in Conv
    classifier_bias: float = 0.0  # initial value
    classifier_decay_factor: float = 1.0  # multiplies weight_decay

    # Data treatment, in the order in which it is applied.
    image_size: int  # pixels a side that the network sees, unless the budget says otherwise
    stored_ratio: float = 1.0  # stored side / seen side; the paper crops 224 out of 256 (4.1)
    random_crop: bool = True  # random position in training, centre in evaluation (4.1)
    crop_pad: int = 0  # pixels of reflected border from which crops may be taken
    flip: bool = True  # horizontal, with a probability of one half (4.1)
    # Augmentations that teaching copies add.  All but pixel_noise are applied before the mean is subtracted.
    vertical_flip: bool = False  # with a probability of one half
    rotation: float = 0.0  # largest angle in degrees; uniform between plus and minus this
    rescaling: float = 1.0  # largest factor, at least 1; log-uniform between its inverse and itself
    translation: float = 0.0  # largest shift as a share of the side; uniform between plus and minus this, on both axes
    mean_image: bool = False  # subtract the mean image (2) rather than the mean colour
    pca_jitter: float = 0.1  # std of the random weights of the principal components (4.1); 0: no colour noise
    pca_unit: str = "std"  # components are scaled by their "std" (the code) or their "variance" (many copies)
    pca_until: float = 1.0  # share of the training after which there is no colour noise; the code: 67/91
    pca_divisor: float = 1.0  # training images are divided by this after the noise is added; the code: 1.1
    pixel_noise: float = 0.0  # std of independent normal noise on every value, in units of the pixels' std
    unit_scale: bool = True  # divide by the pixels' standard deviation; False keeps the raw scale (2)
    # Views whose softmax outputs are averaged in evaluation: the "centre" crop alone, or the "ten" views of 4.1.
    views: str = field(default="centre", metadata=_EVALUATION)

    # Recipe.
    optimizer: str = "sgd"  # a key of ablations.subjects.alexnet.training.optimizers.OPTIMIZERS
    learning_rate: float  # of weights, before the schedule and the warm-up
    bias_lr_factor: float = 1.0  # learning rate of biases over that of weights; the code: 2
    momentum: float = 0.9  # section 5; for Adam, the decay rate of the first moment
    weight_decay: float = 5e-4  # section 5; on weights only, as in the code, unless decay_biases is set
    decay_biases: bool = False  # torch's optimisers do by default
    schedule: str = "cosine"  # a key of ablations.subjects.alexnet.training.optimizers.SCHEDULES
    warm_up: float = 0.0  # share of the training over which the rate rises from a tenth of the schedule's to all of it
    shuffled_labels: float = 0.0  # share of the training labels that are permuted among themselves
    stream_salt: str = ""  # part of the name of every random stream: another salt gives new draws, equally distributed


# The fields that only evaluation reads, with their defaults.
EVALUATION_FIELDS: dict[str, Any] = {
    one.name: one.default for one in dataclasses.fields(Spec) if one.metadata.get("read by") == "evaluation"
}


def training_part(spec: Spec) -> Spec:
    """Returns `spec` with the fields that only evaluation reads at their defaults.

    Two Specs with equal training parts are trained alike, so that one training serves both.
    """
    return replace(spec, **EVALUATION_FIELDS)


def stored_size(spec: Spec, image_size: int) -> int:
    """Returns the side, in pixels, of stored images from which crops of `image_size` pixels are taken."""
    return round(image_size * spec.stored_ratio)


def room(spec: Spec, image_size: int) -> int:
    """Returns by how many pixels a stored image with its border is larger than a crop of `image_size` pixels."""
    return stored_size(spec, image_size) + 2 * spec.crop_pad - image_size


def described(spec: Spec) -> dict[str, Conv | Dense]:
    """Returns the description of every layer with weights, by the layer's name in the paper's numbering: conv1.., fc6..

    Removed layers are left out, and the others keep their numbers.  The last layer, the classifier, is a `Dense` of 0
    features, because the number of classes is the data set's.
    """
    last = Dense(
        features=0,
        weight_std=spec.classifier_weight_std,
        bias=spec.classifier_bias,
        decay_factor=spec.classifier_decay_factor,
    )
    parts: tuple[Conv | Dense, ...] = (*spec.blocks, *spec.hidden, last)
    return {
        f"{'conv' if isinstance(part, Conv) else 'fc'}{number}": part
        for number, part in enumerate(parts, start=1)
        if not part.removed
    }


def leaves(spec: Spec) -> dict[str, Any]:
    """Returns every plain value of `spec` by its path, such as `blocks.0.norm.alpha`.

    A missing norm or pool is one leaf, such as `blocks.0.norm`, whose value is None.
    """

    def walk(value: Any, path: str) -> list[tuple[str, Any]]:
        if dataclasses.is_dataclass(value):
            named = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
        elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
            named = [(str(index), item) for index, item in enumerate(value)]
        else:
            return [(path, value)]
        return [leaf for name, item in named for leaf in walk(item, f"{path}.{name}" if path else name)]

    return dict(walk(spec, ""))


def spec_from_dict(record: Mapping[str, Any]) -> Spec:
    """Returns the `Spec` of a record: what `dataclasses.asdict` gives, after JSON, with or without default values.

    Raises TypeError when a field is unknown or missing.
    """
    record = dict(record)
    record["blocks"] = tuple(_conv_from_dict(block) for block in record["blocks"])
    record["hidden"] = tuple(Dense(**layer) for layer in record["hidden"])
    return Spec(**record)


def _conv_from_dict(record: Mapping[str, Any]) -> Conv:
    block = dict(record)
    kinds: dict[str, type[Norm | Pool]] = {"norm": Norm, "extra_norm": Norm, "pool": Pool}
    for name, kind in kinds.items():
        if block.get(name) is not None:
            block[name] = kind(**block[name])
    if "order" in block:
        block["order"] = tuple(block["order"])
    return Conv(**block)
