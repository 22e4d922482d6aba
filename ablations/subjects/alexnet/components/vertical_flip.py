"""Reflections that turn training images upside down, which some teaching copies add."""

from __future__ import annotations

from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register


def on(spec: Spec) -> Spec:
    """Turn each training image upside down with a probability of one half."""
    return replace(spec, vertical_flip=True)


register(
    Component(
        name="vertical_flip",
        reference="none",
        levels={"on": on},
        labels={"on": "vertical flips"},
        summary="turns half of the training images upside down, anew each epoch",
        source="Shorten and Khoshgoftaar 2019, Journal of Big Data 6:60, section Flipping",
        activity=Activity(
            measure=lambda probe: probe.pixel_change(on),
            unit="root mean square change of the pixels, in their standard deviations",
        ),
    )
)
