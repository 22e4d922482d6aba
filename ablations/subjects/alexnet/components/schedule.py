"""The schedule by which the learning rate falls (the paper, 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register


def use(name: str) -> Callable[[Spec], Spec]:
    """Returns the rewrite that follows the schedule `name`, starting from the same learning rate."""
    return lambda spec: replace(spec, schedule=name)


register(
    Component(
        name="schedule",
        reference="the preset's own",
        levels={name: use(name) for name in ("constant", "cosine", "step", "step_30_60", "plateau")},
        labels={
            "constant": "constant learning rate",
            "cosine": "cosine schedule",
            "step": "step schedule",
            "step_30_60": "step schedule, drops at 30 and 60 epochs",
            "plateau": "plateau schedule",
        },
        summary="lowers the rate in the course of training; step divides by ten where net #145 did, "
        "step_30_60 after each third, plateau when the validation error stops improving",
        source="Krizhevsky et al. 2012, section 5; cosine: Loshchilov and Hutter 2017, arXiv 1608.03983",
        activity=Activity(
            measure=lambda probe: max(probe.path_change(use("constant")), probe.path_change(use("step"))),
            unit="relative change of where eight steps along the schedule lead",
        ),
    )
)
