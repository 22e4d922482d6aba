"""Random shifts of the training images beyond those of random crops, which some teaching copies add."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register


def share(largest: float) -> Callable[[Spec], Spec]:
    """Returns the rewrite that shifts by up to `largest` of the side in either direction, along both axes."""
    return lambda spec: replace(spec, translation=largest)


register(
    Component(
        name="translation",
        reference="none but by random crops",
        levels={"share_0.1": share(0.1)},
        labels={"share_0.1": "random shifts up to 10%"},
        summary="moves each training image by a random way, also between pixels, anew each epoch; "
        "what comes in is the crop reflected",
        source="Shorten and Khoshgoftaar 2019, Journal of Big Data 6:60, section Translation",
        activity=Activity(
            measure=lambda probe: probe.pixel_change(share(0.1)),
            unit="root mean square change of the pixels, in their standard deviations",
        ),
    )
)
