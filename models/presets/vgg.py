"""The VGG networks: Simonyan and Zisserman, ICLR 2015, arXiv 1409.1556.

They are here as the other published test of local response normalisation, and as the second network of the
vision-hist series, whose first is in `copies`.
"""

from __future__ import annotations

from dataclasses import replace

from ablations.models.presets.copies import vision_hist
from ablations.models.presets.registry import preset
from ablations.models.spec import Conv, Dense, Norm, Pool, Spec

_SOURCE = "Simonyan and Zisserman 2015, arXiv 1409.1556, table 1"


def _vgg(*depths: int) -> Spec:
    """Returns five stages of 64 to 512 channels with `depths` 3x3 convolutions, each followed by 2/2 max pooling.

    The recipe is that of section 3.1: batches of 256, 74 epochs, rates as in `paper`, the mean colour subtracted, crops
    of 224 out of 256.  The authors started the deeper networks from the weights of A.  Glorot's weights, used here, did
    as well according to them.
    """
    conv = Conv(channels=64, kernel=3, pad=1)
    blocks: list[Conv] = []
    for depth, channels in zip(depths, (64, 128, 256, 512, 512), strict=True):
        blocks += [replace(conv, channels=channels)] * (depth - 1)
        blocks.append(replace(conv, channels=channels, pool=Pool(size=2, stride=2)))
    return Spec(
        blocks=tuple(blocks),
        hidden=(Dense(features=4096, dropout=0.5),) * 2,
        weight_init="glorot",
        image_size=224,
        stored_ratio=256 / 224,
        unit_scale=False,
        learning_rate=0.01,
        schedule="step",
    )


@preset(
    "vgg_a",
    summary="configuration A, 11 layers with weights (torchvision's vgg11)",
    source=f"{_SOURCE}, column A",
    parameters=132_863_336,
)
def vgg_a() -> Spec:
    """The shallowest configuration; the authors say that it can be trained from random weights."""
    return _vgg(1, 1, 2, 2, 2)


@preset(
    "vgg_a_lrn",
    summary="configuration A with local response normalisation after the first convolution",
    source=f"{_SOURCE}, column A-LRN; section 4.1: it did not help",
    parameters=132_863_336,
)
def vgg_a_lrn() -> Spec:
    """Configuration A with LRN, whose constants are those of Krizhevsky et al., to whom the authors refer."""
    spec = vgg_a()
    first, *rest = spec.blocks
    return replace(spec, blocks=(replace(first, norm=Norm()), *rest))


@preset(
    "vgg_b",
    summary="configuration B, 13 layers with weights (torchvision's vgg13)",
    source=f"{_SOURCE}, column B",
    parameters=133_047_848,
)
def vgg_b() -> Spec:
    """Two convolutions in every stage."""
    return _vgg(2, 2, 2, 2, 2)


@preset(
    "vgg16",
    summary="configuration D, 16 layers with weights",
    source=f"{_SOURCE}, column D",
    parameters=138_357_544,
)
def vgg16() -> Spec:
    """Two convolutions in the first two stages, three in the others."""
    return _vgg(2, 2, 3, 3, 3)


@preset(
    "vgg19",
    summary="configuration E, 19 layers with weights",
    source=f"{_SOURCE}, column E",
    parameters=143_667_240,
)
def vgg19() -> Spec:
    """Two convolutions in the first two stages, four in the others."""
    return _vgg(2, 2, 4, 4, 4)


@preset(
    "vision_hist_vgg16",
    summary="configuration D with the recipe of `vision_hist`: AdamW at 1e-4 with decay .1, batch 128, 90 epochs",
    source="khazaei vision-hist, VGG.py in commit 0e5c906; its readme reports 68.5% of Imagenette's test images right",
    parameters=134_301_514,
    classes=10,
)
def vision_hist_vgg16() -> Spec:
    """A PyTorch port of VGG-16 for Imagenette: batches of 128, 90 epochs, the centre crop in training too.

    Convolutions start from Glorot's weights times 2^.5 and the three fully connected layers from N(0, .01); every bias
    starts at zero.  The test errors that it reports were measured with dropout switched on.
    """
    return replace(
        vision_hist(),
        blocks=vgg16().blocks,
        hidden=(Dense(features=4096, dropout=0.5, weight_std=0.01),) * 2,
        weight_init="glorot_relu",
        classifier_weight_std=0.01,
        image_size=224,
        stored_ratio=256 / 224,
    )
