"""Computes the map sizes, parameters and multiply-accumulates of a Spec, layer by layer.

This is the only place where map sizes are computed; the builder, the plan and the report use it.
Standard library only, so that planning needs no torch.  torch's own flop counter would not do either: it counts a
grouped convolution `groups` times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ablations.models.spec import Conv, Pool, Spec


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer with weights: its input and output map, and what it costs for one image.

    A removed layer stays in the list, passes on what it reads, and has no weights.
    Sides are in pixels, and 1 for a fully connected layer.
    """

    name: str  # conv1.., fc6.., the paper's numbering
    inputs: int  # channels or features that it reads
    outputs: int  # channels or features that it writes
    input_size: int  # side of the map that it reads
    map_size: int  # side of the map that it writes, before pooling
    pooled_size: int  # side of that map after pooling
    weights: int
    biases: int  # scale and shift of batch normalisations included
    macs: int  # multiply-accumulates of one forward pass of one image

    @property
    def parameters(self) -> int:
        """Trainable numbers: weights, biases, and the scales and shifts of batch normalisations."""
        return self.weights + self.biases


def layout(spec: Spec, *, num_classes: int, image_size: int, channels: int = 3) -> tuple[Layer, ...]:
    """Returns the layers of `spec`, in forward order, for square images of `image_size` pixels a side.

    Raises ValueError, naming the layer, when a map would be empty or when groups do not divide the channels.
    """
    layers: list[Layer] = []
    size = image_size
    for number, block in enumerate(spec.blocks, start=1):
        layer = _convolution(f"conv{number}", block, channels, size, image_size)
        layers.append(layer)
        channels, size = layer.outputs, layer.pooled_size
    features = channels * (spec.adaptive_pool or size) ** 2
    widths = [*((layer.features, layer.removed) for layer in spec.hidden), (num_classes, False)]
    for number, (width, removed) in enumerate(widths, start=len(layers) + 1):
        layers.append(_linear(f"fc{number}", features, width, removed))
        features = layers[-1].outputs
    return tuple(layers)


def _convolution(name: str, block: Conv, channels: int, size: int, image_size: int) -> Layer:
    """Returns the layer of `block`, which reads `channels` maps of side `size`."""
    outputs, map_size, weights, biases, positions = channels, size, 0, 0, 1
    if not block.removed:
        if channels % block.groups or block.channels % block.groups:
            raise ValueError(f"{name}: {block.groups} groups do not divide {channels} -> {block.channels} channels")
        outputs = block.channels
        map_size = _windows(size + block.pad_before, block.kernel, block.stride, block.pad, ceil=block.ceil)
        weights = outputs * channels // block.groups * block.kernel**2  # at one position
        # A locally connected layer has its own weights at every position.
        positions = map_size**2 if block.local else 1
        norms = (block.norm, block.extra_norm)
        batch_norms = block.batch_norm + sum(norm.kind == "batch" for norm in norms if norm)
        biases = outputs * positions + 2 * outputs * batch_norms
    pooled = pooled_size(map_size, block.pool) if block.pool else map_size
    if map_size < 1 or pooled < 1:
        raise ValueError(
            f"image size {image_size} is too small: {name} reads a {size}x{size} map and would write "
            f"a {max(map_size, 0)}x{max(map_size, 0)} one, {max(pooled, 0)}x{max(pooled, 0)} after pooling"
        )
    return Layer(
        name=name,
        inputs=channels,
        outputs=outputs,
        input_size=size,
        map_size=map_size,
        pooled_size=pooled,
        weights=weights * positions,
        biases=biases,
        macs=weights * map_size**2,
    )


def _linear(name: str, inputs: int, width: int, removed: bool) -> Layer:
    outputs = inputs if removed else width
    weights = 0 if removed else inputs * outputs
    return Layer(
        name=name,
        inputs=inputs,
        outputs=outputs,
        input_size=1,
        map_size=1,
        pooled_size=1,
        weights=weights,
        biases=0 if removed else outputs,
        macs=weights,
    )


def parameters(layers: Sequence[Layer]) -> int:
    """Returns the number of trainable numbers in the whole network."""
    return sum(layer.parameters for layer in layers)


def macs(layers: Sequence[Layer]) -> int:
    """Returns the multiply-accumulates of one forward pass of one image, in convolutions and matrix products only."""
    return sum(layer.macs for layer in layers)


def pooled_size(size: int, pool: Pool) -> int:
    """Returns the side of the map that `pool` writes when it reads one of side `size`, by torch's rules."""
    out = _windows(size, pool.size, pool.stride, pool.pad, ceil=pool.ceil)
    # When torch rounds up, it drops a window that would start in the padding to the right of the map.
    return out - 1 if pool.ceil and (out - 1) * pool.stride >= size + pool.pad else out


def border_behind(layer: Layer, block: Conv) -> int:
    """Returns how many rows and columns of zeros `block` needs to the right and below, beyond its padding.

    They are needed where the map size is rounded up: torch's convolutions only round down.
    """
    there = layer.input_size + block.pad_before + 2 * block.pad
    return max(0, (layer.map_size - 1) * block.stride + block.kernel - there)


def _windows(size: int, kernel: int, stride: int, pad: int, *, ceil: bool) -> int:
    """Returns how many windows of side `kernel` fit along a side of `size` pixels; `ceil` counts a partial one."""
    room = size + 2 * pad - kernel
    return (-(-room // stride) if ceil else room // stride) + 1
