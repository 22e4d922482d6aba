"""The frozen description of a network, of its data treatment and of its recipe.

Everything an ablation may change is a field here, so that a variant can be printed,
hashed, compared and stored without importing torch.  Standard library only.

Section numbers are those of Krizhevsky, Sutskever and Hinton (NIPS 2012), "the paper";
"the code" is the released source of the same network (net #145).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Norm:
    """A normalisation: local response normalisation (3.3) or batch normalisation."""

    kind: str = "lrn"  # a key of models.layers.NORMS
    size: int = 5  # n, adjacent channels; 3.3 gives 5
    alpha: float = 1e-4  # 3.3 gives 1e-4, for activations of raw 0-255 pixels
    beta: float = 0.75  # 3.3
    k: float = 2.0  # 3.3
    alpha_over_size: bool = True  # the code and torch divide alpha by n, the formula of 3.3 does not


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A pooling window, in pixels of the map it reads (3.4)."""

    kind: str = "max"  # a key of models.layers.POOLS
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
    groups: int = 1  # 2 where the paper's two GPUs do not talk (3.2)
    activation: str = "relu"  # a key of models.layers.ACTIVATIONS
    norm: Norm | None = None
    pool: Pool | None = None
    order: tuple[str, ...] = ("activation", "norm", "pool")
    weight_std: float | None = None  # None: Kaiming normal over the fan-in (He et al. 2015); 5 gives .01
    bias: float = 0.0  # initial value; 5 gives 1 for conv 2, 4, 5


@dataclass(frozen=True, kw_only=True)
class Dense:
    """One hidden fully connected layer."""

    features: int
    activation: str = "relu"
    dropout: float = 0.0  # probability of zeroing (4.2 gives .5)
    weight_std: float | None = None
    bias: float = 0.0  # initial value; 5 gives 1


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Every open choice of one training: network, data treatment and recipe."""

    # Network.
    blocks: tuple[Conv, ...]
    hidden: tuple[Dense, ...]
    dropout_place: str = "after"  # "after" a hidden layer (4.2) or "before" it (torchvision)
    dropout_rescale: str = "train"  # divide by the keep rate in "train", or multiply by it in "test" (4.2)
    classifier_weight_std: float | None = None

    # Data treatment; applied in this order.
    image_size: int  # pixels a side that the network sees, unless the budget says otherwise
    stored_ratio: float = 1.0  # stored side / seen side; the paper crops 224 out of 256 (4.1)
    random_crop: bool = True  # random position in training, centre in evaluation (4.1)
    crop_pad: int = 0  # pixels of reflected border from which crops may be taken
    flip: bool = True  # horizontal, probability one half (4.1)
    mean_image: bool = False  # subtract the mean image (2) rather than the mean colour
    pca_jitter: float = 0.1  # std of the random weights of the principal components (4.1); 0 is off
    pca_unit: str = "std"  # components scaled by their "std" (the code) or their "variance" (copies)
    unit_scale: bool = True  # divide by the pixels' standard deviation; False keeps the raw scale (2)

    # Recipe.
    learning_rate: float
    momentum: float = 0.9  # 5
    weight_decay: float = 5e-4  # 5; on weights only, as in the code
    schedule: str = "cosine"  # a key of ablations.train.SCHEDULES
    shuffled_labels: float = 0.0  # share of training labels permuted among themselves
    stream_salt: str = ""  # salts every random stream: same distributions, new draws


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


def sparse(value: Any) -> Any:
    """The plain values of a dataclass that are not their field's default, nested; other values as they are.

    What a key is made of: a field that a later version adds, with the old behaviour as its default,
    leaves the keys of older records as they are.  So a default never changes its meaning.
    """
    if dataclasses.is_dataclass(value):
        named = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {field.name: sparse(item) for field, item in named if item != field.default}
    if isinstance(value, tuple):
        return [sparse(item) for item in value]
    return value


def spec_from_dict(record: Mapping[str, Any]) -> Spec:
    """The `Spec` that `dataclasses.asdict` wrote, after a round trip through JSON.

    Raises TypeError when a field is unknown or missing.
    """
    record = dict(record)
    record["blocks"] = tuple(_conv_from_dict(block) for block in record["blocks"])
    record["hidden"] = tuple(Dense(**layer) for layer in record["hidden"])
    return Spec(**record)


def _conv_from_dict(record: Mapping[str, Any]) -> Conv:
    block = dict(record)
    block["norm"] = Norm(**block["norm"]) if block["norm"] else None
    block["pool"] = Pool(**block["pool"]) if block["pool"] else None
    block["order"] = tuple(block["order"])
    return Conv(**block)
