"""Random enlarging and reducing of the training images, which some teaching copies add."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register


def factor(largest: float) -> Callable[[Spec], Spec]:
    """Returns the rewrite that scales by a factor drawn log-uniformly between 1 / `largest` and `largest`."""
    return lambda spec: replace(spec, rescaling=largest)


register(
    Component(
        name="rescaling",
        reference="none",
        levels={"factor_1.25": factor(1.25)},
        labels={"factor_1.25": "random scaling up to 1.25 times"},
        summary="scales each training image by a random factor, anew each epoch; what comes in is the crop reflected",
        source="scale jittering: Simonyan and Zisserman 2015, arXiv 1409.1556, section 3.1",
        activity=Activity(
            measure=lambda probe: probe.pixel_change(factor(1.25)),
            unit="root mean square change of the pixels, in their standard deviations",
        ),
    )
)
