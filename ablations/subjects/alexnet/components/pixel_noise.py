"""Normal noise on every pixel of the training images, which some teaching copies add."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register


def std(value: float) -> Callable[[Spec], Spec]:
    """Returns the rewrite that adds noise of `value` standard deviations of the pixels; .2 is about 13 grey levels."""
    return lambda spec: replace(spec, pixel_noise=value)


register(
    Component(
        name="pixel_noise",
        reference="none",
        levels={"std_0.2": std(0.2)},
        labels={"std_0.2": "pixel noise (std 0.2)"},
        summary="adds independent normal noise to every value of each training image, anew each epoch",
        source="Shorten and Khoshgoftaar 2019, Journal of Big Data 6:60, section Noise injection",
        activity=Activity(
            measure=lambda probe: probe.pixel_change(std(0.2)),
            unit="root mean square change of the pixels, in their standard deviations",
        ),
    )
)
