"""Which parts of torchvision's MobileNetV2 earn their place on small pictures?

Sandler et al. 2018 (arXiv 1801.04381) ask it of the shortcuts and of the expansion, Ioffe and Szegedy 2015
(arXiv 1502.03167) and Wu and He 2018 (arXiv 1803.08494) of the normalisation.  Every claim here is tested by proxy.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torchvision.models.mobilenetv2 import InvertedResidual, MobileNetV2
from vision import METRICS, SIZES, folders, trained  # type: ignore[import-not-found]

from ablations.subject import Claim, Component, Subject


@dataclass(frozen=True)
class Config:
    """The reference: half of the channels, nine of 17 blocks, and fewer strides of 2 than for ImageNet."""

    shortcut: bool = True  # around blocks that have as many channels, and as many pixels, behind as before
    expansion: int = 6  # channels inside a block for each channel before it
    norm: str = "batch"
    augment: bool = True  # pictures are moved by up to an eighth of their side, and half of them mirrored
    learning_rate: float = 3e-3  # of AdamW, at its highest
    batch: int = 32
    train_images: int = 6000
    test_images: int = 1000
    epochs: int = 3


NORMS = {"batch": nn.BatchNorm2d, "group": partial(nn.GroupNorm, 8), "none": nn.Identity}
stand_in = partial(Claim, proxy="small pictures of ten classes and a short training with AdamW for ImageNet")

subject = Subject(
    reference=Config(),
    components={
        "shortcut": Component(False, summary="the sum of a block's input and output"),
        "expansion": Component([2, 4], unit="times", scale="log"),
        "norm": Component(["group", "none"], labels={"group": "group norm (8 groups)", "off": "no norm"}),
        "augment": Component(False, labels={"off": "no augmentation"}),
    },
    metrics=METRICS,
    claims=[
        stand_in(
            change="shortcut",
            hurts="accuracy",
            says="Without shortcuts between its bottlenecks the network is less accurate.",
            source="Sandler et al. 2018, figure 6b: curves, and no number",
        ),
        stand_in(
            change="expansion=4",
            same="accuracy",
            says="A small network is as accurate with a slightly smaller expansion.",
            source="Sandler et al. 2018, section 4: 5 to 10 are nearly alike, and small networks want slightly less",
        ),
        stand_in(
            change="norm=off",
            hurts="accuracy",
            says="A network without batch normalisation is less accurate.",
            source="Ioffe and Szegedy 2015, figure 3: Inception, 72.2% for 72.7%",
            published_effect=72.2 - 72.7,
        ),
        stand_in(
            change="norm=group",
            same="accuracy",
            says="Group normalisation is nearly as good as batch normalisation at batches of 32.",
            source="Wu and He 2018, table 1: ResNet-50, 24.1% error for 23.6%",
            published_effect=23.6 - 24.1,
        ),
    ],
    sabotage={"learning_rate": 1e-6},
    budget="epochs",
    data=folders(),
)


def built(config: Config, streams: Any, size: int) -> nn.Module:
    """torchvision's network on pictures of `size` pixels a side, with what a variant takes out of it."""
    inside, first = config.expansion, size // 32  # the same work on pictures of 32 and of 64 pixels
    # Expansion, channels, how many, stride of the first: the beginning of table 2 of the paper.
    blocks = [[1, 16, 1, 1], [inside, 24, 2, first], [inside, 32, 2, 2], [inside, 64, 2, 2], [inside, 96, 2, 1]]
    torch.manual_seed(streams.integer("weights"))  # torchvision draws initial weights as it builds a network
    network: nn.Module = MobileNetV2(
        num_classes=10, width_mult=0.5, inverted_residual_setting=blocks, norm_layer=NORMS[config.norm]
    )
    if not config.shortcut:
        for block in network.modules():
            if isinstance(block, InvertedResidual):
                block.use_res_connect = False
    return network.to(memory_format=torch.channels_last)


@subject.trial
def train(config: Config, data: Any, streams: Any, checkpoint: Any) -> Any:
    """One training, tested after every epoch."""
    return trained(built(config, streams, SIZES[data.name]), config, data, streams, checkpoint)
