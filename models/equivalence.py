"""Tells which Specs describe the same training and evaluation although their fields differ.

A rewrite may change only fields that nothing reads, such as the dropout rate of a layer that has been removed, or
the unit of colour noise that is switched off.  Such a change looks like an ablation and does nothing.
Standard library only.
"""

from __future__ import annotations

from dataclasses import replace

from ablations.models.spec import Conv, Dense, Norm, Spec, described

# The values that fields get where nothing reads them.  Fields without a default get one that no network has.
_NO_CONV = Conv(channels=0, kernel=0, removed=True)
_NO_DENSE = Dense(features=0, removed=True)
_FIELDS = Spec(blocks=(), hidden=(), image_size=0, learning_rate=0.0, random_crop=False)


def canonical(spec: Spec) -> Spec:
    """Returns `spec` with every field that nothing reads set to its default.

    Two Specs that train and evaluate alike have the same canonical form.
    """
    blocks = tuple(_conv(block) for block in spec.blocks)
    hidden = tuple(_NO_DENSE if layer.removed else layer for layer in spec.hidden)
    idle = {name: getattr(_FIELDS, name) for name in unread(spec)}
    return replace(spec, blocks=blocks, hidden=hidden, **idle)


def unread(spec: Spec) -> frozenset[str]:
    """Returns the names of the fields of `spec` that nothing reads, because of the values of other fields.

    Only fields of `Spec` itself are considered, not those of its layers.
    """
    room = spec.crop_pad or spec.stored_ratio > 1  # without room, every crop is the whole image
    # Groups of fields, each with the condition under which something reads them.
    read = {
        ("dropout_place", "dropout_rescale"): any(layer.dropout for layer in spec.hidden if not layer.removed),
        ("weight_init",): any(part.weight_std is None for part in described(spec).values()),
        ("pca_unit", "pca_until", "pca_divisor"): spec.pca_jitter,
        ("decay_biases",): spec.weight_decay,
        ("random_crop", "views"): room,
        ("crop_pad",): room and (spec.random_crop or spec.views != "centre"),
    }
    return frozenset(name for names, needed in read.items() if not needed for name in names)


def _conv(block: Conv) -> Conv:
    if block.removed:
        return replace(_NO_CONV, pool=block.pool)
    there = {"activation": block.activation != "none", "norm": block.norm or block.extra_norm, "pool": block.pool}
    return replace(
        block,
        order=tuple(slot for slot in block.order if there.get(slot, True)),
        norm=_norm(block.norm),
        extra_norm=_norm(block.extra_norm),
    )


def _norm(norm: Norm | None) -> Norm | None:
    """Drops the constants of a batch normalisation, which reads none of them."""
    return Norm(kind="batch") if norm and norm.kind == "batch" else norm
