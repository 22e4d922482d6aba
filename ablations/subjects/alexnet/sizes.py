"""Finds the maps whose size a departure changes: a confound that a reader has to know of."""

from __future__ import annotations

from ablations.core.setting import Config
from ablations.models.layout import layout
from ablations.subjects.alexnet.setting import budget_of, spec_of


def map_changes(before: Config, after: Config) -> str:
    """Returns `map sizes conv2 16 to 17`, which names the maps whose side, in pixels, differs; empty if none does.

    10 classes are assumed, which makes no difference to the maps.
    """
    size = budget_of(before).image_size
    try:
        layers, others = (layout(spec_of(config), num_classes=10, image_size=size) for config in (before, after))
    except ValueError:
        return ""  # the plan has refused or skipped a network that cannot be built
    changed = [
        f"{one.name} {one.map_size} to {two.map_size}"
        for one, two in zip(layers, others, strict=False)
        if one.map_size != two.map_size
    ]
    return f"map sizes {', '.join(changed)}" if changed else ""
