"""The one-GPU network of the two-GPU claim (the paper, 3.2 and its second footnote)."""

from __future__ import annotations

from dataclasses import replace

from ablations.models.spec import Conv, Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register


def half(spec: Spec) -> Spec:
    """Halve the channels of every convolution but the last, and remove the groups; keep the hidden layers."""

    def change(block: Conv, last: bool) -> Conv:
        return replace(block, channels=block.channels if last else block.channels // 2, groups=1)

    *first, last = spec.blocks
    return replace(spec, blocks=(*(change(block, False) for block in first), change(last, True)))


register(
    Component(
        name="width",
        reference="full",
        levels={"half": half},
        labels={"half": "half the width"},
        summary="the width that one GPU held; changes width and grouping at once, as the paper's comparison did",
        source="Krizhevsky et al. 2012, section 3.2, footnote 2",
        activity=Activity(
            measure=lambda probe: probe.parameter_change(half),
            unit="relative change of the number of parameters",
        ),
    )
)
