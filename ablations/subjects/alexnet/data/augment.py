"""Crops, flips and colour noise of whole batches, on the device of the images (the paper, section 4.1).

Shapes: N examples, B batch, C channels, S side of a stored image, s side of a crop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ablations.core.errors import unknown
from ablations.models.spec import Spec
from ablations.subjects.alexnet.data.distort import Distortions, draw_distortions
from ablations.subjects.alexnet.data.load import Data

# How far a unit draw goes along each principal component, from the deviations (C,), in grey levels.
PCA_UNITS: dict[str, Callable[[Tensor], Tensor]] = {
    "std": lambda deviations: deviations,
    # Variances of pixels on the 0-1 scale, (d/255)^2, brought back to grey levels.
    "variance": lambda deviations: deviations**2 / 255,
}

VIEWS = {"centre": 1, "ten": 10}  # how many crops of an image are averaged over in evaluation


@dataclass(frozen=True)
class Draws:
    """One epoch's random choices, by example; drawn on the CPU."""

    top: Tensor  # (N,) int64, pixels below the top of the bordered image
    left: Tensor  # (N,) int64
    flip: Tensor  # (N,) bool
    alphas: Tensor  # (N, C) float32, unit normal
    distortions: Distortions  # what the paper has not

    def to(self, device: torch.device) -> Draws:
        """A copy of them on `device`."""
        top, left, flip, alphas, *rest = (tensor.to(device, copy=True) for tensor in self.tensors)
        return Draws(top, left, flip, alphas, Distortions(*rest))

    def copy_(self, other: Draws) -> None:
        """Takes over another epoch's, in the memory of these."""
        for mine, theirs in zip(self.tensors, other.tensors, strict=True):
            mine.copy_(theirs)

    @property
    def tensors(self) -> list[Tensor]:
        """All of them."""
        return [self.top, self.left, self.flip, self.alphas, *vars(self.distortions).values()]


def draw(count: int, *, slack: int, channels: int, stream: Callable[[str], torch.Generator], epoch: int) -> Draws:
    """Draws for `count` examples, each field from a stream of its own: `crop/3`, `flip/3`, `colour/3`.

    All of them are always drawn, so that leaving one unused moves no other.  Positions are uniform
    in 0..slack and grow with their draw, so runs of different slack crop alike.
    Raises ValueError when `slack`, stored size + 2 * border - seen size, is negative.
    """
    if slack < 0:
        raise ValueError(f"The crop is {-slack} pixels larger than the stored image and its border.")
    crops = stream(f"crop/{epoch}")
    top, left = ((torch.rand(count, generator=crops, dtype=torch.float64) * (slack + 1)).long() for _ in range(2))
    flip = torch.rand(count, generator=stream(f"flip/{epoch}")) < 0.5
    alphas = torch.randn(count, channels, generator=stream(f"colour/{epoch}"))
    distortions = draw_distortions(count, stream=stream, epoch=epoch)
    return Draws(top=top, left=left, flip=flip, alphas=alphas, distortions=distortions)


def views(name: str, room: int) -> tuple[tuple[int, int, bool], ...]:
    """Top, left and mirrored or not, of the crops that are averaged over, `room` pixels being left to move in.

    "centre" is one; "ten" are the centre, the corners and their reflections (the paper, 4.1), the centre first.
    Raises ValueError on another name.
    """
    middle = (room // 2, room // 2, False)
    if name not in VIEWS:
        raise unknown("views", name, VIEWS)
    if name == "centre":
        return (middle,)
    places = (middle, *((top, left, False) for top in (0, room) for left in (0, room)))
    return places + tuple((top, left, True) for top, left, _ in places)


def crop(images: Tensor, index: Tensor, top: Tensor, left: Tensor, flip: Tensor, *, size: int, pad: int) -> Tensor:
    """Crops (B, s, s, C) uint8 of `images` (N, S, S, C), the examples `index` at `top` and `left`.

    These and `flip`, which mirrors columns, are (B,).  Positions refer to the image with `pad` < S
    pixels of border, reflected as ReflectionPad2d does.  The reflection is worked out on the
    indices: no padded copy exists, and no whole image is copied.
    """
    side, channels = images.shape[1], images.shape[3]
    steps = torch.arange(size, device=images.device)
    rows = _reflect(top[:, None] + steps - pad, side)  # (B, s)
    columns = _reflect(left[:, None] + torch.where(flip[:, None], steps.flip(0), steps) - pad, side)
    where = ((index[:, None] * side + rows) * side)[:, :, None] + columns[:, None, :]  # (B, s, s)
    # One pixel a row: three times as fast as indexing the four dimensions.
    pixels = images.view(-1, channels).index_select(0, where.flatten())
    return pixels.view(len(index), size, size, channels)


def _reflect(positions: Tensor, side: int) -> Tensor:
    return (side - 1) - ((side - 1) - positions.abs()).abs()


def to_input(pixels: Tensor, data: Data, spec: Spec, alphas: Tensor | None) -> Tensor:
    """What the network reads: (B, C, s, s) float32 in channels_last layout, from `pixels` (B, s, s, C) uint8.

    Minus the mean, plus the noise of `alphas` (B, C) along the principal components (none where it
    is None) and then over the spec's divisor, over the standard deviation where the spec asks for unit scale.
    Raises ValueError on an unknown `spec.pca_unit`.
    """
    mean = _central_mean(data, pixels.shape[1]) if spec.mean_image else data.mean
    inputs = pixels.float().sub_(mean.to(pixels.device))
    if alphas is not None and spec.pca_jitter > 0:
        if spec.pca_unit not in PCA_UNITS:
            raise unknown("PCA unit", spec.pca_unit, PCA_UNITS)
        scale = spec.pca_jitter * PCA_UNITS[spec.pca_unit](data.component_deviations)
        noise = (alphas.to(scale.device) * scale) @ data.components.T  # rows of components @ (alphas * scale)
        inputs.add_(noise.to(pixels.device)[:, None, None, :])
        if spec.pca_divisor != 1:  # only where there is noise, which the code thus makes up for
            inputs.div_(spec.pca_divisor)
    if spec.unit_scale:
        inputs.div_(data.std)
    return inputs.permute(0, 3, 1, 2)


def _central_mean(data: Data, size: int) -> Tensor:
    # Reflected where a crop is larger than the stored image, which a border allows.
    where = _reflect(torch.arange(size, device=data.mean_image.device) + (data.size - size) // 2, data.size)
    return data.mean_image[where][:, where]
