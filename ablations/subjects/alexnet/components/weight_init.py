"""The initial weights of every layer (the paper, 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.components import _edit
from ablations.subjects.alexnet.registry import register

_CODE_WIDE = (2, 3, 4)  # conv 3, 4 and 5, counted from zero, where the code has a standard deviation of .03


def scheme(name: str) -> Callable[[Spec], Spec]:
    """Returns the rewrite that draws every layer's weights by the scheme ablations.models.init.INITS[name]."""
    return lambda spec: replace(_deviation(spec, None), weight_init=name)


def paper(spec: Spec) -> Spec:
    """Draw the weights of every layer from N(0, .01)."""
    return _deviation(spec, 0.01)


def original_code(spec: Spec) -> Spec:
    """Draw from N(0, .01), but from N(0, .03) in conv 3, 4 and 5."""
    spec = paper(spec)
    blocks = tuple(
        replace(block, weight_std=0.03) if index in _CODE_WIDE else block for index, block in enumerate(spec.blocks)
    )
    return replace(spec, blocks=blocks)


def _deviation(spec: Spec, weight_std: float | None) -> Spec:
    """Returns `spec` with that `weight_std` in every layer."""
    spec = _edit.blocks(spec, lambda block: replace(block, weight_std=weight_std))
    spec = _edit.hidden(spec, lambda layer: replace(layer, weight_std=weight_std))
    return replace(spec, classifier_weight_std=weight_std)


register(
    Component(
        name="weight_init",
        reference="the preset's own",
        levels={
            "torch_default": scheme("torch_default"),
            "kaiming": scheme("kaiming"),
            "glorot": scheme("glorot"),
            "lsuv": scheme("lsuv"),
            "paper": paper,
            "original_code": original_code,
        },
        labels={
            "torch_default": "PyTorch's default initialisation",
            "kaiming": "Kaiming initialisation",
            "glorot": "Glorot initialisation",
            "lsuv": "LSUV initialisation",
            "paper": "initialisation of the paper",
            "original_code": "initialisation of the original code",
        },
        summary="the scale that signals keep from layer to layer; the same draws under every scheme. lsuv makes them "
        "orthonormal and gives every layer's outputs the variance 1 on 128 training images, the same for all variants",
        source="Krizhevsky et al. 2012, section 5; He et al. 2015, arXiv 1502.01852; Glorot and Bengio 2010; "
        "lsuv: Mishkin and Matas 2016, arXiv 1511.06422",
        activity=Activity(
            measure=lambda probe: max(
                probe.initial_logit_change(scheme("torch_default")), probe.initial_logit_change(scheme("kaiming"))
            ),
            unit="relative change of the untrained network's logits",
        ),
    )
)
