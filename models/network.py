"""Builds the network that a Spec describes: one builder for every preset and every variant."""

from __future__ import annotations

import difflib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from ablations.models.layers import ACTIVATIONS, NORMS, POOLS, Dropout, LocalConv2d
from ablations.models.layout import Layer, border_behind, layout
from ablations.models.spec import Conv, Spec

T = TypeVar("T")

SLOTS = ("activation", "norm", "pool")
DROPOUT_PLACES = ("after", "before")


class Network(nn.Module):
    """Convolutional features, followed by a fully connected classifier.

    Layers are named as in the paper (conv1.. fc8), whatever lies between them, as in `features.conv1.conv` and
    `classifier.fc6`.  Initial weights are drawn by these names, and variants are compared by them.
    """

    def __init__(self, features: nn.Sequential, adaptive_pool: nn.Module, classifier: nn.Sequential) -> None:
        super().__init__()
        self.features = features
        self.adaptive_pool = adaptive_pool
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Returns the logits (B, classes) of images (B, C, H, W)."""
        # flatten(1) orders features by channel first under either memory layout, so a weight of fc6 always reads the
        # same feature.
        logits: Tensor = self.classifier(self.adaptive_pool(self.features(images)).flatten(1))
        return logits


def build(spec: Spec, *, num_classes: int, image_size: int, channels: int = 3) -> Network:
    """Builds the network of `spec` with torch's default weights, which `ablations.models.init.initialise` replaces.

    Raises ValueError when the image is too small, a name is unknown, or an order leaves a slot out.
    """
    if spec.dropout_place not in DROPOUT_PLACES:
        raise _unknown("dropout_place", spec.dropout_place, DROPOUT_PLACES)
    layers = layout(spec, num_classes=num_classes, image_size=image_size, channels=channels)
    # torch's constructors draw weights from the global generator.  Fork it, so that building a network leaves its state
    # as it was.
    with torch.random.fork_rng(devices=[]):
        return _assemble(spec, layers)


def _assemble(spec: Spec, layers: Sequence[Layer]) -> Network:
    features: OrderedDict[str, nn.Module] = OrderedDict()
    for layer, block in zip(layers, spec.blocks, strict=False):
        features[layer.name] = _block(block, layer)
    classifier: OrderedDict[str, nn.Module] = OrderedDict()
    for layer, dense in zip(layers[len(spec.blocks) :], spec.hidden, strict=False):
        if dense.removed:
            continue
        dropout = Dropout(dense.dropout, spec.dropout_rescale)
        if dense.dropout and spec.dropout_place == "before":
            classifier[f"{layer.name}_dropout"] = dropout
        classifier[layer.name] = nn.Linear(layer.inputs, layer.outputs)
        classifier[f"{layer.name}_activation"] = choose("activation", dense.activation, ACTIVATIONS)()
        if dense.dropout and spec.dropout_place == "after":
            classifier[f"{layer.name}_dropout"] = dropout
    classifier[layers[-1].name] = nn.Linear(layers[-1].inputs, layers[-1].outputs)
    adaptive = nn.AdaptiveAvgPool2d(spec.adaptive_pool) if spec.adaptive_pool else nn.Identity()
    return Network(nn.Sequential(features), adaptive, nn.Sequential(classifier))


def _block(block: Conv, layer: Layer) -> nn.Sequential:
    if sorted(block.order) != sorted(SLOTS):
        raise ValueError(f"order is {block.order!r}; it must hold each of {', '.join(SLOTS)} once")
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if not block.removed:
        before, behind = block.pad_before, border_behind(layer, block)
        if before or behind:
            parts["border"] = nn.ZeroPad2d((before, behind, before, behind))  # left, right, above, below
        parts["conv"] = _convolution(block, layer)
        if block.batch_norm:
            parts["batch_norm"] = nn.BatchNorm2d(block.channels)
    # Of a removed block only the pooling stays, so that the maps keep their sizes.
    for slot in ["pool"] if block.removed else block.order:
        if slot == "activation":
            parts[slot] = choose("activation", block.activation, ACTIVATIONS)()
        elif slot == "norm":
            for name, norm in (("norm", block.norm), ("extra_norm", block.extra_norm)):
                if norm:
                    parts[name] = choose("norm", norm.kind, NORMS)(norm, block.channels)
        elif slot == "pool" and block.pool:
            parts[slot] = choose("pool", block.pool.kind, POOLS)(block.pool)
    return nn.Sequential(parts)


def _convolution(block: Conv, layer: Layer) -> nn.Module:
    if block.local:
        return LocalConv2d(layer.inputs, block, layer.map_size)
    return nn.Conv2d(layer.inputs, block.channels, block.kernel, block.stride, block.pad, groups=block.groups)


def choose(slot: str, name: str, table: Mapping[str, T]) -> T:
    """Returns `table[name]`.  Raises ValueError with the names that the slot allows, and the nearest of them."""
    if name not in table:
        raise _unknown(slot, name, table)
    return table[name]


def _unknown(kind: str, name: str, allowed: Iterable[str]) -> ValueError:
    allowed = sorted(allowed)
    near = difflib.get_close_matches(name, allowed, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return ValueError(f"unknown {kind} {name!r}{hint} Allowed: {', '.join(allowed)}.")
