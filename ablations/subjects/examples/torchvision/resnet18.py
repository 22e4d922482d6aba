"""Which parts of torchvision's ResNet-18 earn their place on small pictures?

He et al. 2016 (arXiv 1512.03385) ask it of the shortcuts, Ioffe and Szegedy 2015 (arXiv 1502.03167) and Wu and He 2018
(arXiv 1803.08494) of the normalisation.  Their numbers are of ImageNet, so that every claim here is tested by proxy.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn
from torchvision.models import resnet18
from torchvision.models.resnet import BasicBlock
from vision import METRICS, SIZES, folders, trained  # type: ignore[import-not-found]

from ablations.subject import Claim, Component, Subject


@dataclass(frozen=True)
class Config:
    """The reference."""

    shortcut: bool = True  # around every block: what comes in is added to what the block makes of it
    norm: str = "batch"
    augment: bool = True  # pictures are moved by up to an eighth of their side, and half of them mirrored
    learning_rate: float = 1e-3  # of AdamW, at its highest
    batch: int = 32
    train_images: int = 3000  # and a quarter as many of 64 pixels, which take three times as long each
    test_images: int = 1000
    epochs: int = 3


NORMS = {"batch": nn.BatchNorm2d, "group": partial(nn.GroupNorm, 32), "none": nn.Identity}
HE = "He et al. 2016, table 2 and section 4.1"
stand_in = partial(Claim, proxy="small pictures of ten classes and a short training with AdamW for ImageNet")

subject = Subject(
    reference=Config(),
    components={
        "shortcut": Component(False, summary="the sum of a block's input and output", source=HE),
        "norm": Component(["group", "none"], labels={"group": "group norm (32 groups)", "off": "no norm"}),
        "augment": Component(False, labels={"off": "no augmentation"}),
    },
    metrics=METRICS,
    claims=[
        stand_in(
            change="shortcut",
            same="accuracy",
            says="At 18 layers a plain network is as accurate as a residual one.",
            source=HE,
            published_effect=27.88 - 27.94,  # of their top-1 errors in percent
        ),
        stand_in(
            change="shortcut",
            hurts="early_accuracy",
            says="At 18 layers a plain network learns more slowly.",
            source=HE,
        ),
        stand_in(
            change="norm=off",
            hurts="accuracy",
            says="A network without batch normalisation is less accurate.",
            source="Ioffe and Szegedy 2015, figure 3: Inception, 72.2% for 72.7%",
            published_effect=72.2 - 72.7,
        ),
        stand_in(
            change="norm=off",
            hurts="early_accuracy",
            says="A network without batch normalisation learns more slowly.",
            source="Ioffe and Szegedy 2015, figure 3: 31.0 million steps for 13.3 million",
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


class Nothing(nn.Module):
    """What a block without a shortcut adds to its output."""

    def forward(self, x: torch.Tensor) -> float:
        return 0.0


def built(config: Config, streams: Any) -> nn.Module:
    """torchvision's network, with what a variant takes out of it."""
    torch.manual_seed(streams.integer("weights"))  # torchvision draws initial weights as it builds a network
    network: nn.Module = resnet18(num_classes=10, norm_layer=NORMS[config.norm])
    if not config.shortcut:
        for block in network.modules():
            if isinstance(block, BasicBlock):
                block.downsample = Nothing()  # asked for what is added, be it the input or a projection of it
    return network


@subject.trial
def train(config: Config, data: Any, streams: Any, checkpoint: Any) -> Any:
    """One training, tested after every epoch."""
    used = replace(config, train_images=config.train_images // 40 * 10) if SIZES[data.name] == 64 else config
    return trained(built(config, streams), used, data, streams, checkpoint)
