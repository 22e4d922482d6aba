"""Which maps a departure changes the size of, beside what it is about."""

from __future__ import annotations

from ablations.core.setting import Config
from ablations.models.layout import layout
from ablations.subjects.alexnet.setting import budget_of, spec_of


def map_changes(before: Config, after: Config) -> str:
    """`map sizes conv2 16 to 17`: the maps whose side differs, in pixels; empty when none."""
    size = budget_of(before).image_size
    try:
        layers, others = (layout(spec_of(config), num_classes=10, image_size=size) for config in (before, after))
    except ValueError:
        return ""  # a network that cannot be built is among the failures already
    changed = [
        f"{one.name} {one.map_size} to {two.map_size}"
        for one, two in zip(layers, others, strict=False)
        if one.map_size != two.map_size
    ]
    return f"map sizes {', '.join(changed)}" if changed else ""
