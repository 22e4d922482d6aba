"""Dropout in the hidden fully connected layers (the paper, 4.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ablations.components import _edit
from ablations.registry import register
from ablations.types import Activity, Component
from models.spec import Spec


def rate(value: float) -> Callable[[Spec], Spec]:
    """The rewrite that sets the probability of zeroing wherever there is dropout."""
    return lambda spec: _edit.hidden(spec, lambda layer: replace(layer, dropout=value) if layer.dropout else layer)


def before(spec: Spec) -> Spec:
    """Mask what fc6 and fc7 read instead of what they write, as torchvision does."""
    return replace(spec, dropout_place="before") if any(layer.dropout for layer in spec.hidden) else spec


register(
    Component(
        name="dropout",
        reference="0.5 after fc6 and fc7",
        levels={"off": rate(0.0), "rate_0.3": rate(0.3), "before": before},
        summary="zeroes half of the hidden features at random in training",
        source="Krizhevsky et al. 2012, section 4.2; Hinton et al. 2012, arXiv 1207.0580",
        activity=Activity(
            measure=lambda probe: probe.dropout_change(),
            unit="relative change of the logits between a masked and an unmasked pass",
        ),
    )
)
