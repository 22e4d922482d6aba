"""Mild positive control: one training label in twenty is shuffled."""

from __future__ import annotations

from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register


def twentieth(spec: Spec) -> Spec:
    """Permute a twentieth of the training labels, chosen at random, among themselves."""
    return replace(spec, shuffled_labels=0.05)


register(
    Component(
        name="mild_sabotage",
        reference="true labels",
        levels={"twentieth": twentieth},
        labels={"twentieth": "mild sabotage (5% of labels shuffled)"},
        summary="tells how small an effect the study can see; no gate asks for it",
        source="ours; label noise as in Mishkin et al. 2017, arXiv 1606.02228",
        activity=Activity(
            measure=lambda probe: probe.label_change(twentieth),
            unit="share of the training labels that are wrong",
        ),
        control=True,
    )
)
