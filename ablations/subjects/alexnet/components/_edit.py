"""Small rewrites that several components share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ablations.models.spec import Conv, Dense, Norm, Pool, Spec


def blocks(spec: Spec, change: Callable[[Conv], Conv]) -> Spec:
    """Returns `spec` with `change` applied to every convolutional block."""
    return replace(spec, blocks=tuple(change(block) for block in spec.blocks))


def hidden(spec: Spec, change: Callable[[Dense], Dense]) -> Spec:
    """Returns `spec` with `change` applied to every hidden fully connected layer."""
    return replace(spec, hidden=tuple(change(layer) for layer in spec.hidden))


def norms(spec: Spec, change: Callable[[Norm], Norm | None]) -> Spec:
    """Returns `spec` with `change` applied to every normalisation, a block's second one included."""

    def changed(norm: Norm | None) -> Norm | None:
        return change(norm) if norm else None

    return blocks(spec, lambda block: replace(block, norm=changed(block.norm), extra_norm=changed(block.extra_norm)))


def pools(spec: Spec, change: Callable[[Pool], Pool]) -> Spec:
    """Returns `spec` with `change` applied to every pooling."""
    return blocks(spec, lambda block: replace(block, pool=change(block.pool)) if block.pool else block)
