"""Weight decay of 0.0005 (the paper, 5)."""

from __future__ import annotations

from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register


def off(spec: Spec) -> Spec:
    """Use no weight decay."""
    return replace(spec, weight_decay=0.0)


register(
    Component(
        name="weight_decay",
        reference="5e-4 on weights",
        levels={"off": off},
        labels={"off": "no weight decay"},
        summary="pulls every weight, but no bias, towards zero at each step",
        source="Krizhevsky et al. 2012, section 5",
        activity=Activity(
            measure=lambda probe: probe.decay_share(),
            unit="norm of the decay over the norm of the loss gradient",
            negligible=0.001,  # less than elsewhere: decay adds up over steps, while most of a gradient is noise
        ),
    )
)
