"""Random crops and horizontal reflections (the paper, 4.1)."""

from __future__ import annotations

from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register


def off(spec: Spec) -> Spec:
    """Train on the centre crop without reflections, as in evaluation."""
    return replace(spec, random_crop=False, flip=False)


register(
    Component(
        name="crop_flip",
        reference="random crop and reflection",
        levels={"off": off},
        labels={"off": "no crops and flips"},
        summary="shifts and mirrors each training image anew each epoch",
        source="Krizhevsky et al. 2012, section 4.1",
        activity=Activity(
            measure=lambda probe: probe.pixel_change(off),
            unit="root mean square change of the pixels, in their standard deviations",
        ),
    )
)
