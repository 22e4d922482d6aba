"""Summarises the rounds of a benchmark: medians, ratios within rounds, and the table that is printed."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ablations.models.layout import Layer
from ablations.models.spec import Spec

WORDS = {
    "plain": "plain PyTorch",
    "lightning": "PyTorch Lightning",
    "tensors": "plain PyTorch, images as tensors",
    "jax": "JAX",
    "one": "ours, one trial",
    "harness": "ours, as studies run",
    "floor": "floor: one constant batch",
}
OURS = ("one", "harness")
OTHERS = ("plain", "lightning", "tensors", "jax")
CHECKED = {
    "one": "difference",
    "harness": "difference",
    "jax": "jax_difference",
}  # contender -> field with the difference of its losses
TOLERANCE = 1e-4  # largest difference in the loss over 50 steps with which two contenders do the same work
SEEN = 10  # least ratio of the difference of a rate 1% too high to a contender's, so that the check can tell them apart


class Spread(NamedTuple):
    """The median of a figure over the rounds, with the lowest and the highest."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Returns the median and the range of `values`.  Raises StatisticsError if there are none."""
    return Spread(statistics.median(values), min(values), max(values))


def kept(net: Mapping[str, Any]) -> list[Mapping[str, float]]:
    """Returns what each contender did per second, for each quiet round."""
    rounds: list[Mapping[str, float]] = [
        row["done_per_second"] for row in net["rounds"] if row["others_percent"] <= net["most_percent"]
    ]
    return rounds


def rate(net: Mapping[str, Any], name: str) -> Spread:
    """Returns images per second of the contender `name`."""
    return spread([row[name] for row in kept(net)])


def ratio(net: Mapping[str, Any], above: str, below: str) -> Spread:
    """Returns the ratio of images per second of `above` to those of `below`, taken within each round."""
    return spread([row[above] / row[below] for row in kept(net)])


def limit_share(net: Mapping[str, Any], name: str) -> Spread:
    """Returns the arithmetic of `name` as a share of that of plain matrix products, within each round."""
    operations = net["training_operations_per_image"] / 1e9
    return spread([row[name] * operations / row["gemm"] for row in kept(net)])


def training_operations(layers: Sequence[Layer]) -> int:
    """Returns the additions and multiplications of training on one image: forward, and back to weights and inputs.

    They are counted layer by layer, with groups.  The first layer needs no gradient of its inputs.
    """
    return 2 * (3 * sum(layer.macs for layer in layers) - layers[0].macs)


def normalises(spec: Spec) -> bool:
    """Returns whether any block has a response normalisation."""
    return any(block.norm for block in spec.blocks)


def void(net: Mapping[str, Any], name: str) -> bool:
    """Returns whether the row of `name` is void: its losses differ from the plain loop's, or the check could not tell.

    Each contender is judged by its own difference alone.  Those that are not in `CHECKED` train by the network and the
    optimiser of the plain loop.
    """
    if name not in CHECKED:
        return False
    difference, told = net[CHECKED[name]], net["of_a_wrong_rate"]
    return not (difference <= TOLERANCE and SEEN * difference <= told)  # so written that nan is void too


def voids(net: Mapping[str, Any]) -> list[str]:
    """Returns the contenders whose rows are void."""
    return [name for name in net["contenders"] if void(net, name)]


def trials_per_hour(images_per_second: float, *, images: int) -> float:
    """Returns trials per hour of `images` training images each, without evaluation and overhead."""
    return 3600 * images_per_second / images


def table(name: str, net: Mapping[str, Any]) -> str:
    """Returns the table of one network as text: medians for each contender, with the range over the rounds."""
    count, all_rounds = len(kept(net)), len(net["rounds"])
    lines = [
        f"{name}: {net['image_size']} px, batches of {net['batch_size']}, {net['data']}",
        f"{count} rounds of {net['seconds']:g} s a contender, {all_rounds - count} dropped because others took over "
        f"{net['most_percent']:g}% of the machine; medians [lowest..highest]",
    ]
    lines += [
        _same_work(net, name, who) for name, who in (("one", "ours"), ("jax", "JAX")) if name in net["contenders"]
    ]
    if not count:
        return "\n".join([*lines, "no quiet round, so nothing can be said"])
    head = ("images/s", "trials/h", "times plain", "floor", "limit", "peak MiB", "start s")
    lines.append(f"{'':<34}" + "".join(f"{word:>{width}}" for word, width in zip(head, WIDTHS, strict=True)))
    lines += [_line(net, contender) for contender in WORDS if contender in net["contenders"]]
    others = [other for other in OTHERS if other in net["contenders"] and not void(net, other)]
    for ours in (one for one in OURS if not void(net, one)):
        parts = [f"{_times(ratio(net, ours, other))} {WORDS[other]}" for other in others]
        lines.append(f"{WORDS[ours]}: {'; '.join(parts)}")
    return "\n".join(lines)


def _same_work(net: Mapping[str, Any], name: str, who: str) -> str:
    """Returns a line on what the check of the same work found for `who`."""
    difference, wrong = net[CHECKED[name]], net["of_a_wrong_rate"]
    if void(net, name):
        return (
            f"VOID: {who} and the plain loop differ by {difference:.1e} in the loss over 50 steps "
            f"({TOLERANCE:g} is allowed, and a tenth of the {wrong:.1e} that a rate 1% too high gives): "
            f"{who} is not known to do the same work"
        )
    return (
        f"same work: the losses of {who} and of the plain loop differ by {difference:.0e} over 50 steps, "
        f"and by {wrong:.0e} if the rate is 1% too high"
    )


WIDTHS = (24, 10, 20, 9, 9, 10, 9)


def _line(net: Mapping[str, Any], name: str) -> str:
    facts, images = net["contenders"][name], rate(net, name)
    hidden = void(net, name)
    cells = (
        f"{images.median:,.0f} [{images.low:,.0f}..{images.high:,.0f}]",
        "" if name == "floor" else f"{trials_per_hour(images.median, images=net['images_a_trial']):.1f}",
        "void" if hidden else _times(ratio(net, name, "plain")),
        "" if hidden else f"{100 * ratio(net, name, 'floor').median:.0f}%",
        "" if hidden else f"{100 * limit_share(net, name).median:.0f}%",
        f"{facts['peak_memory_mib']:,.0f}",
        f"{facts['start_seconds']:.1f}",
    )
    words = WORDS[name] + (f", {facts['loader_workers']} workers" if facts.get("loader_workers") else "")
    return f"{words:<34}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))


def _times(found: Spread) -> str:
    return f"{found.median:.2f} [{found.low:.2f}..{found.high:.2f}]"


def overhead_lines(found: Mapping[str, Any]) -> str:
    """Returns the lines on what a trial costs besides its training."""
    held, bare = (
        f"{found[name][0]:.0f} MiB after the first and {found[name][1]:.0f} after the last"
        for name in ("driver_memory_mib", "tune_memory_mib")
    )
    lines = [
        f"overhead of a trial: {found['ours_seconds']:.2f} s of a worker, bare Ray Tune {found['tune_seconds']:.2f} s "
        f"({found['trials']} trials that do nothing); the driver held {held}, that of bare Ray Tune {bare}"
    ]
    for row in found["growth"]:
        lines.append(
            f"  up to trial {row['trials']:>5}: {row['ours_seconds']:.2f} s each, bare {row['tune_seconds']:.2f} s; "
            f"{row['driver_memory_mib']:.0f} MiB, bare {row['tune_memory_mib']:.0f} MiB"
        )
    return "\n".join(lines)


class Bar(NamedTuple):
    """One contender of one network in the picture."""

    net: str  # the network, with its image size
    contender: str  # its name in words
    times: Spread  # its speed, as a multiple of plain PyTorch's
    images_per_second: float
    ours: bool  # whether it is our training


def bars(record: Mapping[str, Any]) -> list[Bar]:
    """Returns the bars of the picture: every contender that has quiet rounds and is not void."""
    return [
        Bar(
            net=f"{name}, {net['image_size']} px",
            contender=WORDS[contender],
            times=ratio(net, contender, "plain"),
            images_per_second=rate(net, contender).median,
            ours=contender in OURS,
        )
        for name, net in record["nets"].items()
        for contender in WORDS
        if contender in net["contenders"] and kept(net) and not void(net, contender)
    ]


def save(path: Path, record: Mapping[str, Any]) -> None:
    """Writes the record of a benchmark as a JSON file, and makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
