"""The cards that `show` prints for AlexNet: its components, presets and data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ablations.core.subject import Card
from ablations.core.variant import Variant
from ablations.models.equivalence import canonical
from ablations.models.layout import layout, macs, parameters
from ablations.models.presets import PRESETS, Preset
from ablations.subjects.alexnet.describe import difference, stack
from ablations.subjects.alexnet.registry import check_components, components, derive

_LEGEND = (
    "MACs are the multiply-accumulates of one image's forward pass. Below, layers are written as channels, "
    "kernel/stride, g2 for two groups, and what follows in its order; a ReLU that comes first is not named."
)


def of_components() -> list[Card]:
    """Returns a card for every component: what the reference does, what it can be changed to, and who described it."""
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
            control=component.control,
        )
        for name, component in components().items()
    ]


def of_presets() -> list[Card]:
    """Returns a card for every preset: its size, its layers, and each field in which it departs from `paper`."""
    return [_preset(preset) for preset in PRESETS.values()]


def of_datasets() -> list[Card]:
    """Returns a card for every data set that has a name; `folder:PATH` names any others."""
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


def _idle(name: str) -> str:
    """Describes the levels of a component that change nothing in some preset, which a study refuses or leaves out."""
    levels = list(components()[name].levels)
    idle = {
        level: {
            preset
            for preset, one in PRESETS.items()
            if canonical(derive(one.spec, _alone(name, level))) == canonical(one.spec)
        }
        for level in levels
    }
    never = set.intersection(*idle.values())  # presets in which no level changes anything are named first, once
    alike: dict[frozenset[str], list[str]] = {}
    for level, presets in idle.items():
        alike.setdefault(frozenset(presets - never), []).append(level)
    found = [f"{', '.join(words)} in {_among(presets, never)}" for presets, words in alike.items() if presets]
    if never:
        found.insert(0, f"{'every level' if len(levels) > 1 else levels[0]} in {_among(never, set())}")
    return "; ".join(found)


def _among(presets: Iterable[str], apart: set[str]) -> str:
    """Lists `presets` in the order of PRESETS, or as "all but" the others if that is shorter.

    `apart` are presets that have been named already.
    """
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
    """Returns a table with one line per preset, to compare sizes."""
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


def topics() -> dict[str, Callable[[Sequence[str]], tuple[list[str], list[Card]]]]:
    """Returns the topics of `python -m ablations.show` that only AlexNet has: name -> function from names to cards."""
    return {
        "components": lambda names: ([], of_components()),
        "presets": lambda names: (_first(names), of_presets()),
        "datasets": lambda names: ([], of_datasets()),
    }


def _first(names: Sequence[str]) -> list[str]:
    """Returns what is printed before the cards of presets: a table if there are several, and how to read the cards."""
    return [] if len(names) == 1 else [_table(_chosen(names)), *[_LEGEND] * bool(names)]


def _chosen(names: Sequence[str]) -> list[Preset]:
    return [preset for name, preset in PRESETS.items() if name in names or not names]
