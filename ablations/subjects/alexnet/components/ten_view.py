"""Ten views of each evaluated image, averaged (the paper, 4.1).  Evaluation only: a training serves both levels."""

from __future__ import annotations

from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register


def ten(spec: Spec) -> Spec:
    """The centre, the four corners and their reflections; softmax outputs are averaged."""
    return replace(spec, views="ten")


def centre(spec: Spec) -> Spec:
    """The centre crop alone."""
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
