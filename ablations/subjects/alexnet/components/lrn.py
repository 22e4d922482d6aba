"""Local response normalisation across adjacent channels (the paper, 3.3)."""

from __future__ import annotations

from dataclasses import replace

from ablations.models.spec import Conv, Norm, Spec
from ablations.subjects.alexnet.component import Activity, Component
from ablations.subjects.alexnet.components import _edit
from ablations.subjects.alexnet.registry import register


def off(spec: Spec) -> Spec:
    """Remove every normalisation, also that within maps: net #148 dropped all three of its reference."""
    return _edit.norms(spec, lambda norm: None)


def paper_formula(spec: Spec) -> Spec:
    """Multiply the sum by alpha, as the formula of 3.3 does."""
    return _edit.norms(spec, lambda norm: replace(norm, alpha_over_size=False) if norm.kind == "lrn" else norm)


def alpha_over_n(spec: Spec) -> Spec:
    """Multiply the sum by alpha / n, as the original code, Caffe and torch do."""
    return _edit.norms(spec, lambda norm: replace(norm, alpha_over_size=True) if norm.kind == "lrn" else norm)


def before_relu(spec: Spec) -> Spec:
    """Normalise before the activation, in every layer as the original code does in conv1."""

    def change(block: Conv) -> Conv:
        rest = tuple(slot for slot in block.order if slot != "norm")
        return replace(block, order=("norm", *rest)) if block.norm else block

    return _edit.blocks(spec, change)


def original_code(spec: Spec) -> Spec:
    """Normalise as net #145 does: with alpha / n, before the ReLU of conv1, and a third time within the maps of conv2.

    The third alpha is ten times the others, as in net #145 (.001 and .0001), so that the scale of the inputs does not
    matter.
    """

    def first(block: Conv, norm: Norm) -> Conv:
        return replace(block, order=("norm", "pool", "activation"))

    def second(block: Conv, norm: Norm) -> Conv:
        return replace(block, extra_norm=Norm(kind="same_map", size=5, alpha=10 * norm.alpha, k=1.0))

    blocks = list(alpha_over_n(spec).blocks)
    for place, change in ((0, first), (1, second)):
        norm = blocks[place].norm if place < len(blocks) else None
        if norm and norm.kind == "lrn":
            blocks[place] = change(blocks[place], norm)
    return replace(spec, blocks=tuple(blocks))


def batch_norm(spec: Spec) -> Spec:
    """Replace local normalisation by batch normalisation (Ioffe and Szegedy 2015), in the same place."""

    def change(block: Conv) -> Conv:
        # One per block, since a second one would normalise what is already normalised.
        return replace(block, norm=replace(block.norm, kind="batch"), extra_norm=None) if block.norm else block

    return _edit.blocks(spec, change)


register(
    Component(
        name="lrn",
        reference="after ReLU, with the preset's constants; alpha / n but in paper and keras_zero_based",
        levels={
            "off": off,
            "paper_formula": paper_formula,
            "alpha_over_n": alpha_over_n,
            "before_relu": before_relu,
            "batch_norm": batch_norm,
            "original_code": original_code,
        },
        labels={
            "off": "no LRN",
            "paper_formula": "LRN by the paper's formula",
            "alpha_over_n": "LRN with alpha over n",
            "before_relu": "LRN before ReLU",
            "batch_norm": "batch normalisation instead of LRN",
            "original_code": "LRN as in the original code",
        },
        summary="divides each activation by a power of the energy of its n neighbouring channels",
        source="Krizhevsky et al. 2012, section 3.3",
        activity=Activity(
            measure=lambda probe: probe.denominator_spread(),
            unit="standard deviation of the denominator over its mean",
        ),
    )
)
