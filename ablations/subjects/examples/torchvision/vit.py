"""Which parts of torchvision's vision transformer earn their place on small pictures?

Dosovitskiy et al. 2021 (arXiv 2010.11929) ask it of the position embedding: table 8, in points of accuracy of five-shot
linear classifiers on ImageNet.  That is another network, other data and another task: the claim is tested by proxy.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torchvision.models import VisionTransformer
from vision import METRICS, SIZES, folders, trained  # type: ignore[import-not-found]

from ablations.subject import Claim, Component, Subject


@dataclass(frozen=True)
class Config:
    """The reference: 16 patches, three layers of 64 channels and two heads."""

    position: bool = True  # each patch has a learned vector that says where it lies
    norm: str = "layer"
    augment: bool = True  # pictures are moved by up to an eighth of their side, and half of them mirrored
    learning_rate: float = 2e-3  # of AdamW, at its highest
    batch: int = 64
    train_images: int = 8000
    test_images: int = 1000
    epochs: int = 8


NORMS = {"layer": partial(nn.LayerNorm, eps=1e-6), "none": nn.Identity}  # the first is what torchvision has
SOURCE = "Dosovitskiy et al. 2021, table 8: .61382 without one, .64206 with a one-dimensional one"

subject = Subject(
    reference=Config(),
    components={
        "position": Component(
            False, summary="where a patch lies in the picture", source=SOURCE, labels={"off": "no position embedding"}
        ),
        "norm": Component("none", summary="layer normalisation before attention, perceptron and output"),
        "augment": Component(False, labels={"off": "no augmentation"}),
    },
    metrics=METRICS,
    claims=[
        Claim(
            change="position",
            hurts="accuracy",
            says="A transformer that is not told where patches lie is less accurate.",
            source=SOURCE,
            published_effect=61.382 - 64.206,
            proxy="a small network trained for a short time on small pictures for ViT-B/16 pretrained on JFT-300M",
        ),
    ],
    sabotage={"learning_rate": 1e-6},
    budget="epochs",
    data=folders(),
)


def built(config: Config, streams: Any, size: int) -> nn.Module:
    """torchvision's network on pictures of `size` pixels a side, with what a variant takes out of it."""
    torch.manual_seed(streams.integer("weights"))  # torchvision draws initial weights as it builds a network
    network: nn.Module = VisionTransformer(
        image_size=size,
        patch_size=size // 4,
        num_layers=3,
        num_heads=2,
        hidden_dim=64,
        mlp_dim=128,
        num_classes=10,
        norm_layer=NORMS[config.norm],
    )
    if not config.position:
        nn.init.zeros_(network.get_parameter("encoder.pos_embedding")).requires_grad_(False)
    return network


@subject.trial
def train(config: Config, data: Any, streams: Any, checkpoint: Any) -> Any:
    """One training, tested after every epoch."""
    return trained(built(config, streams, SIZES[data.name]), config, data, streams, checkpoint)
