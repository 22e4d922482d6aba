"""ReLU, a saturating unit, or one of ReLU's successors (the paper, 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.components import _edit
from ablations.subjects.alexnet.registry import register

_LEVELS = ("tanh", "sigmoid", "none", "leaky_relu", "elu", "gelu", "silu")


def use(name: str) -> Callable[[Spec], Spec]:
    """Returns the rewrite that replaces every activation by `name`; layers without an activation stay without."""

    def there(own: str) -> str:
        return own if own == "none" else name

    def rewrite(spec: Spec) -> Spec:
        spec = _edit.blocks(spec, lambda block: replace(block, activation=there(block.activation)))
        return _edit.hidden(spec, lambda layer: replace(layer, activation=there(layer.activation)))

    return rewrite


register(
    Component(
        name="activation",
        reference="relu",
        levels={name: use(name) for name in _LEVELS},
        labels={
            "tanh": "tanh instead of ReLU",
            "sigmoid": "sigmoid instead of ReLU",
            "none": "no activation function",
            "leaky_relu": "leaky ReLU instead of ReLU",
            "elu": "ELU instead of ReLU",
            "gelu": "GELU instead of ReLU",
            "silu": "SiLU instead of ReLU",
        },
        summary="max(0, x) after every layer; tanh and sigmoid saturate, none leaves a linear map between pools, "
        "the others let something through below zero",
        source="Krizhevsky et al. 2012, section 3.1; leaky: Maas et al. 2013; elu: arXiv 1511.07289; "
        "gelu and silu: arXiv 1606.08415",
        activity=Activity(
            measure=lambda probe: probe.logit_change(use("tanh")),
            unit="relative change of the logits when tanh replaces it",
        ),
    )
)
