"""Which Specs come to the same training and evaluation although they are written differently.

A toggle that moves only what nothing reads is a no-op that looks like a change: dropout's rate in a
layer that has been left out, the unit of colour noise that is off.  Standard library only.
"""

from __future__ import annotations

from dataclasses import replace

from ablations.models.spec import Conv, Dense, Norm, Spec, described

# What a field reverts to where nothing reads it; the required ones get values that no network has.
_NO_CONV = Conv(channels=0, kernel=0, removed=True)
_NO_DENSE = Dense(features=0, removed=True)
_FIELDS = Spec(blocks=(), hidden=(), image_size=0, learning_rate=0.0, random_crop=False)


def canonical(spec: Spec) -> Spec:
    """One Spec for all that train and evaluate alike: each field that nothing reads in `spec` is set to its default."""
    blocks = tuple(_conv(block) for block in spec.blocks)
    hidden = tuple(_NO_DENSE if layer.removed else layer for layer in spec.hidden)
    idle = {name: getattr(_FIELDS, name) for name in unread(spec)}
    return replace(spec, blocks=blocks, hidden=hidden, **idle)


def unread(spec: Spec) -> frozenset[str]:
    """The fields of `spec` itself that nothing reads, since another one leaves them nothing to do."""
    room = spec.crop_pad or spec.stored_ratio > 1  # otherwise there is one place to crop from
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
    """A batch normalisation reads none of the constants."""
    return Norm(kind="batch") if norm and norm.kind == "batch" else norm
