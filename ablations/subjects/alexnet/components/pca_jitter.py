"""Colour noise along the principal components of the training pixels (the paper, 4.1)."""

from __future__ import annotations

from dataclasses import replace

from ablations.models.spec import Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.registry import register


def off(spec: Spec) -> Spec:
    """Add no colour noise."""
    return replace(spec, pca_jitter=0.0)


def weak(spec: Spec) -> Spec:
    """Scale by variances on the 0-1 scale, common in PyTorch code, where the original code uses standard deviations.

    On ImageNet this makes the noise 2.2, 7.7 and 17 times weaker along the three components.
    """
    return replace(spec, pca_unit="variance")


register(
    Component(
        name="pca_jitter",
        reference="alpha ~ N(0, 0.1), standard deviations",
        levels={"off": off, "weak": weak},
        labels={"off": "no colour jitter", "weak": "weak colour jitter"},
        summary="adds one random mixture of the pixels' principal components to each image, anew each epoch",
        source="Krizhevsky et al. 2012, section 4.1; deviations instead of eigenvalues: the released code",
        activity=Activity(
            measure=lambda probe: probe.pixel_change(off),
            unit="root mean square change of the pixels, in their standard deviations",
        ),
    )
)
