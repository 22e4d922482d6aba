"""Initial biases of one in conv 2, 4, 5 and the hidden layers (the paper, 5)."""

from __future__ import annotations

from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.components import _edit
from ablations.subjects.alexnet.registry import register

_PAPER_BLOCKS = (1, 3, 4)  # conv 2, 4, 5, counted from zero


def zero(spec: Spec) -> Spec:
    """Start every bias of the convolutions and hidden layers at zero."""
    spec = _edit.blocks(spec, lambda block: replace(block, bias=0.0))
    return _edit.hidden(spec, lambda layer: replace(layer, bias=0.0))


def one(spec: Spec) -> Spec:
    """Start biases as the paper does, for a reference whose biases start at zero."""
    blocks = tuple(
        replace(block, bias=1.0) if index in _PAPER_BLOCKS else block for index, block in enumerate(spec.blocks)
    )
    return _edit.hidden(replace(spec, blocks=blocks), lambda layer: replace(layer, bias=1.0))


register(
    Component(
        name="bias_init",
        reference="the preset's own",
        levels={"zero": zero, "one": one},
        labels={"zero": "all biases start at 0", "one": "all biases start at 1"},
        summary="a bias of one starts rectified units in their linear part",
        source="Krizhevsky et al. 2012, section 5",
        activity=Activity(
            measure=lambda probe: max(probe.initial_logit_change(zero), probe.initial_logit_change(one)),
            unit="relative change of the untrained network's logits",
        ),
    )
)
