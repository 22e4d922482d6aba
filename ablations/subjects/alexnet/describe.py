"""Describes Specs in words: the layers of one on a line, and how one differs from another.  Imports no torch."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ablations.models.equivalence import unread
from ablations.models.spec import Conv, Dense, Norm, Pool, Spec, described

PARTS = ("network", "data", "recipe")  # of a Spec, in the order of its fields
_BEGIN = {"image_size": "data", "optimizer": "recipe"}  # the fields with which the second and the third part begin
_CLASSIFIER = "classifier_"  # how the names of the last layer's fields begin in a Spec
# The fields that `stack` shows.
_IN_STACK = frozenset({"channels", "kernel", "stride", "groups", "local", "norm", "extra_norm", "pool", "order"})
_IN_STACK |= {"features", "dropout"}
_MANY = 2  # most different changes of one field that get a line each; if there are more, all layers share one line

Layers = dict[str, dict[str, object]]  # layer -> field -> value


def stack(spec: Spec) -> str:
    """Describes the layers in forward order, each by its channels, kernel/stride, groups and what follows.

    An example is `96 11x11/4 lrn max3/2; 2 x 384 3x3; 2 x fc 4096 dropout 0.5`.  Equal layers in a row are
    named once, with their number.  A ReLU directly after the convolution is not named.
    """
    parts = [_conv(block) for block in spec.blocks if not block.removed]
    parts += [_dense(layer) for layer in spec.hidden if not layer.removed]
    runs = [(part, len(list(run))) for part, run in itertools.groupby(parts)]
    return "; ".join(f"{count} x {part}" if count > 1 else part for part, count in runs)


def difference(spec: Spec, reference: Spec) -> dict[str, list[str]]:
    """Returns how `spec` departs from `reference`: for each of PARTS a list of lines such as `pad 0 (2) in conv1`.

    The value in brackets is the reference's.  Fields that nothing reads are left out.  If the two have different
    numbers of layers, the layers are not compared: those of `spec` are described, except for what `stack` shows.
    """
    found: dict[str, list[str]] = {part: [] for part in PARTS}
    alike = [len(spec.blocks), len(spec.hidden)] == [len(reference.blocks), len(reference.hidden)]
    here = _layers(spec)
    found["network"] = _compared(here, _layers(reference)) if alike else _settings(here)
    part = PARTS[0]
    # random_crop is mentioned even where there is no room for crops, so that a reader sees that there are none.
    idle, there = unread(spec) - {"random_crop"}, unread(reference)
    for field in dataclasses.fields(Spec):
        part = _BEGIN.get(field.name, part)
        one, other = getattr(spec, field.name), getattr(reference, field.name)
        if field.name in ("blocks", "hidden", *idle) or field.name.startswith(_CLASSIFIER):
            continue
        if one == other and field.name not in there:
            continue
        found[part].append(f"{field.name} {word(one)}" + ("" if field.name in there else f" ({word(other)})"))
    return {part: lines for part, lines in found.items() if lines}


def word(value: object) -> str:
    """Writes a value in short form: on, off, none, 0.01, max3/2, lrn(n=5 alpha=0.0001 beta=0.75 k=2)."""
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: "none"}[value]
    if isinstance(value, Pool):
        return f"{value.kind}{value.size}/{value.stride}" + f" pad {value.pad}" * bool(value.pad) + " ceil" * value.ceil
    if isinstance(value, Norm):
        if value.kind == "batch":
            return "batch"
        over = "/n" * value.alpha_over_size
        return f"{value.kind}(n={value.size} alpha={value.alpha:g}{over} beta={value.beta:g} k={value.k:g})"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _conv(block: Conv) -> str:
    side = f"{block.kernel}x{block.kernel}" + f"/{block.stride}" * (block.stride > 1)
    words = [str(block.channels), "local" if block.local else "", side, f"g{block.groups}" if block.groups > 1 else ""]
    words.append("batch" if block.batch_norm else "")
    follows = {
        "activation": block.activation,
        "norm": " ".join(norm.kind for norm in (block.norm, block.extra_norm) if norm),
        "pool": f"{block.pool.kind}{block.pool.size}/{block.pool.stride}" if block.pool else "",
    }
    after = [follows[slot] for slot in block.order if follows[slot]]
    words += after[1:] if after[0] == "relu" else after
    return " ".join(filter(None, words))


def _dense(layer: Dense) -> str:
    return (
        f"fc {layer.features}"
        + f" {layer.activation}" * (layer.activation != "relu")
        + f" dropout {layer.dropout:g}" * bool(layer.dropout)
    )


def _layers(spec: Spec) -> Layers:
    """Returns the fields of every layer, the classifier's included, by the layer's name."""
    names = [*(f"conv{number}" for number, _ in enumerate(spec.blocks, start=1))]
    names += [f"fc{number}" for number, _ in enumerate(spec.hidden, start=len(names) + 1)]
    found: Layers = {}
    parts: tuple[Conv | Dense, ...] = (*spec.blocks, *spec.hidden)
    for name, layer in zip(names, parts, strict=True):
        found[name] = {field.name: getattr(layer, field.name) for field in dataclasses.fields(layer)}
    *_, last = described(spec)
    found[last] = {
        name.removeprefix(_CLASSIFIER): value for name, value in vars(spec).items() if name.startswith(_CLASSIFIER)
    }
    return found


def _compared(here: Layers, there: Layers) -> list[str]:
    """Returns a line for each change of a field, naming the layers that share it."""
    changes: dict[str, dict[str, tuple[str, str]]] = {}  # field -> layer -> both values
    for layer, fields in here.items():
        for name, value in fields.items():
            for path, one, other in _unlike(name, value, there[layer][name]):
                changes.setdefault(path, {})[layer] = (word(one), word(other))
    lines: list[str] = []
    for path, by_layer in changes.items():
        groups = _grouped(by_layer)
        if len(groups) > _MANY:  # as in `channels 64/192/384/256/256 (96/256/384/384/256)`
            have = [layer for layer, fields in here.items() if path in fields and layer[:2] == next(iter(by_layer))[:2]]
            mine, theirs = ("/".join(word(side[layer][path]) for layer in have) for side in (here, there))
            lines.append(f"{path} {mine} ({theirs})")
        else:
            lines += [f"{path} {one} ({other}) in {_named(names, here)}" for (one, other), names in groups.items()]
    return lines


def _unlike(name: str, one: Any, other: Any) -> Iterable[tuple[str, object, object]]:
    """Yields the path and both values of what differs in a field; norms and pools are compared field by field."""
    if one == other:
        return
    if name == "order":
        # A slot that only one of them has is no difference in order.
        one, other = (tuple(slot for slot in slots if slot in one and slot in other) for slots in (one, other))
    if isinstance(one, (Norm, Pool)) and isinstance(other, (Norm, Pool)):
        for field in dataclasses.fields(one):
            yield from _unlike(f"{name}.{field.name}", getattr(one, field.name), getattr(other, field.name))
    elif one != other:
        yield name, one, other


def _settings(layers: Layers) -> list[str]:
    """Returns lines on the fields of layers that are not at their default and that `stack` does not show."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    defaults = {field.name: field.default for kind in (Conv, Dense) for field in dataclasses.fields(kind)}
    for layer, fields in layers.items():
        for name, value in fields.items():
            if name not in _IN_STACK and value != defaults[name]:
                found.setdefault(name, {})[layer] = (word(value), "")
            if name in ("norm", "extra_norm") and value:
                found.setdefault(name, {})[layer] = (word(value), "")
    return [
        f"{name} {value} in {_named(names, layers)}"
        for name, by_layer in found.items()
        for (value, _), names in _grouped(by_layer).items()
    ]


def _grouped(by_layer: Mapping[str, tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
    """Groups layers by their pair of values."""
    groups: dict[tuple[str, str], list[str]] = {}
    for layer, values in by_layer.items():
        groups.setdefault(values, []).append(layer)
    return groups


def _named(names: Sequence[str], layers: Layers) -> str:
    """Names layers as `every layer` or as `conv1, conv3-5, fc6-8`."""
    if len(names) == len(layers):
        return "every layer"
    order = list(layers)
    runs: list[list[str]] = []
    for name in names:
        if runs and name[:2] == runs[-1][-1][:2] and order.index(name) == order.index(runs[-1][-1]) + 1:
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1].lstrip('convf')}" for run in runs)
