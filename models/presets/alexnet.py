"""The authors' own networks: as published, as coded in 2012, and as coded again in 2014.

"Net #145" is the network of the released source (Computer History Museum) whose logged errors are
those that the paper reports.
"""

from __future__ import annotations

from dataclasses import replace

from ablations.models.presets.registry import preset
from ablations.models.spec import Conv, Dense, Norm, Pool, Spec


@preset(
    "paper",
    summary="AlexNet as published: 96/256/384/384/256, two groups, 60,965,224 parameters at 1,000 classes",
    source="Krizhevsky, Sutskever, Hinton, NIPS 2012, sections 2 to 5",
    parameters=60_965_224,
)
def paper() -> Spec:
    """The text of the paper, read literally, on 224-pixel crops.

    So alpha is not divided by n (3.3), and the learning rate is inside the velocity (5).  A padding of 2 in conv1
    gives the paper's maps of 55x55 pixels, which it does not explain.  Two choices depart from the text.  The colour
    noise (4.1) is scaled by standard deviations instead of eigenvalues, which on the 0-255 scale would drown the image.
    The learning rate falls after the same shares of the training as in the code, instead of when the validation error
    stops improving (5), so that no images have to be held out; `schedule=plateau` follows the text.
    """
    pool = Pool(size=3, stride=2)
    lrn = Norm(alpha_over_size=False)
    return Spec(
        blocks=(
            Conv(channels=96, kernel=11, stride=4, pad=2, norm=lrn, pool=pool, weight_std=0.01),
            Conv(channels=256, kernel=5, pad=2, groups=2, norm=lrn, pool=pool, weight_std=0.01, bias=1.0),
            Conv(channels=384, kernel=3, pad=1, weight_std=0.01),
            Conv(channels=384, kernel=3, pad=1, groups=2, weight_std=0.01, bias=1.0),
            Conv(channels=256, kernel=3, pad=1, groups=2, pool=pool, weight_std=0.01, bias=1.0),
        ),
        hidden=(Dense(features=4096, dropout=0.5, weight_std=0.01, bias=1.0),) * 2,
        dropout_rescale="test",
        classifier_weight_std=0.01,
        image_size=224,
        stored_ratio=256 / 224,
        mean_image=True,
        unit_scale=False,
        views="ten",
        optimizer="sgd_original",
        learning_rate=0.01,
        schedule="step",
    )


# The code normalises and pools conv1 before its activation, and pools conv5 before it.  Max pooling and ReLU give the
# same in either order, but the normalisation of conv1 then sees negative values too.
_ACTIVATION_LAST = ("norm", "pool", "activation")
_CEIL_POOL = Pool(size=3, stride=2, ceil=True)


@preset(
    "original_code",
    summary="net #145 as coded: LRN before ReLU on conv1, a third normalisation, std .03, biases at twice the rate",
    source="released 2012 source, layers/layers-145.cfg and layer-params-145.cfg",
    parameters=60_965_224,
)
def original_code() -> Spec:
    """The network that was actually trained.  models/README.md lists where it departs from the paper's text.

    Four details of the code are not reproduced: it normalised each GPU's column of 48 or 128 maps separately, gave
    32 consecutive images the same crop, divided conv1's rate by ten at epoch 67, and did not lower the rate of the
    biases together with that of the weights.
    """
    pool, lrn = _CEIL_POOL, Norm()
    # The layer file does not give k for this normalisation; 1 is the default of its parser.
    same_map = Norm(kind="same_map", size=5, alpha=1e-3, k=1.0)
    conv1 = Conv(
        channels=96, kernel=11, stride=4, ceil=True, norm=lrn, pool=pool, order=_ACTIVATION_LAST, weight_std=0.01
    )
    return Spec(
        blocks=(
            replace(conv1, frozen_from=72 / 91),
            Conv(
                channels=256,
                kernel=5,
                pad=2,
                groups=2,
                norm=lrn,
                extra_norm=same_map,
                pool=pool,
                weight_std=0.01,
                bias=1.0,
            ),
            Conv(channels=384, kernel=3, pad=1, weight_std=0.03),
            Conv(channels=384, kernel=3, pad=1, groups=2, weight_std=0.03, bias=1.0),
            Conv(channels=256, kernel=3, pad=1, groups=2, pool=pool, order=_ACTIVATION_LAST, weight_std=0.03, bias=1.0),
        ),
        hidden=(Dense(features=4096, dropout=0.5, weight_std=0.01, bias=1.0),) * 2,
        dropout_rescale="test",
        classifier_weight_std=0.01,
        image_size=224,
        stored_ratio=256 / 224,
        mean_image=True,
        pca_until=67 / 91,
        pca_divisor=1.1,
        unit_scale=False,
        views="ten",
        optimizer="sgd_original",
        learning_rate=0.01,
        bias_lr_factor=2.0,
        schedule="step",
    )


@preset(
    "one_gpu_half",
    summary="the one-GPU side of the two-GPU claim: half the kernels, ungrouped, last convolution and FC kept",
    source="released 2012 source, layers/layer-params-145-half.cfg; the paper, section 3.2, footnote 2",
    parameters=59_798_312,
)
def one_gpu_half() -> Spec:
    """`original_code` with half the kernels in one column.

    conv5 keeps its 256 kernels, so that fc6 reads as many features as before and the number of parameters is about
    the same.
    """
    spec = original_code()
    widths = (48, 128, 192, 192, 256)
    blocks = tuple(replace(block, channels=width, groups=1) for block, width in zip(spec.blocks, widths, strict=True))
    return replace(spec, blocks=blocks)


@preset(
    "one_tower_2014",
    summary="the authors' code of 2014: 64/192/384/256/256 in one tower, 61,100,840 parameters",
    source="cuda-convnet2, layers/layers-imagenet-1gpu.cfg and its wiki, TrainingExample",
    parameters=61_100_840,
)
def one_tower_2014() -> Spec:
    """Krizhevsky 2014, arXiv 1404.5997: `original_code` with other widths, without groups and same-map normalisation.

    One detail is not reproduced: the rate of its biases fell by a factor of 10 in two levels, while that of the weights
    fell by a factor of 250 in four.
    """
    spec = original_code()
    widths = (64, 192, 384, 256, 256)
    blocks = tuple(
        replace(block, channels=width, groups=1, extra_norm=None, frozen_from=1.0)
        for block, width in zip(spec.blocks, widths, strict=True)
    )
    return replace(
        spec,
        blocks=blocks,
        classifier_bias=-7.0,  # about log(1 / 1000), so that every class is improbable at the start
        pca_until=1.0,
        schedule="exponential_4",
    )
