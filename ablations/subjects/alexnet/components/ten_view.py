"""Averaging over ten views of each evaluated image (the paper, 4.1).

Only evaluation reads the views, so both levels share one training.
"""

from __future__ import annotations

from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register


def ten(spec: Spec) -> Spec:
    """Average the softmax outputs over the centre crop, the four corner crops and their reflections."""
    return replace(spec, views="ten")


def centre(spec: Spec) -> Spec:
    """Evaluate on the centre crop alone."""
    return replace(spec, views="centre")


register(
    Component(
        name="ten_view",
        reference="the preset's own views",
        levels={"ten": ten, "centre": centre},
        labels={"ten": "tested on ten crops", "centre": "tested on the centre crop"},
        summary="evaluates the same trained weights on ten crops of each image, or on one",
        source="Krizhevsky et al. 2012, section 4.1",
        activity=Activity(
            measure=lambda probe: max(probe.prediction_change(ten), probe.prediction_change(centre)),
            unit="relative change of the predicted probabilities",
        ),
    )
)
