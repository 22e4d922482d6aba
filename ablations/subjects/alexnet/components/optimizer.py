"""The optimiser: momentum in two forms, Adam or AdamW (the paper, 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register

# A learning rate cannot be carried over between SGD and Adam, so each has its own: the paper's for SGD, and the one
# that Kingma and Ba propose for Adam.
_RATES = {"sgd": 0.01, "sgd_original": 0.01, "adam": 1e-3, "adamw": 1e-3}


def use(name: str) -> Callable[[Spec], Spec]:
    """Returns the rewrite that trains with the optimiser `name`; between SGD and Adam the learning rate changes too."""

    def rewrite(spec: Spec) -> Spec:
        if _RATES[name] == _RATES.get(spec.optimizer):
            return replace(spec, optimizer=name)
        return replace(spec, optimizer=name, learning_rate=_RATES[name])

    return rewrite


register(
    Component(
        name="optimizer",
        reference="the preset's own",
        levels={name: use(name) for name in ("adam", "adamw", "sgd", "sgd_original")},
        labels={"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "sgd_original": "SGD as in the original code"},
        summary="adam and adamw scale each weight's step and start from a rate of .001; sgd_original differs "
        "from sgd after a drop of the rate",
        source="Krizhevsky et al. 2012, section 5; Kingma and Ba 2015, arXiv 1412.6980; "
        "Loshchilov and Hutter 2019, arXiv 1711.05101",
        activity=Activity(
            measure=lambda probe: max(probe.path_change(use("adam")), probe.path_change(use("sgd"))),
            unit="relative change of where eight steps along the schedule lead",
        ),
    )
)
