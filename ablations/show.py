"""`python -m ablations.show TOPIC [NAME ...]`: what there is to choose from.  Answers at once: imports no torch."""

from __future__ import annotations

import shutil
import signal
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ablations.core.errors import answered, printable, unknown
from ablations.core.study import Variant
from ablations.models.layout import layout, macs, parameters
from ablations.models.presets import PRESETS, Preset
from ablations.subjects.alexnet.describe import difference, stack
from ablations.subjects.alexnet.registry import changes, check_components, components

NARROWEST, WIDEST = 60, 120  # characters a line, in however wide a terminal: longer ones are hard to read
LABEL = 12  # of which the label takes these


_LEGEND = (
    "MACs are the multiply-accumulates of one image's forward pass. Below, layers are written as channels, "
    "kernel/stride, g2 for two groups, and what follows in its order; a ReLU that comes first is not named."
)


class Card(NamedTuple):
    """What is printed of one thing: its name, a word beside it, and rows of a label and a text."""

    name: str
    beside: str
    rows: Sequence[tuple[str, str]]  # one without text is left out


def of_components() -> list[Card]:
    """Every component: what the reference does, what it can be changed to, and who described it."""
    check_components()
    return [
        Card(
            name,
            " (control: in every study)" if component.control else "",
            [
                ("does", component.summary),
                ("reference", component.reference),
                ("levels", ", ".join(component.levels)),
                ("no effect", _idle(name)),
                ("source", component.source),
            ],
        )
        for name, component in components().items()
    ]


def of_grids() -> list[Card]:
    """Every grid and what it trains."""
    from ablations.planning.grids import GRIDS

    return [Card(name, "", [("trains", grid.summary)]) for name, grid in GRIDS.items()]


def of_presets() -> list[Card]:
    """Every preset: its size, its layers, and each field in which it departs from `paper`."""
    return [_preset(preset) for preset in PRESETS.values()]


def of_datasets() -> list[Card]:
    """Every data set that has a name; any folder of class folders is one too, as `folder:PATH`."""
    from ablations.subjects.alexnet.data.catalogue import DATASETS

    return [
        Card(
            name,
            "",
            [
                ("holds", dataset.summary),
                ("classes", str(dataset.num_classes)),
                ("pixels", str(dataset.native_size)),
                ("source", dataset.source),
            ],
        )
        for name, dataset in DATASETS.items()
    ]


def of_claims() -> list[Card]:
    """Every claim, with what else changed in the published comparison."""
    from ablations.records.claims import CLAIMS, METRICS, label_of

    ways = {1: "rises", -1: "falls", 0: "stays the same"}
    return [
        Card(
            claim.name,
            f": {label_of(claim)}",
            [
                ("says", claim.statement),
                ("published", claim.published),
                ("stated", f"not outright: {claim.standing}" if claim.standing else ""),
                ("expected", f"{claim.metric} {ways[claim.direction]}"),
                ("and also", f"{claim.companion.metric} {ways[claim.companion.direction]}" if claim.companion else ""),
                ("asks for", "a learning rate tuned for each arm" if claim.tuned else ""),
                ("read after", f"epoch {claim.epoch}" if claim.epoch else ""),
                ("of interest", f"from {claim.smallest_effect:g} {METRICS[claim.metric]} on: {claim.reason}"),
                ("confounds", claim.confounds),
                ("others", claim.others),
                ("source", claim.source),
            ],
        )
        for claim in CLAIMS
    ]


TOPICS: dict[str, Callable[[], list[Card]]] = {
    "components": of_components,
    "grids": of_grids,
    "presets": of_presets,
    "datasets": of_datasets,
    "claims": of_claims,
}


def show(topic: str, names: Sequence[str] = ()) -> str:
    """The cards of `topic`, or of `names` alone, as wide as the terminal but no wider than can be read.

    Raises InputError on an unknown topic or name, with the nearest.
    """
    if topic not in TOPICS:
        raise unknown("topic", topic, TOPICS)
    cards = {card.name: card for card in TOPICS[topic]()}
    for name in names:
        if name not in cards:
            raise unknown(topic.removesuffix("s"), name, cards)
    width = min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)
    blocks = [_written(card, width) for name, card in cards.items() if name in names or not names]
    if topic == "presets" and len(names) != 1:
        blocks.insert(0, _table([preset for name, preset in PRESETS.items() if name in names or not names]))
        blocks.insert(1, "\n".join(textwrap.wrap(_LEGEND, width)))
    return "\n\n".join(blocks)


def _idle(name: str) -> str:
    """The levels of a component that change nothing in some preset, which a study refuses or leaves out."""
    levels = list(components()[name].levels)
    idle = {
        level: {preset for preset, one in PRESETS.items() if not changes(one.spec, _alone(name, level))}
        for level in levels
    }
    never = set.intersection(*idle.values())
    alike: dict[frozenset[str], list[str]] = {}
    for level, presets in idle.items():
        alike.setdefault(frozenset(presets - never), []).append(level)
    found = [f"{', '.join(words)} in {_among(presets, never)}" for presets, words in alike.items() if presets]
    if never:
        found.insert(0, f"{'every level' if len(levels) > 1 else levels[0]} in {_among(never, set())}")
    return "; ".join(found)


def _among(presets: Iterable[str], apart: set[str]) -> str:
    """The presets in their order; all but those left over where that is shorter, `apart` having been named."""
    rest = [name for name in PRESETS if name not in presets and name not in apart]
    named = [name for name in PRESETS if name in presets]
    if len(rest) >= len(named):
        return ", ".join(named)
    return f"all {'others ' if apart else ''}but {', '.join(rest)}" if rest else "all others" if apart else "all"


def _alone(name: str, level: str) -> Variant:
    return Variant(departures=((name, level),))


def _preset(preset: Preset) -> Card:
    spec, size = preset.spec, preset.spec.image_size
    layers = layout(spec, num_classes=preset.classes, image_size=size)
    departures = difference(spec, PRESETS["paper"].spec)
    return Card(
        preset.name,
        "",
        [
            ("is", preset.summary),
            ("source", preset.source),
            ("reads", f"{size}x{size} pixels, {preset.classes:,} classes"),
            ("size", f"{parameters(layers):,} parameters, {macs(layers):,} multiply-accumulates an image"),
            ("layers", stack(spec)),
            ("differs", "from paper, whose value is in brackets, in" if departures else ""),
            *((f"  {part}", "; ".join(lines)) for part, lines in departures.items()),
        ],
    )


def _table(presets: Sequence[Preset]) -> str:
    """A line a preset, to compare sizes."""
    rows = [("preset", "pixels", "classes", "parameters", "MACs", "optimizer")]
    for preset in presets:
        spec = preset.spec
        layers = layout(spec, num_classes=preset.classes, image_size=spec.image_size)
        numbers = (
            str(spec.image_size),
            f"{preset.classes:,}",
            f"{parameters(layers):,}",
            f"{macs(layers) / 1e6:,.1f} M",
        )
        rows.append((preset.name, *numbers, spec.optimizer))
    name, *widths, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = [
        "  ".join(
            [f"{first:<{name}}", *(f"{value:>{width}}" for value, width in zip(values, widths, strict=True)), last]
        )
        for first, *values, last in rows
    ]
    return "\n".join(lines)


def _written(card: Card, width: int) -> str:
    """A block, its rows indented below its title."""
    lines = [card.name + card.beside]
    for label, text in card.rows:
        if text:
            lines += textwrap.wrap(
                text,
                width,
                initial_indent=f"  {label:<{LABEL}}",
                subsequent_indent=" " * (LABEL + 2),
                break_long_words=False,
                break_on_hyphens=False,
            )
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Prints the topic and returns the exit code: 0, or 2 for a topic or a name that there is not."""
    usage = "usage: python -m ablations.show {" + ",".join(TOPICS) + "} [NAME ...]"
    if arguments in (["-h"], ["--help"]):
        print(usage)
        return 0
    if not arguments:
        print(usage, file=sys.stderr)
        return 2

    def answer() -> int:
        print(printable(show(arguments[0], arguments[1:])))
        return 0

    return answered(answer, stopped="stopped")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` is no error
    sys.exit(main(sys.argv[1:]))
