"""Which Specs come to the same training and evaluation although they are written differently.

A toggle that moves only what nothing reads is a no-op that looks like a change: dropout's rate in a
layer that has been left out, the unit of colour noise that is off.  Standard library only.
"""

from __future__ import annotations

from dataclasses import replace

from models.spec import Conv, Dense, Norm, Spec, described

# What a record reverts to where nothing reads it; the required fields get values that no network has.
_NO_CONV = Conv(channels=0, kernel=0, removed=True)
_NO_DENSE = Dense(features=0, removed=True)
_FIELDS = Spec(blocks=(), hidden=(), image_size=0, learning_rate=0.0)


def canonical(spec: Spec) -> Spec:
    """One Spec for all that train and evaluate alike: each field that nothing reads in `spec` is set to its default."""
    blocks = tuple(_conv(block) for block in spec.blocks)
    hidden = tuple(_NO_DENSE if layer.removed else layer for layer in spec.hidden)
    unread = [
        ("dropout_place", "dropout_rescale") if not any(layer.dropout for layer in hidden) else (),
        ("weight_init",) if all(part.weight_std is not None for part in described(spec).values()) else (),
        ("pca_unit", "pca_until", "pca_divisor") if not spec.pca_jitter else (),
        ("decay_biases",) if not spec.weight_decay else (),
    ]
    defaults = {name: getattr(_FIELDS, name) for names in unread for name in names}
    room = bool(spec.crop_pad or spec.stored_ratio > 1)  # otherwise there is one place to crop from
    views, crops = spec.views if room else _FIELDS.views, spec.random_crop and room
    crop_pad = spec.crop_pad if crops or views != "centre" else 0
    return replace(spec, blocks=blocks, hidden=hidden, random_crop=crops, crop_pad=crop_pad, views=views, **defaults)


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
