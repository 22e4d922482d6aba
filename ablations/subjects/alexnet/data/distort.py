"""What teaching copies add to the paper's crops, flips and colour noise: vertical flips, turns, scales, shifts, grain.

In batches on the device of the images, after the crop.  What a distortion brings in from beyond the
crop is the crop reflected, its border pixel included.

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
    """One epoch's random choices, by example, drawn on the CPU; limits are the spec's."""

    upside_down: Tensor  # (N,) bool
    turn: Tensor  # (N,) float32, uniform in -1..1, of the largest angle
    zoom: Tensor  # (N,) float32, uniform in -1..1, of the logarithm of the largest factor
    shift: Tensor  # (N, 2) float32, uniform in -1..1, of the largest way to the right and down
    grain: Tensor  # (N,) int64, seeds of the noise


def draw_distortions(count: int, *, stream: Callable[[str], torch.Generator], epoch: int) -> Distortions:
    """Draws for `count` examples, each from a stream of its own, such as `rotation/3`: whatever of them is used."""

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
    """`pixels` (B, s, s, C) of the examples `index` (B,), turned over, rotated, rescaled and moved as the spec asks.

    The same tensor where it asks for nothing, float32 where positions between pixels had to be read.
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
    """(B, 2, 3): from where a pixel is written to where it is read, in half sides from the centre, x before y.

    The inverse of: turn clockwise and enlarge about the centre, then move.
    """
    angle = draws.turn[index] * math.radians(spec.rotation)
    inverse = spec.rescaling ** -draws.zoom[index]
    cos, sin = angle.cos() * inverse, angle.sin() * inverse
    linear = torch.stack([cos, sin, -sin, cos], dim=1).view(-1, 2, 2)
    moved = draws.shift[index, :, None] * (2 * spec.translation)
    return torch.cat([linear, -linear @ moved], dim=2)


def add_noise(inputs: Tensor, std: float, draws: Distortions, index: Tensor) -> Tensor:
    """`inputs` (B, C, s, s), with normal noise of deviation `std` added in place; each example has its own."""
    if std:
        generator = torch.Generator()
        shape = (inputs.shape[2], inputs.shape[3], inputs.shape[1])  # as in memory
        noise = [torch.randn(shape, generator=generator.manual_seed(seed)) for seed in draws.grain[index].tolist()]
        inputs.add_(torch.stack(noise).to(inputs.device).permute(0, 3, 1, 2), alpha=std)
    return inputs
