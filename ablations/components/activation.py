"""ReLU or a saturating unit (the paper, 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ablations.components import _edit
from ablations.registry import register
from ablations.types import Activity, Component
from models.spec import Spec


def use(name: str) -> Callable[[Spec], Spec]:
    """The rewrite that puts the activation `name` everywhere."""

    def rewrite(spec: Spec) -> Spec:
        spec = _edit.blocks(spec, lambda block: replace(block, activation=name))
        return _edit.hidden(spec, lambda layer: replace(layer, activation=name))

    return rewrite


register(
    Component(
        name="activation",
        reference="relu",
        levels={name: use(name) for name in ("tanh", "sigmoid", "none")},
        summary="max(0, x) after every layer; tanh and sigmoid saturate, none leaves a linear map between pools",
        source="Krizhevsky et al. 2012, section 3.1",
        activity=Activity(
            measure=lambda probe: probe.logit_change(use("tanh")),
            unit="relative change of the logits when tanh replaces it",
        ),
    )
)
