"""Convolutions in two groups that do not see each other (the paper, 3.2)."""

from __future__ import annotations

from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.components import _edit
from ablations.subjects.alexnet.registry import register


def full(spec: Spec) -> Spec:
    """Use full convolutions at the same width, which have more parameters and need more arithmetic."""
    return _edit.blocks(spec, lambda block: replace(block, groups=1))


register(
    Component(
        name="grouping",
        reference="two groups in conv 2, 4, 5",
        levels={"full": full},
        labels={"full": "no grouping of channels"},
        summary="each half of the channels reads only its own half, as on the paper's two GPUs",
        source="Krizhevsky et al. 2012, section 3.2",
        activity=Activity(
            measure=lambda probe: probe.parameter_change(full),
            unit="relative change of the number of parameters",
        ),
    )
)
