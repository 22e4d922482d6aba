"""Batch normalisation after every convolution (Ioffe and Szegedy 2015)."""

from __future__ import annotations

from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.components import _edit
from ablations.subjects.alexnet.registry import register


def on(spec: Spec) -> Spec:
    """Add it directly after every convolution; the local normalisations stay, as in their BN-Baseline (4.2.2)."""
    return _edit.blocks(spec, lambda block: replace(block, batch_norm=True))


def without_lrn(spec: Spec) -> Spec:
    """Do as `on` does and remove the local normalisations, as in all their later networks (4.2.1)."""
    return _edit.norms(on(spec), lambda norm: None)


register(
    Component(
        name="batch_norm",
        reference="none",
        levels={"on": on, "without_lrn": without_lrn},
        labels={"on": "batch normalisation added", "without_lrn": "batch normalisation added, no LRN"},
        summary="standardises each channel over the batch before its activation, and learns a scale and a shift; the "
        "convolution's own bias then does nothing. lrn=batch_norm is another thing: it stands where LRN stood",
        source="Ioffe and Szegedy 2015, arXiv 1502.03167, sections 3.2 and 4.2",
        activity=Activity(
            measure=lambda probe: probe.initial_logit_change(on),
            unit="relative change of the untrained network's logits, normalised over the batch as in training",
        ),
    )
)
