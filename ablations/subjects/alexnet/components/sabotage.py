"""Positive control: half of the training labels are shuffled."""

from __future__ import annotations

from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register


def half(spec: Spec) -> Spec:
    """Permute half of the training labels, chosen at random, among themselves."""
    return replace(spec, shuffled_labels=0.5)


register(
    Component(
        name="sabotage",
        reference="true labels",
        levels={"half": half},
        labels={"half": "sabotage (half the labels shuffled)"},
        summary="must show as a clear effect, or the study can see nothing",
        source="ours; label noise as in Mishkin et al. 2017, arXiv 1606.02228",
        activity=Activity(
            measure=lambda probe: probe.label_change(half),
            unit="share of the training labels that are wrong",
        ),
        control=True,
    )
)
