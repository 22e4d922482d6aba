"""The same training in JAX, as its users write it: pure functions, and one jitted step that XLA compiles for all cores.

It uses neither Flax nor Optax: the network is built from the `Spec`, as ours is.  What else was tried is described in
`subjects/alexnet/training/SPEED.md`.
Shapes: N images, B batch, S side of a stored image, s side of a crop, H and W map sides, C channels, which are last.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from torch import Tensor

from ablations.models.layout import border_behind, layout, pooled_size
from ablations.models.network import Network
from ablations.models.spec import Conv, Dense, Norm, Pool, Spec
from ablations.subjects.alexnet.data.augment import PCA_UNITS
from ablations.subjects.alexnet.data.load import Data
from ablations.subjects.alexnet.setting import Budget
from ablations.subjects.alexnet.training.examples import batches, split_examples
from ablations.subjects.alexnet.training.optimizers import optimizer_of
from ablations.subjects.alexnet.training.streams import CPU
from ablations.subjects.alexnet.training.train import start

jax.config.update("jax_platforms", "cpu")

Weights = dict[str, Array]  # by the names of the parameters in torch


class State(NamedTuple):
    """Everything that a step changes."""

    weights: Weights
    velocity: Weights


Logits = Callable[[Weights, Array, Array], Array]
Augment = Callable[[Array, Array], Array]
Learn = Callable[[State, Array, Array, Array], tuple[State, Array]]

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"relu": jax.nn.relu, "tanh": jnp.tanh, "none": lambda x: x}


def network(spec: Spec, data: Data, image_size: int) -> Logits:
    """Returns the function from weights, inputs (B, s, s, C) and a key for dropout to logits (B, classes) of training.

    Raises NotImplementedError on layers that it does not have.
    """
    layers = layout(spec, num_classes=data.num_classes, image_size=image_size, channels=data.channels)
    norms = [norm for block in spec.blocks for norm in (block.norm, block.extra_norm) if norm]
    if any(block.local or block.batch_norm for block in spec.blocks) or any(norm.kind == "batch" for norm in norms):
        raise NotImplementedError("its loop here has no locally connected layers and no batch normalisation")
    if spec.adaptive_pool:
        raise NotImplementedError("its loop here has no adaptive pooling")

    def logits(weights: Weights, x: Array, key: Array) -> Array:
        for layer, block in zip(layers, spec.blocks, strict=False):
            pad = (block.pad_before + block.pad, block.pad + border_behind(layer, block))
            weight, bias = (weights[f"features.{layer.name}.conv.{one}"] for one in ("weight", "bias"))
            first = layer is layers[0] and block.groups == 1
            y = _first_convolution(x, weight, block.stride, pad) if first else _convolved(x, weight, block, pad)
            x = _after(y + bias, block)
        x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)  # channels first, so that fc6 reads the order of torch
        for number, layer in enumerate(layers[len(spec.blocks) :]):
            dense = spec.hidden[number] if number < len(spec.hidden) else Dense(features=0, activation="none")
            masked = functools.partial(dropped, spec=spec, rate=dense.dropout, key=jax.random.fold_in(key, number))
            x = masked(x) if spec.dropout_place == "before" else x
            x = x @ weights[f"classifier.{layer.name}.weight"] + weights[f"classifier.{layer.name}.bias"]
            x = ACTIVATIONS[dense.activation](x)
            x = masked(x) if spec.dropout_place == "after" else x
        return x

    return logits


def _convolved(x: Array, weight: Array, block: Conv, pad: tuple[int, int]) -> Array:
    """Convolves group by group, since `feature_group_count` of XLA takes four times as long on a CPU."""
    if block.groups == 1:
        return _convolution(x, weight, block.stride, pad)
    groups = zip(jnp.split(x, block.groups, 3), jnp.split(weight, block.groups, 3), strict=True)
    return jnp.concatenate([_convolution(*group, block.stride, pad) for group in groups], 3)


def _convolution(x: Array, weight: Array, stride: int, pad: tuple[int, int]) -> Array:
    return lax.conv_general_dilated(x, weight, (stride, stride), (pad, pad), dimension_numbers=("NHWC", "HWIO", "NHWC"))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _first_convolution(x: Array, weight: Array, stride: int, pad: tuple[int, int]) -> Array:
    """Convolves images, which need no gradient; the gradient of the weights is a matrix product of copied windows.

    With XLA's own gradient, a step takes 1.05 to 1.23 times as long on a CPU.
    """
    return _convolution(x, weight, stride, pad)


def _kept(x: Array, weight: Array, stride: int, pad: tuple[int, int]) -> tuple[Array, tuple[Array, Array]]:
    return _convolution(x, weight, stride, pad), (x, weight)


def _to_weights(stride: int, pad: tuple[int, int], kept: tuple[Array, Array], gradient: Array) -> tuple[None, Array]:
    x, weight = kept
    padded = jnp.pad(x, ((0, 0), pad, pad, (0, 0)))
    last, kernel = stride * (gradient.shape[1] - 1) + 1, range(len(weight))
    windows = [padded[:, i : i + last : stride, j : j + last : stride] for i in kernel for j in kernel]
    columns = jnp.concatenate(windows, 3).reshape(-1, weight[..., 0].size)
    return None, (columns.T @ gradient.reshape(len(columns), -1)).reshape(weight.shape)


_first_convolution.defvjp(_kept, _to_weights)


def _after(x: Array, block: Conv) -> Array:
    """Applies activation, normalisation and pooling after a convolution, in the block's order."""
    for slot in block.order:
        if slot == "activation":
            x = ACTIVATIONS[block.activation](x)
        elif slot == "norm":
            for norm in filter(None, (block.norm, block.extra_norm)):
                x = _normalised(x, norm)
        elif block.pool:
            x = _pooled(x, block.pool)
    return x


def _normalised(x: Array, norm: Norm) -> Array:
    """Returns x * (k + a * sum of squares)^-beta, summed over neighbouring channels or over a window of the map."""
    across = norm.kind == "lrn"
    axes = (3,) if across else (1, 2)
    sides = [(norm.size // 2, (norm.size - 1) // 2) if axis in axes else (0, 0) for axis in range(4)]
    window = [norm.size if axis in axes else 1 for axis in range(4)]
    squares = lax.reduce_window(x * x, 0.0, lax.add, window, (1, 1, 1, 1), sides)
    d = norm.k + (norm.alpha / norm.size ** len(axes) if norm.alpha_over_size else norm.alpha) * squares
    if norm.beta != 0.75:
        return x * d**-norm.beta
    root = lax.rsqrt(d)  # two roots are faster than a power
    return x * root * lax.sqrt(root)


def _pooled(x: Array, pool: Pool) -> Array:
    """Returns the maximum or the mean of each window, taken over strided slices, one axis after the other.

    The gradient of the maximum by `lax.reduce_window` takes three times as long on a CPU.
    """
    combine, nothing = (jnp.maximum, -jnp.inf) if pool.kind == "max" else (jnp.add, 0.0)
    side = x.shape[1]
    last = pool.stride * (pooled_size(side, pool) - 1)  # where the last window starts, in the padded map
    behind = max(0, last + pool.size - side - pool.pad)
    for axis in (1, 2):
        sides = [(pool.pad, behind) if each == axis else (0, 0) for each in range(4)]
        padded = jnp.pad(x, sides, constant_values=nothing)
        slices = [lax.slice_in_dim(padded, at, at + last + 1, pool.stride, axis) for at in range(pool.size)]
        x = functools.reduce(combine, slices)
    if pool.kind == "max":
        return x
    starts = np.arange(0, last + 1, pool.stride) - pool.pad
    inside = np.minimum(starts + pool.size, side) - np.maximum(starts, 0)  # padding does not count
    return x / np.outer(inside, inside)[:, :, None].astype(np.float32)


def dropped(x: Array, spec: Spec, rate: float, key: Array) -> Array:
    """Returns `x` with each feature set to zero with probability `rate`."""
    if not rate:
        return x
    kept = jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x, 0.0)
    return kept / (1 - rate) if spec.dropout_rescale == "train" else kept


def turned(weight: Tensor) -> Tensor:
    """Returns torch's kernel (out, in, k, k) as (k, k, in, out), its matrix (out, in) as (in, out), a bias as it is."""
    return weight.permute(2, 3, 1, 0) if weight.dim() == 4 else weight.T if weight.dim() == 2 else weight


def started(made: Network) -> State:
    """Returns the weights of a torch network, with a velocity of zero."""
    weights = {name: jnp.array(turned(weight.detach()).numpy()) for name, weight in made.named_parameters()}
    return State(weights, jax.tree.map(jnp.zeros_like, weights))


def cross_entropy(logits: Array, labels: Array) -> Array:
    """Returns the mean over the batch."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean()


def learner(spec: Spec, made: Network, logits: Logits) -> Learn:
    """Returns the function of a step: state, inputs, labels and a key -> the new state, and the loss before the step.

    The step is that of torch's SGD, with the rates and decays of the torch network's parameters.
    """
    names = {weight: name for name, weight in made.named_parameters()}
    rates, decays = {}, {}
    for group in optimizer_of(made, spec).param_groups:
        for weight in group["params"]:
            rates[names[weight]] = spec.learning_rate * group["lr_factor"]
            decays[names[weight]] = group["weight_decay"]

    def loss_of(weights: Weights, inputs: Array, labels: Array, key: Array) -> Array:
        return cross_entropy(logits(weights, inputs, key), labels)

    def learn(state: State, inputs: Array, labels: Array, key: Array) -> tuple[State, Array]:
        weights, velocity = state
        loss, gradients = jax.value_and_grad(loss_of)(weights, inputs, labels, key)
        pulls = {name: gradients[name] + decays[name] * weights[name] for name in weights}
        velocity = {name: spec.momentum * velocity[name] + pulls[name] for name in weights}
        return State({name: weights[name] - rates[name] * velocity[name] for name in weights}, velocity), loss

    return learn


def augmenter(spec: Spec, data: Data, size: int) -> Augment:
    """Returns the function from pixels (B, S, S, C), uint8, and a key to inputs (B, s, s, C).

    Each image is cropped, flipped and gets colour noise by draws of its own.
    """
    pad = ((spec.crop_pad, spec.crop_pad),) * 2 + ((0, 0),)
    room = data.size + 2 * spec.crop_pad - size
    middle = slice(room // 2, room // 2 + size)
    mean = np.pad(data.mean_image.numpy(), pad, mode="reflect")[middle, middle]
    mean = mean if spec.mean_image else data.mean.numpy()
    deviations = spec.pca_jitter * PCA_UNITS[spec.pca_unit](data.component_deviations)
    components = (data.components * deviations).T.numpy()

    def augment(pixels: Array, key: Array) -> Array:
        count = len(pixels)
        corner_key, flip_key, noise_key = jax.random.split(key, 3)
        corners = jnp.full((count, 2), room // 2)
        if spec.random_crop:
            corners = jax.random.randint(corner_key, (count, 2), 0, room + 1)
        pixels = jnp.pad(pixels, ((0, 0), *pad), mode="reflect")
        cut = jax.vmap(lambda image, at: lax.dynamic_slice(image, (*at, 0), (size, size, image.shape[-1])))
        pixels = cut(pixels, corners)
        if spec.flip:
            flipped = jax.random.bernoulli(flip_key, 0.5, (count, 1, 1, 1))
            pixels = jnp.where(flipped, pixels[:, :, ::-1], pixels)
        inputs = pixels.astype(jnp.float32) - mean
        if spec.pca_jitter:
            noise = jax.random.normal(noise_key, (count, len(components))) @ components
            inputs = inputs + noise[:, None, None]
        return inputs / data.std if spec.unit_scale else inputs

    return augment


def losses(spec: Spec, budget: Budget, data: Data) -> list[float]:
    """Returns the loss of each step, from the same weights and batches as our training; an epoch is one step."""
    made = start(spec, seed=0, budget=budget, data=data, device=CPU)
    learn = jax.jit(learner(spec, made, network(spec, data, budget.image_size)), donate_argnums=0)
    state, key = started(made), jax.random.key(0)
    training, _ = split_examples(spec, seed=0, budget=budget, data=data, device=CPU)
    found = []
    for epoch in range(1, budget.epochs + 1):
        ((inputs, labels),) = batches(training, 0, epoch, budget.batch_size)
        nhwc = inputs.permute(0, 2, 3, 1).contiguous().numpy()
        state, loss = learn(state, nhwc, labels.numpy(), key)
        found.append(float(loss))
    return found


def train(spec: Spec, data: Data, *, image_size: int, batch_size: int, tick: Callable[[float], None]) -> None:
    """Trains without end.  Images stay on the device as bytes; from indices to new weights, a step is one program."""
    budget = Budget(epochs=1, train_examples=1, batch_size=batch_size, image_size=image_size)
    made = start(spec, seed=0, budget=budget, data=data, device=CPU)
    learn, augment = learner(spec, made, network(spec, data, image_size)), augmenter(spec, data, image_size)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state: State, images: Array, labels: Array, order: Array, first: int, key: Array) -> tuple[State, Array]:
        index = lax.dynamic_slice_in_dim(order, first, batch_size)
        augment_key, dropout_key = jax.random.split(jax.random.fold_in(key, first))
        return learn(state, augment(images[index], augment_key), labels[index], dropout_key)

    images, labels = jnp.array(data.train.images.numpy()), jnp.array(data.train.labels.numpy())
    state, running = started(made), 0.0
    for epoch in itertools.count():
        order_key, step_key = jax.random.split(jax.random.fold_in(jax.random.key(0), epoch))
        order = jax.random.permutation(order_key, len(labels))
        for first in range(0, len(labels) - batch_size + 1, batch_size):  # the last, smaller batch is left out
            state, loss = step(state, images, labels, order, first, step_key)
            running += float(loss)  # waits until the step is done, and not only queued
            tick(batch_size)
