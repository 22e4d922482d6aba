"""Small rewrites that several components share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ablations.models.spec import Conv, Dense, Norm, Pool, Spec


def blocks(spec: Spec, change: Callable[[Conv], Conv]) -> Spec:
    """`spec` with `change` applied to every convolutional block."""
    return replace(spec, blocks=tuple(change(block) for block in spec.blocks))


def hidden(spec: Spec, change: Callable[[Dense], Dense]) -> Spec:
    """`spec` with `change` applied to every hidden fully connected layer."""
    return replace(spec, hidden=tuple(change(layer) for layer in spec.hidden))


def norms(spec: Spec, change: Callable[[Norm], Norm | None]) -> Spec:
    """`spec` with `change` applied to every normalisation that is there, also to a block's second one."""

    def changed(norm: Norm | None) -> Norm | None:
        return change(norm) if norm else None

    return blocks(spec, lambda block: replace(block, norm=changed(block.norm), extra_norm=changed(block.extra_norm)))


def pools(spec: Spec, change: Callable[[Pool], Pool]) -> Spec:
    """`spec` with `change` applied to every pooling that is there."""
    return blocks(spec, lambda block: replace(block, pool=change(block.pool)) if block.pool else block)
