"""What a Spec comes to, layer by layer: map sizes, parameters, multiply-accumulates.

The one place where map sizes are computed: the builder, the plan and the report read it.
Standard library only.  (torch's flop counter over-counts grouped convolutions by `groups`.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.spec import Pool, Spec


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer with weights: its input and output map, and what it costs for one image."""

    name: str  # conv1.., fc6.., the paper's numbering
    inputs: int  # channels or features read
    outputs: int
    map_size: int  # side of the map it writes, before pooling; 1 for a fully connected layer
    pooled_size: int  # side after pooling
    weights: int
    biases: int
    macs: int  # multiply-accumulates of one forward pass

    @property
    def parameters(self) -> int:
        """Weights and biases, and the affine pair of a batch normalisation."""
        return self.weights + self.biases


def layout(spec: Spec, *, num_classes: int, image_size: int, channels: int = 3) -> tuple[Layer, ...]:
    """The layers of `spec` for square images of `image_size` pixels, in forward order.

    Raises ValueError that names the first layer whose map would be empty, or whose groups do not
    divide its channels.
    """
    layers: list[Layer] = []
    size = image_size
    for number, block in enumerate(spec.blocks, start=1):
        name = f"conv{number}"
        if channels % block.groups or block.channels % block.groups:
            raise ValueError(f"{name}: {block.groups} groups do not divide {channels} -> {block.channels} channels")
        before = size
        size = _windows(before, block.kernel, block.stride, block.pad, ceil=False)
        pooled = pooled_size(size, block.pool) if block.pool else size
        if size < 1 or pooled < 1:
            raise ValueError(
                f"image size {image_size} is too small: {name} reads a {before}x{before} map "
                f"and would write a {max(size, 0)}x{max(size, 0)} one, {max(pooled, 0)}x{max(pooled, 0)} after pooling"
            )
        weights = block.channels * channels // block.groups * block.kernel**2
        affine = 2 * block.channels if block.norm and block.norm.kind == "batch" else 0
        layers.append(
            Layer(
                name=name,
                inputs=channels,
                outputs=block.channels,
                map_size=size,
                pooled_size=pooled,
                weights=weights,
                biases=block.channels + affine,
                macs=weights * size**2,
            )
        )
        channels, size = block.channels, pooled
    features = channels * size**2
    for number, outputs in enumerate([*(layer.features for layer in spec.hidden), num_classes], len(layers) + 1):
        weights = features * outputs
        layers.append(
            Layer(
                name=f"fc{number}",
                inputs=features,
                outputs=outputs,
                map_size=1,
                pooled_size=1,
                weights=weights,
                biases=outputs,
                macs=weights,
            )
        )
        features = outputs
    return tuple(layers)


def parameters(layers: Sequence[Layer]) -> int:
    """Trainable numbers of the whole network."""
    return sum(layer.parameters for layer in layers)


def macs(layers: Sequence[Layer]) -> int:
    """Multiply-accumulates of one forward pass of one image, convolutions and matrix products only."""
    return sum(layer.macs for layer in layers)


def pooled_size(size: int, pool: Pool) -> int:
    """Side of the map after `pool` reads one of side `size`, by torch's rule for both roundings."""
    out = _windows(size, pool.size, pool.stride, pool.pad, ceil=pool.ceil)
    # With rounding up, a window that would start in the padding behind the map is dropped.
    return out - 1 if pool.ceil and (out - 1) * pool.stride >= size + pool.pad else out


def _windows(size: int, kernel: int, stride: int, pad: int, *, ceil: bool) -> int:
    room = size + 2 * pad - kernel
    return (-(-room // stride) if ceil else room // stride) + 1
