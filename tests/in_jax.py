"""JAX's contender: that its parts are those of the torch network and of our augmentation.

Not collected with the others: JAX in a process makes each later fork in it a warning.  `test_bench.py` runs this file
in a process of its own, where JAX is installed.
"""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ablations.bench import jax_loop, same_work, summary
from ablations.bench.contenders import data_of
from ablations.bench.task import Task
from ablations.models.presets import PRESETS
from ablations.models.spec import Spec
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.examples import split_examples
from ablations.subjects.alexnet.training.streams import CPU
from ablations.subjects.alexnet.training.train import start

TASK = Task(contender="jax", net="cifar_small", image_size=32, batch_size=8, folder="", images=40, threads=1)
KEY = jax.random.key(0)


@pytest.mark.parametrize("net", ["cifar_small", "cuda_convnet_18pct"])
def test_its_loop_follows_the_plain_loops_losses(data: Data, net: str) -> None:
    found = same_work.differences(PRESETS[net].spec, data, image_size=16, batch_size=8, steps=20)
    difference, wrong = found["jax_difference"], found["of_a_wrong_rate"]
    assert isinstance(difference, float) and isinstance(wrong, float)
    assert difference <= summary.TOLERANCE and summary.SEEN * difference <= wrong


def undropped(spec: Spec) -> Spec:
    return replace(spec, hidden=tuple(replace(layer, dropout=0.0) for layer in spec.hidden))


@pytest.mark.parametrize(
    ("net", "size"),
    [
        ("cifar_small", 32),
        ("cuda_convnet_18pct", 32),
        ("cuda_convnet_80sec", 30),
        ("original_code", 67),
        ("keras_zero_based", 67),
    ],
)
def test_logits_and_every_gradient_are_those_of_the_torch_network(net: str, size: int) -> None:
    data, spec = data_of(replace(TASK, net=net, image_size=size)), undropped(PRESETS[net].spec)
    budget = Budget(epochs=1, train_examples=8, batch_size=4, image_size=size)
    made = start(spec, seed=0, budget=budget, data=data, device=CPU)
    images = 50 * torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(0))
    pulls = torch.randn(4, 10, generator=torch.Generator().manual_seed(1))
    expected = made(images)
    expected.backward(pulls)
    logits, state = jax_loop.network(spec, data, size), jax_loop.started(made)
    pixels = images.permute(0, 2, 3, 1).numpy()
    found, back = jax.vjp(jax.jit(lambda weights: logits(weights, pixels, KEY)), state.weights)
    scale = float(expected.detach().abs().max())
    np.testing.assert_allclose(found, expected.detach(), atol=1e-5 * scale)
    (gradients,) = back(pulls.numpy())
    for name, weight in made.named_parameters():
        assert weight.grad is not None
        expected_one = jax_loop.turned(weight.grad).numpy()
        np.testing.assert_allclose(gradients[name], expected_one, atol=1e-4 * abs(expected_one).max(), err_msg=name)


def test_inputs_are_ours_where_nothing_is_drawn(data: Data) -> None:
    for net in ("cifar", "cuda_convnet_18pct"):
        spec = replace(PRESETS[net].spec, random_crop=False, flip=False, pca_jitter=0.0)
        budget = Budget(epochs=1, train_examples=90, batch_size=32, image_size=14)
        training, _ = split_examples(spec, seed=0, budget=budget, data=data, device=CPU)
        index = torch.arange(0, 90, 9)
        found = jax_loop.augmenter(spec, data, 14)(data.train.images[training.rows[index]].numpy(), KEY)
        np.testing.assert_allclose(found, training.plain(index).permute(0, 2, 3, 1), rtol=1e-4, atol=1e-4)


def test_crops_flips_and_noise_differ_between_images_and_keep_their_pixels(data: Data) -> None:
    spec = replace(PRESETS["cifar"].spec, pca_jitter=0.0)
    pixels = np.repeat(data.train.images[:1].numpy(), 64, axis=0)
    found = np.asarray(jax_loop.augmenter(spec, data, 16)(pixels, KEY))
    assert len(np.unique(found, axis=0)) > 32
    # Some pixel of the image, or of its reflected border, stands in each place.
    allowed = np.unique((pixels[0] - data.mean.numpy()) / data.std)
    assert abs(found[..., None] - allowed.astype(np.float32)).min(-1).max() < 1e-5
    noisy = jax_loop.augmenter(replace(spec, pca_jitter=0.1, flip=False, random_crop=False), data, 16)(pixels, KEY)
    shifts = np.asarray(noisy - noisy[:1])
    assert float(shifts.std((1, 2)).max()) < 1e-4  # one colour an image
    assert float(abs(shifts.mean((1, 2))).max()) > 0.01


@pytest.mark.parametrize(("rescale", "mean"), [("train", 1.0), ("test", 0.5)])
def test_dropout_keeps_half_of_the_features(rescale: str, mean: float) -> None:
    spec = replace(PRESETS["paper"].spec, dropout_rescale=rescale)
    found = np.asarray(jax_loop.dropped(np.ones((100, 100), np.float32), spec, 0.5, KEY))
    assert found.mean() == pytest.approx(mean, rel=0.05) and set(np.unique(found)) == {0.0, 2 * mean}


def test_layers_that_are_not_there_are_named(data: Data) -> None:
    with pytest.raises(NotImplementedError, match="locally connected"):
        jax_loop.network(PRESETS["cuda_convnet_11pct"].spec, data, 24)


def test_training_takes_whole_batches_epoch_after_epoch(data: Data) -> None:
    class Enough(Exception):  # noqa: N818 - not an error
        pass

    done: list[float] = []

    def tick(images: float) -> None:
        done.append(images)
        if len(done) > 4:
            raise Enough

    spec = PRESETS["cifar_small"].spec
    with pytest.raises(Enough):
        jax_loop.train(spec, data, image_size=16, batch_size=32, tick=tick)
    assert done == [32] * 5  # 90 images: two steps an epoch


def test_the_loss_is_torchs() -> None:
    logits, labels = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 2, 1, 1, 0])
    found = jax_loop.cross_entropy(logits.numpy(), labels.numpy())
    assert float(found) == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-6)
