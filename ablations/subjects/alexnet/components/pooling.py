"""Overlapping pooling, windows of 3 with stride 2 (the paper, 3.4)."""

from __future__ import annotations

from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.components import _edit
from ablations.subjects.alexnet.registry import register


def non_overlapping(spec: Spec) -> Spec:
    """Use windows of 2 with stride 2, rounded so that the maps keep the reference's sizes.

    From a map of side s, padded windows of 3 with stride 2 give ceil(s / 2).  Unpadded ones give floor(s / 2) if they
    round up, or if s is odd, as in the paper.  So windows of 2 have to round up where the reference's are padded.
    The authors' own run (net #147) changed paddings for the same purpose, but its conv 3 to 5 still saw maps of 11x11
    pixels instead of 13x13.
    """
    return _edit.pools(spec, lambda pool: replace(pool, size=2, stride=2, pad=0, ceil=pool.pad > 0))


def non_overlapping_naive(spec: Spec) -> Spec:
    """Use windows of 2 with stride 2 and change nothing else, so that maps may grow, which is a confound."""
    return _edit.pools(spec, lambda pool: replace(pool, size=2, stride=2))


def average(spec: Spec) -> Spec:
    """Take the mean of each window instead of its maximum."""
    return _edit.pools(spec, lambda pool: replace(pool, kind="average"))


register(
    Component(
        name="pooling",
        reference="overlapping 3/2 maximum",
        levels={
            "non_overlapping": non_overlapping,
            "non_overlapping_naive": non_overlapping_naive,
            "average": average,
        },
        labels={
            "non_overlapping": "non-overlapping pooling",
            "non_overlapping_naive": "non-overlapping pooling, other map sizes",
            "average": "average pooling",
        },
        summary="summarises windows that share a row and a column with their neighbours",
        source="Krizhevsky et al. 2012, section 3.4",
        activity=Activity(
            measure=lambda probe: probe.logit_change(non_overlapping),
            unit="relative change of the logits when windows of 2 replace it",
        ),
    )
)
