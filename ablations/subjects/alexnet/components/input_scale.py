"""The scale of the pixels that the network reads (the paper, 2)."""

from __future__ import annotations

from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register


def unit(spec: Spec) -> Spec:
    """Divide by the standard deviation of the training pixels, as most copies do."""
    return replace(spec, unit_scale=True)


def raw(spec: Spec) -> Spec:
    """Keep grey levels of 0 to 255 less the mean, as the paper does."""
    return replace(spec, unit_scale=False)


register(
    Component(
        name="input_scale",
        reference="the preset's own",
        levels={"raw": raw, "unit": unit},
        labels={"raw": "raw pixels as input", "unit": "inputs of unit deviation"},
        summary="grey levels or unit deviation; alpha of the local response normalisation is left alone, "
        "so that its strength changes too",
        source="Krizhevsky et al. 2012, section 2",
        activity=Activity(
            measure=lambda probe: max(probe.pixel_change(raw), probe.pixel_change(unit)),
            unit="root mean square change of the pixels, in their standard deviations",
        ),
    )
)
