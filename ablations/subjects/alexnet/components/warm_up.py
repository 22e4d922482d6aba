"""A learning rate that rises at the beginning of the training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register


def over(share: float) -> Callable[[Spec], Spec]:
    """Returns the rewrite in which the rate rises over the first `share` of the training; 0 is no warm-up."""
    return lambda spec: replace(spec, warm_up=share)


register(
    Component(
        name="warm_up",
        reference="the preset's own",
        levels={"off": over(0.0), "tenth": over(0.1)},
        labels={"off": "no warm-up", "tenth": "warm-up over a tenth of training"},
        summary="lets the rate rise linearly to the schedule's, from a tenth of it, while the first weights settle; "
        "tenth does so over a tenth of the training",
        source="Goyal et al. 2017, arXiv 1706.02677, section 2.2; there over 5 of 90 epochs",
        activity=Activity(
            measure=lambda probe: max(probe.path_change(over(0.0)), probe.path_change(over(0.1))),
            unit="relative change of where eight steps along the schedule lead",
        ),
    )
)
