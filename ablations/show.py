"""`python -m ablations.show TOPIC`: what there is to choose from.  Imports no torch, so that it answers at once."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence

from ablations.names import unknown
from ablations.registry import components, derive
from ablations.types import Variant
from models.layout import layout, macs, parameters
from models.presets import PRESETS
from models.spec import Spec, leaves

CLASSES = {"paper": 1000}  # what a preset is counted for; ten unless said otherwise
WIDTH = 100  # characters a line
LABEL = 12  # of which the label takes these

Rows = Sequence[tuple[str, str]]  # (label, text)


def show_components() -> str:
    """Every component: what the reference does, what it can be changed to, and who described it."""
    return _cards(
        (
            f"{name} (control: in every study)" if component.control else name,
            [
                ("does", component.summary),
                ("reference", component.reference),
                ("levels", ", ".join(component.levels)),
                ("no effect", _no_ops(name)),
                ("source", component.source),
            ],
        )
        for name, component in components().items()
    )


def show_grids() -> str:
    """Every grid and what it trains."""
    from ablations.grids import GRIDS

    return _cards((name, [("trains", grid.summary)]) for name, grid in GRIDS.items())


def show_presets() -> str:
    """Every preset: its size, and each field in which it departs from `paper`."""
    return _cards((name, _preset(name)) for name in PRESETS)


def show_datasets() -> str:
    """Every data set that has a name; any folder of class folders is one too, as `folder:PATH`."""
    from ablations.data.catalogue import DATASETS

    return _cards(
        (
            name,
            [
                ("holds", dataset.summary),
                ("classes", str(dataset.num_classes)),
                ("pixels", str(dataset.native_size)),
                ("source", dataset.source),
            ],
        )
        for name, dataset in DATASETS.items()
    )


def show_claims() -> str:
    """Every claim, with what else changed in the published comparison."""
    from ablations.claims import CLAIMS

    return _cards(
        (
            f"{claim.name}: {claim.component}={claim.level}",
            [
                ("says", claim.statement),
                ("published", claim.published),
                ("expected", f"{claim.metric} {'rises' if claim.direction > 0 else 'falls'}"),
                ("of interest", f"from {claim.smallest_effect:g} on"),
                ("confounds", claim.confounds),
                ("source", claim.source),
            ],
        )
        for claim in CLAIMS
    )


TOPICS: dict[str, Callable[[], str]] = {
    "components": show_components,
    "grids": show_grids,
    "presets": show_presets,
    "datasets": show_datasets,
    "claims": show_claims,
}


def difference(spec: Spec, reference: Spec) -> list[str]:
    """Each field in which `spec` departs from `reference`, as `blocks.0.kernel 5 (11)`.

    A value that every block or every hidden layer shares is one line, as `blocks.*.weight_std`.
    """
    here, there = leaves(spec), leaves(reference)
    changed = {
        path: f"{_word(here.get(path, '-'))} ({_word(there.get(path, '-'))})"
        for path in [*here, *(path for path in there if path not in here)]
        if here.get(path, "-") != there.get(path, "-")
    }
    lines: list[str] = []
    for path, words in changed.items():
        starred = _starred(path)
        alike = [other for other in here.keys() | there.keys() if _starred(other) == starred]
        if len(alike) > 1 and all(changed.get(other) == words for other in alike):
            lines.append(f"{starred} {words}")
        else:
            lines.append(f"{path} {words}")
    return list(dict.fromkeys(lines))


def _starred(path: str) -> str:
    return ".".join("*" if part.isdigit() else part for part in path.split("."))


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _no_ops(name: str) -> str:
    """The levels that change nothing in some preset, which a study refuses."""
    found = [
        f"{level} in {preset.name}"
        for level in components()[name].levels
        for preset in PRESETS.values()
        if derive(preset.spec, Variant(departures=((name, level),))) == preset.spec
    ]
    return ", ".join(found)


def _preset(name: str) -> Rows:
    preset, classes = PRESETS[name], CLASSES.get(name, 10)
    size = preset.spec.image_size
    layers = layout(preset.spec, num_classes=classes, image_size=size)
    departures = difference(preset.spec, PRESETS["paper"].spec)
    return [
        ("is", preset.summary),
        ("parameters", f"{parameters(layers):,} with {classes:,} classes"),
        ("computes", f"{macs(layers):,} multiply-accumulates an image of {size}x{size} pixels"),
        ("source", preset.source),
        ("departs", f"from paper in {len(departures)} places, the paper's value in brackets" if departures else ""),
        *(("", line) for line in departures),
    ]


def _cards(cards: Iterable[tuple[str, Rows]]) -> str:
    """One block a name, its rows indented below it; a row without text is left out."""
    blocks: list[str] = []
    for title, rows in cards:
        lines = [title]
        for label, text in rows:
            if text:
                lines += _wrapped(label, text)
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _wrapped(label: str, text: str) -> list[str]:
    first, rest = f"  {label:<{LABEL}}", " " * (LABEL + 2)
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def main(arguments: list[str]) -> int:
    """Prints the topic and returns the exit code: 0, or 2 for a topic that there is not."""
    usage = "usage: python -m ablations.show {" + ",".join(TOPICS) + "}"
    if arguments in (["-h"], ["--help"]):
        print(usage)
        return 0
    if len(arguments) != 1:
        print(usage, file=sys.stderr)
        return 2
    topic = arguments[0]
    if topic not in TOPICS:
        print(f"error: {unknown('topic', topic, TOPICS)}", file=sys.stderr)
        return 2
    print(TOPICS[topic]())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
