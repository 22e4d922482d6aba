"""Layers left out one or two at a time (the paper, 7; Zeiler and Fergus)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register


def without(*, convs: tuple[int, ...] = (), hidden: tuple[int, ...] = ()) -> Callable[[Spec], Spec]:
    """Returns the rewrite that removes the convolutions and hidden layers at these places, counted from zero.

    The other layers keep their names, and so their initial draws.  The pooling of a removed block stays, so that the
    maps keep their sizes.
    """

    def rewrite(spec: Spec) -> Spec:
        blocks = tuple(
            replace(block, removed=block.removed or place in convs) for place, block in enumerate(spec.blocks)
        )
        layers = tuple(
            replace(layer, removed=layer.removed or place in hidden) for place, layer in enumerate(spec.hidden)
        )
        return replace(spec, blocks=blocks, hidden=layers)

    return rewrite


register(
    Component(
        name="depth",
        reference="every layer",
        levels={
            "no_conv3": without(convs=(2,)),
            "no_conv4": without(convs=(3,)),
            "no_conv3_conv4": without(convs=(2, 3)),
            "no_fc6": without(hidden=(0,)),
            "no_fc7": without(hidden=(1,)),
            "no_fc6_fc7": without(hidden=(0, 1)),
            "no_conv3_conv4_fc6_fc7": without(convs=(2, 3), hidden=(0, 1)),
        },
        labels={
            "no_conv3": "no conv3",
            "no_conv4": "no conv4",
            "no_conv3_conv4": "no conv3 and conv4",
            "no_fc6": "no fc6",
            "no_fc7": "no fc7",
            "no_fc6_fc7": "no fc6 and fc7",
            "no_conv3_conv4_fc6_fc7": "no conv3, conv4, fc6 and fc7",
        },
        summary="takes layers out; fc6 and fc7 stand for the first and second hidden layer of any network",
        source="Krizhevsky et al. 2012, section 7; Zeiler and Fergus 2014, arXiv 1311.2901, table 3",
        activity=Activity(
            measure=lambda probe: probe.parameter_change(without(convs=(2,))),
            unit="relative change of the number of parameters without conv3",
        ),
    )
)
