"""`python -m ablations.show TOPIC`: what there is to choose from.  Imports no torch, so that it answers at once."""

from __future__ import annotations

import dataclasses
import itertools
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ablations.names import unknown
from ablations.registry import changes, components
from ablations.types import Variant
from models.layout import layout, macs, parameters
from models.presets import PRESETS
from models.spec import Conv, Dense, Norm, Pool, Spec, leaves, sparse

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
    from ablations.claims import CLAIMS, METRICS, label_of

    return _cards(
        (
            f"{claim.name}: {label_of(claim)}",
            [
                ("says", claim.statement),
                ("published", claim.published),
                ("expected", f"{claim.metric} {'rises' if claim.direction > 0 else 'falls'}"),
                ("read after", f"epoch {claim.epoch}" if claim.epoch else ""),
                ("of interest", f"from {claim.smallest_effect:g} {METRICS[claim.metric]} on: {claim.reason}"),
                ("confounds", claim.confounds),
                ("others", claim.others),
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
    Where the numbers of blocks differ, the blocks are listed instead of compared, as are hidden layers.
    """
    listed: list[str] = []
    if len(spec.blocks) != len(reference.blocks):
        listed += _listed("blocks", spec.blocks, len(reference.blocks))
        spec = replace(spec, blocks=reference.blocks)
    if len(spec.hidden) != len(reference.hidden):
        listed += _listed("hidden", spec.hidden, len(reference.hidden))
        spec = replace(spec, hidden=reference.hidden)
    return [*listed, *_compared(spec, reference)]


def _listed(name: str, parts: Sequence[Conv | Dense], count: int) -> list[str]:
    """`blocks.2-3 channels=256 kernel=3 pad=1`, a line for each run of equal parts, after one with their number."""
    lines = [f"{name} {len(parts)} of them ({count}):"]
    first = 0
    for part, run in itertools.groupby(parts):
        last = first + len(list(run)) - 1
        lines.append(f"{name}.{first if first == last else f'{first}-{last}'} {_settings(part)}")
        first = last + 1
    return lines


def _settings(part: Conv | Dense) -> str:
    values = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
    changed = {name: values[name] for name in sparse(part)}
    return " ".join(f"{name}={_word(value)}" for name, value in changed.items())


def _compared(spec: Spec, reference: Spec) -> list[str]:
    here, there = _folded(spec, reference), _folded(reference, spec)
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


def _folded(spec: Spec, other: Spec) -> dict[str, object]:
    """The leaves of `spec`, but a norm or pool that `other` lacks as one, `blocks.0.norm`."""
    missing = {path for path, value in leaves(other).items() if value is None}
    folded: dict[str, object] = {}
    for path, value in leaves(spec).items():
        whole = path.rpartition(".")[0]
        if whole in missing:
            _, block, slot = whole.split(".")
            folded[whole] = getattr(spec.blocks[int(block)], slot)
        else:
            folded[path] = value
    return folded


def _starred(path: str) -> str:
    return ".".join("*" if part.isdigit() else part for part in path.split("."))


def _word(value: object) -> str:
    if isinstance(value, Pool):
        return f"{value.kind}_{value.size}/{value.stride}" + "_ceil" * value.ceil
    if isinstance(value, Norm):
        return f"{value.kind}(size={value.size},alpha={value.alpha:g},k={value.k:g})"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _no_ops(name: str) -> str:
    """The levels that change nothing in some preset, which a study refuses."""
    found: list[str] = []
    for level in components()[name].levels:
        variant = Variant(departures=((name, level),))
        idle = [preset.name for preset in PRESETS.values() if not changes(preset.spec, variant)]
        if idle:
            found.append(f"{level} in {', '.join(idle)}")
    return "; ".join(found)


def _preset(name: str) -> Rows:
    preset = PRESETS[name]
    classes = preset.classes
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
