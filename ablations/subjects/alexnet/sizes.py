"""Which maps and counts of parameters a departure changes beside what it is about."""

from __future__ import annotations

from ablations.analysis.effects import REFERENCE
from ablations.analysis.evidence import Evidence
from ablations.core.claim import MAIN
from ablations.core.effect import Effect
from ablations.core.variant import Variant
from ablations.models.layout import layout
from ablations.models.spec import Spec
from ablations.subjects.alexnet.registry import derive


def map_changes(evidence: Evidence, effect: Effect) -> str:
    """`conv2 16 to 17`: the maps whose side the departure alters, in pixels; empty when none."""
    size = evidence.study.budget.image_size
    try:
        before, after = (
            layout(spec, num_classes=10, image_size=size) if spec else () for spec in _specs(evidence, effect)
        )
    except ValueError:
        return ""  # a network that cannot be built is among the failures already
    return ", ".join(
        f"{one.name} {one.map_size} to {two.map_size}"
        for one, two in zip(before, after, strict=False)
        if one.map_size != two.map_size
    )


def _specs(evidence: Evidence, effect: Effect) -> tuple[Spec | None, Spec | None]:
    """The specs without and with the departure, from the records, or derived where no such trial ran."""
    recorded = {result.trial.variant.label: result.trial.spec for result in evidence.results}
    reference = recorded.get(REFERENCE.label)
    if effect.kind != MAIN and effect.departed[0] in recorded:
        return recorded.get(effect.kept[0]), recorded[effect.departed[0]]
    if reference is None:
        return None, None
    try:
        return reference, derive(reference, Variant(departures=((effect.component, effect.level),)))
    except ValueError:
        return reference, None  # a component that this installation does not know
