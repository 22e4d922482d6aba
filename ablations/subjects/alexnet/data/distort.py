"""Augmentations that the paper does not have: vertical flips, rotation, rescaling, translation and pixel noise.

They are applied to batches after the crop, on the device of the images.  Where a distortion reads beyond the crop, it
finds the crop reflected, with its border pixel repeated.

Shapes: N examples, B batch, C channels, s side of a crop.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ablations.models.spec import Spec


@dataclass(frozen=True)
class Distortions:
    """The random choices of one epoch, one for each example, drawn on the CPU.

    They are shares of the limits in a spec, so that a spec with another limit uses the same draws.
    """

    upside_down: Tensor  # (N,) bool
    turn: Tensor  # (N,) float32, uniform in -1..1: share of the largest angle
    zoom: Tensor  # (N,) float32, uniform in -1..1: share of the logarithm of the largest factor
    shift: Tensor  # (N, 2) float32, uniform in -1..1: share of the largest shift to the right and down
    grain: Tensor  # (N,) int64: seeds of the pixel noise


def draw_distortions(count: int, *, stream: Callable[[str], torch.Generator], epoch: int) -> Distortions:
    """Draws the random choices of an epoch for `count` examples, each kind from its own stream, such as `rotation/3`.

    All kinds are drawn, whether or not they are used.
    """

    def uniform(role: str, *shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=stream(f"{role}/{epoch}")).mul_(2).sub_(1)

    return Distortions(
        upside_down=uniform("vertical_flip") < 0,
        turn=uniform("rotation"),
        zoom=uniform("rescaling"),
        shift=uniform("translation", 2),
        grain=torch.randint(2**62, (count,), generator=stream(f"pixel_noise/{epoch}")),
    )


def distorted(pixels: Tensor, spec: Spec, draws: Distortions, index: Tensor) -> Tensor:
    """Flips, rotates, rescales and shifts `pixels` (B, s, s, C) of the examples `index` (B,) as the spec asks.

    Returns the same tensor if the spec asks for nothing, and float32 if pixels had to be interpolated.
    """
    if spec.vertical_flip:
        turned = draws.upside_down[index].to(pixels.device)[:, None, None, None]
        pixels = torch.where(turned, pixels.flip(1), pixels)
    if spec.rotation or spec.translation or spec.rescaling != 1:
        maps = pixels.permute(0, 3, 1, 2).float()
        grid = F.affine_grid(_read_from(spec, draws, index).to(maps.device), list(maps.shape), align_corners=False)
        maps = F.grid_sample(maps, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        pixels = maps.permute(0, 2, 3, 1).contiguous()
    return pixels


def _read_from(spec: Spec, draws: Distortions, index: Tensor) -> Tensor:
    """Returns affine maps (B, 2, 3) from where a pixel is written to where it is read, as F.affine_grid takes them.

    Positions are in half sides from the centre, x before y.  Each map is the inverse of what is done to the image:
    rotate it clockwise and enlarge it about its centre, then shift it.
    """
    angle = draws.turn[index] * math.radians(spec.rotation)
    inverse = spec.rescaling ** -draws.zoom[index]
    cos, sin = angle.cos() * inverse, angle.sin() * inverse
    linear = torch.stack([cos, sin, -sin, cos], dim=1).view(-1, 2, 2)
    moved = draws.shift[index, :, None] * (2 * spec.translation)
    return torch.cat([linear, -linear @ moved], dim=2)


def add_noise(inputs: Tensor, std: float, draws: Distortions, index: Tensor) -> Tensor:
    """Adds normal noise of standard deviation `std` to `inputs` (B, C, s, s) in place and returns them.

    Each example has its own noise, drawn on the CPU from the seed of that example, so that it is the same on every
    device and in every batch.
    """
    if std:
        generator = torch.Generator()
        shape = (inputs.shape[2], inputs.shape[3], inputs.shape[1])  # as in memory
        noise = [torch.randn(shape, generator=generator.manual_seed(seed)) for seed in draws.grain[index].tolist()]
        inputs.add_(torch.stack(noise).to(inputs.device).permute(0, 3, 1, 2), alpha=std)
    return inputs
