"""The frozen description of a network, of its data treatment and of its recipe.

Everything an ablation may change is a field here, so that a variant can be printed,
hashed, compared and stored without importing torch.  Standard library only.

Section numbers are those of Krizhevsky, Sutskever and Hinton (NIPS 2012), "the paper";
"the code" is the released source of the same network (net #145).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Norm:
    """A normalisation: local response normalisation (3.3), across maps or within one, or batch normalisation."""

    kind: str = "lrn"  # a key of ablations.models.layers.NORMS
    size: int = 5  # n, adjacent channels; 3.3 gives 5.  For "same_map" the side of a window in pixels
    alpha: float = 1e-4  # 3.3 gives 1e-4, for activations of raw 0-255 pixels
    beta: float = 0.75  # 3.3
    k: float = 2.0  # 3.3
    # The code and torch divide alpha by n (by n^2 for "same_map"); the formula of 3.3 does not.
    alpha_over_size: bool = True


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A pooling window, in pixels of the map it reads (3.4)."""

    kind: str = "max"  # a key of ablations.models.layers.POOLS
    size: int = 3  # z of 3.4
    stride: int = 2  # s of 3.4; overlapping when size > stride
    pad: int = 0
    ceil: bool = False  # round the map size up, as the code does


@dataclass(frozen=True, kw_only=True)
class Conv:
    """One convolutional block: a convolution and what follows it, in `order`."""

    channels: int
    kernel: int  # pixels
    stride: int = 1  # pixels
    pad: int = 0  # pixels
    ceil: bool = False  # round the map size up, with zeros to the right and below, as the code does
    local: bool = False  # locally connected: every position has weights of its own (the CIFAR-10 nets of 3.3)
    groups: int = 1  # 2 where the paper's two GPUs do not talk (3.2)
    activation: str = "relu"  # a key of ablations.models.layers.ACTIVATIONS
    norm: Norm | None = None
    extra_norm: Norm | None = None  # directly after `norm`; the code has one within maps after conv2
    pool: Pool | None = None
    order: tuple[str, ...] = ("activation", "norm", "pool")
    weight_std: float | None = None  # of the initial normal weights; 5 gives .01.  None: as Spec.weight_init says
    bias: float = 0.0  # initial value; 5 gives 1 for conv 2, 4, 5
    decay_factor: float = 1.0  # times Spec.weight_decay
    frozen_from: float = 1.0  # share of the training from which its learning rate is zero; the code: 72/91 for conv1
    removed: bool = False  # left out but for its pooling; the other layers keep their names (7, Zeiler and Fergus 2014)
    batch_norm: bool = False  # directly after the convolution, whatever `order` says (Ioffe and Szegedy 2015)
    pad_before: int = 0  # pixels of zeros above and to the left only, besides `pad` (Keras' ZeroPadding2D)


@dataclass(frozen=True, kw_only=True)
class Dense:
    """One hidden fully connected layer."""

    features: int
    activation: str = "relu"
    dropout: float = 0.0  # probability of zeroing (4.2 gives .5)
    weight_std: float | None = None  # as in Conv
    bias: float = 0.0  # initial value; 5 gives 1
    decay_factor: float = 1.0  # times Spec.weight_decay
    removed: bool = False  # left out; the other layers keep their names


_EVALUATION = {"read by": "evaluation"}  # and by nothing that trains


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Every open choice of one training: network, data treatment and recipe."""

    # Network.
    blocks: tuple[Conv, ...]
    adaptive_pool: int = 0  # side to which the last map is averaged, whatever its size (torchvision: 6); 0: not
    hidden: tuple[Dense, ...]
    dropout_place: str = "after"  # "after" a hidden layer (4.2) or "before" it (torchvision)
    dropout_rescale: str = "train"  # divide by the keep rate in "train", or multiply by it in "test" (4.2)
    weight_init: str = "kaiming"  # where a weight_std is None: a key of ablations.models.init.INITS
    classifier_weight_std: float | None = None  # of the last layer, as in Conv
    classifier_bias: float = 0.0  # initial value
    classifier_decay_factor: float = 1.0  # times weight_decay

    # Data treatment; applied in this order.
    image_size: int  # pixels a side that the network sees, unless the budget says otherwise
    stored_ratio: float = 1.0  # stored side / seen side; the paper crops 224 out of 256 (4.1)
    random_crop: bool = True  # random position in training, centre in evaluation (4.1)
    crop_pad: int = 0  # pixels of reflected border from which crops may be taken
    flip: bool = True  # horizontal, probability one half (4.1)
    # What teaching copies add: before the mean is subtracted, but for the noise.
    vertical_flip: bool = False  # probability one half
    rotation: float = 0.0  # degrees, uniform up to it either way
    rescaling: float = 1.0  # factor, log-uniform between its inverse and it; at least 1
    translation: float = 0.0  # share of the side, uniform up to it either way, along both axes
    mean_image: bool = False  # subtract the mean image (2) rather than the mean colour
    pca_jitter: float = 0.1  # std of the random weights of the principal components (4.1); 0 is off
    pca_unit: str = "std"  # components scaled by their "std" (the code) or their "variance" (copies)
    pca_until: float = 1.0  # share of the training after which there is no colour noise; the code: 67/91
    pca_divisor: float = 1.0  # training images are divided by it after the noise is added; the code: 1.1
    pixel_noise: float = 0.0  # std of normal noise, every value for itself, in the pixels' standard deviations
    unit_scale: bool = True  # divide by the pixels' standard deviation; False keeps the raw scale (2)
    # What is averaged over to evaluate the trained network: the "centre" crop alone, or the "ten" views of 4.1.
    views: str = field(default="centre", metadata=_EVALUATION)

    # Recipe.
    optimizer: str = "sgd"  # a key of ablations.subjects.alexnet.training.optimizers.OPTIMIZERS
    learning_rate: float
    bias_lr_factor: float = 1.0  # learning rate of biases over that of weights; the code: 2
    momentum: float = 0.9  # 5; of Adam, the decay of the first moment
    weight_decay: float = 5e-4  # 5; on weights only, as in the code, unless decay_biases
    decay_biases: bool = False  # torch does
    schedule: str = "cosine"  # a key of ablations.subjects.alexnet.training.optimizers.SCHEDULES
    warm_up: float = 0.0  # share of the training in which the rate rises linearly from a tenth of the schedule's
    shuffled_labels: float = 0.0  # share of training labels permuted among themselves
    stream_salt: str = ""  # salts every random stream: same distributions, new draws


# Each field that evaluation alone reads, and its default.
EVALUATION_FIELDS: dict[str, Any] = {
    one.name: one.default for one in dataclasses.fields(Spec) if one.metadata.get("read by") == "evaluation"
}


def training_part(spec: Spec) -> Spec:
    """`spec` with the fields that evaluation alone reads at their defaults: equal where the trainings are."""
    return replace(spec, **EVALUATION_FIELDS)


def stored_size(spec: Spec, image_size: int) -> int:
    """Pixels a side at which images are stored, so that crops of `image_size` have room to move."""
    return round(image_size * spec.stored_ratio)


def room(spec: Spec, image_size: int) -> int:
    """Pixels by which a stored image and its border are larger than a crop of `image_size`."""
    return stored_size(spec, image_size) + 2 * spec.crop_pad - image_size


def described(spec: Spec) -> dict[str, Conv | Dense]:
    """What describes each layer with weights, by the layer's name: conv1.., fc6.., the paper's numbering.

    The last layer, the classifier, is a `Dense` of 0 features: the data set says how many classes there are.
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
    """Every plain value of `spec` by its path, such as `blocks.0.norm.alpha`.

    A missing norm or pool is one leaf, `blocks.0.norm`, that holds None.
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
    """The `Spec` that `dataclasses.asdict` wrote, or that lacks default values, after a round trip through JSON.

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
