"""Other people's versions of the 2012 network: Caffe's two, torchvision's, and three teaching copies."""

from __future__ import annotations

from dataclasses import replace

from ablations.models.presets.registry import preset
from ablations.models.spec import Conv, Dense, Norm, Pool, Spec

_POOL = Pool(size=3, stride=2)


def _caffe(*, bias: float, order: tuple[str, ...], schedule: str) -> Spec:
    pool = replace(_POOL, ceil=True)
    lrn = Norm(k=1.0)
    blocks = (
        Conv(channels=96, kernel=11, stride=4, norm=lrn, pool=pool),
        Conv(channels=256, kernel=5, pad=2, groups=2, norm=lrn, pool=pool, bias=bias),
        Conv(channels=384, kernel=3, pad=1),
        Conv(channels=384, kernel=3, pad=1, groups=2, bias=bias),
        Conv(channels=256, kernel=3, pad=1, groups=2, pool=pool, bias=bias),
    )
    return Spec(
        blocks=tuple(replace(block, order=order, weight_std=0.01) for block in blocks),
        hidden=(Dense(features=4096, dropout=0.5, weight_std=0.005, bias=bias),) * 2,
        classifier_weight_std=0.01,
        image_size=227,
        stored_ratio=256 / 227,
        mean_image=True,
        pca_jitter=0.0,
        unit_scale=False,
        optimizer="sgd_original",  # Caffe keeps the learning rate inside the velocity too
        learning_rate=0.01,
        bias_lr_factor=2.0,
        schedule=schedule,
    )


@preset(
    "caffe",
    summary="BVLC AlexNet: the paper's layers at 227 pixels, k = 1, biases of .1, no colour noise",
    source="BVLC/caffe, models/bvlc_alexnet: train_val.prototxt, solver.prototxt, readme.md",
    parameters=60_965_224,
)
def caffe() -> Spec:
    """Caffe's replication, trained with batches of 256.  Its readme reports that biases of 1 gave a flat loss."""
    return _caffe(bias=0.1, order=("activation", "norm", "pool"), schedule="caffe_alexnet")


@preset(
    "caffenet",
    summary="CaffeNet: as `caffe`, but pooling before LRN, and biases of 1",
    source="BVLC/caffe, models/bvlc_reference_caffenet: train_val.prototxt, solver.prototxt",
    parameters=60_965_224,
)
def caffenet() -> Spec:
    """Caffe's reference model.  Pooling before LRN makes it cheaper, since it then reads a quarter of the pixels."""
    return _caffe(bias=1.0, order=("activation", "pool", "norm"), schedule="caffe_caffenet")


def _one_tower(*, weight_std: float | None = None, bias: float = 0.0) -> tuple[Conv, ...]:
    """Returns the convolutions of 2014 without normalisation, as torchvision has them."""
    blocks = (
        Conv(channels=64, kernel=11, stride=4, pad=2, pool=_POOL),
        Conv(channels=192, kernel=5, pad=2, pool=_POOL),
        Conv(channels=384, kernel=3, pad=1),
        Conv(channels=256, kernel=3, pad=1),
        Conv(channels=256, kernel=3, pad=1, pool=_POOL),
    )
    return tuple(replace(block, weight_std=weight_std, bias=bias) for block in blocks)


@preset(
    "torchvision",
    summary="torchvision.models.alexnet: the 2014 widths, no LRN, adaptive pooling, dropout before fc6 and fc7",
    source="pytorch/vision, models/alexnet.py and references/classification/README.md",
    parameters=61_100_840,
)
def torchvision() -> Spec:
    """torchvision's network and recipe, which uses batches of 32 on each of 8 GPUs for 90 epochs.

    Its RandomResizedCrop is replaced by a plain random crop.
    """
    return Spec(
        blocks=_one_tower(),
        adaptive_pool=6,
        hidden=(Dense(features=4096, dropout=0.5),) * 2,
        dropout_place="before",
        weight_init="torch_default",
        image_size=224,
        stored_ratio=256 / 224,
        pca_jitter=0.0,
        learning_rate=0.01,
        weight_decay=1e-4,
        decay_biases=True,
        schedule="step_30_60",
    )


@preset(
    "gist",
    summary="the common teaching copy: torchvision's widths, every weight N(0, .01) and every bias 1",
    source="gist.github.com/shangeth/667e85c10956a089340b39ee4761692b, of 2018",
    parameters=61_100_840,
)
def gist() -> Spec:
    """A copy meant for CIFAR-10 scaled to 224 pixels, in batches of 128.

    It may not train at all; models/README.md says what we found.  Its learning rate follows the validation error, so a
    study of it needs `--evaluate-on validation`.
    """
    return Spec(
        blocks=_one_tower(weight_std=0.01, bias=1.0),
        hidden=(Dense(features=4096, dropout=0.5, weight_std=0.01, bias=1.0),) * 2,
        dropout_place="before",
        classifier_weight_std=0.01,
        classifier_bias=1.0,
        image_size=224,
        random_crop=False,
        flip=False,
        pca_jitter=0.0,
        learning_rate=0.01,
        decay_biases=True,
        schedule="plateau",
    )


@preset(
    "keras_zero_based",
    summary="the Keras write-up: zeros above and to the left, LRN before ReLU, 2/2 pools, conv3 and conv4 without ReLU",
    source="a public Keras write-up of the paper, layer by layer; it gives no optimiser, so Adam at .001 is our choice",
    parameters=62_378_344,
)
def keras_zero_based() -> Spec:
    """A Keras write-up.  It pads 224 pixels by three zeros above and to the left, so that maps are 55, 27 and 13.

    Its normalisation has TensorFlow's default constants.  The write-up gives no optimiser: Adam at .001, without decay
    and at a constant rate, is our choice, and so is the treatment of the images (unit scale, no augmentation).
    """
    pool = Pool(size=2, stride=2)
    # In tf.nn.local_response_normalization, a depth_radius of 5 means 5 channels on either side, so n = 11, and alpha
    # is not divided by n.
    lrn = Norm(size=11, alpha=1.0, beta=0.5, k=1.0, alpha_over_size=False)
    first = ("norm", "activation", "pool")
    blocks = (
        Conv(channels=96, kernel=11, stride=4, pad_before=3, norm=lrn, pool=pool, order=first),
        Conv(channels=256, kernel=5, pad=2, norm=lrn, pool=pool, order=first),
        Conv(channels=384, kernel=3, pad=1, activation="none"),
        Conv(channels=384, kernel=3, pad=1, activation="none"),
        Conv(channels=256, kernel=3, pad=1, pool=pool),
    )
    return Spec(
        blocks=tuple(replace(block, weight_std=0.01) for block in blocks),
        hidden=(Dense(features=4096, dropout=0.5, weight_std=0.01),) * 2,
        weight_init="glorot",  # Keras' default, which the last layer keeps
        image_size=224,
        random_crop=False,
        flip=False,
        pca_jitter=0.0,
        optimizer="adam",
        learning_rate=1e-3,
        weight_decay=0.0,
        schedule="constant",
    )


@preset(
    "vision_hist",
    summary="a widely copied PyTorch port: no groups, LRN on unit-scale inputs, AdamW at 1e-4 with decay .1",
    source="khazaei vision-hist, commits 0e5c906 and 7854867, after dansuh17/alexnet-pytorch",
    parameters=58_322_314,
    classes=10,
)
def vision_hist() -> Spec:
    """A PyTorch port for Imagenette: batches of 64, 90 epochs, the centre crop in training too.

    On inputs of unit scale its LRN is a constant factor.  The test errors that it reports were measured with dropout
    switched on.
    """
    lrn = Norm()
    return Spec(
        blocks=(
            Conv(channels=96, kernel=11, stride=4, norm=lrn, pool=_POOL, weight_std=0.01),
            Conv(channels=256, kernel=5, pad=2, norm=lrn, pool=_POOL, weight_std=0.01, bias=1.0),
            Conv(channels=384, kernel=3, pad=1, weight_std=0.01),
            Conv(channels=384, kernel=3, pad=1, weight_std=0.01, bias=1.0),
            Conv(channels=256, kernel=3, pad=1, pool=_POOL, weight_std=0.01, bias=1.0),
        ),
        hidden=(Dense(features=4096, dropout=0.5),) * 2,
        dropout_place="before",
        weight_init="torch_default",
        image_size=227,
        stored_ratio=256 / 227,
        random_crop=False,
        flip=False,
        pca_jitter=0.0,
        optimizer="adamw",
        learning_rate=1e-4,
        weight_decay=0.1,
        decay_biases=True,
        schedule="step_30_60",
    )
