"""Random rotations of the training images about their centre, which some teaching copies add."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register


def degrees(largest: float) -> Callable[[Spec], Spec]:
    """Returns the rewrite that rotates by an angle drawn uniformly between plus and minus `largest` degrees."""
    return lambda spec: replace(spec, rotation=largest)


register(
    Component(
        name="rotation",
        reference="none",
        levels={"degrees_25": degrees(25.0), "degrees_5": degrees(5.0)},
        labels={"degrees_25": "rotation up to 25 degrees", "degrees_5": "rotation up to 5 degrees"},
        summary="turns each training image by a random angle, anew each epoch; what turns in is the crop reflected",
        source="Shorten and Khoshgoftaar 2019, Journal of Big Data 6:60, section Rotation; "
        "5 degrees: Mishkin et al. 2017, arXiv 1606.02228",
        activity=Activity(
            measure=lambda probe: probe.pixel_change(degrees(25.0)),
            unit="root mean square change of the pixels, in their standard deviations",
        ),
    )
)
