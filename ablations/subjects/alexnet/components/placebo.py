"""Negative control: new random draws from the same distributions."""

from __future__ import annotations

from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register


def salted(spec: Spec) -> Spec:
    """Draw initial weights, order and augmentation anew, for the same network and recipe."""
    return replace(spec, stream_salt="placebo")


register(
    Component(
        name="placebo",
        reference="the study's own draws",
        levels={"salted": salted},
        labels={"salted": "placebo (other random draws)"},
        summary="changes nothing but the draws; an effect here is a false alarm",
        source="ours; common random numbers, see ablations/subjects/alexnet/training/streams.py",
        activity=Activity(
            measure=lambda probe: probe.initial_logit_change(salted),
            unit="relative change of the untrained network's logits",
        ),
        control=True,
    )
)
