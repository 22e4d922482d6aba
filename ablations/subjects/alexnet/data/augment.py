"""Crops, flips and colour noise for whole batches, on the device of the images (the paper, section 4.1).

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

# Name -> how far, in grey levels, a unit draw moves pixels along the components, given their standard deviations (C,).
PCA_UNITS: dict[str, Callable[[Tensor], Tensor]] = {
    "std": lambda deviations: deviations,
    # Variances of pixels on the 0-1 scale, (d/255)^2, brought back to grey levels.
    "variance": lambda deviations: deviations**2 / 255,
}

VIEWS = {"centre": 1, "ten": 10}  # name -> number of crops of an image that evaluation averages over


@dataclass(frozen=True)
class Draws:
    """The random choices of one epoch, one for each example; they are drawn on the CPU."""

    top: Tensor  # (N,) int64, pixels from the top of the image with its border to the crop
    left: Tensor  # (N,) int64, likewise from the left
    flip: Tensor  # (N,) bool, whether the crop is mirrored
    alphas: Tensor  # (N, C) float32, unit normal draws for the colour noise
    distortions: Distortions  # for augmentations that the paper does not have

    def to(self, device: torch.device) -> Draws:
        """Returns a copy on `device`."""
        top, left, flip, alphas, *rest = (tensor.to(device, copy=True) for tensor in self.tensors)
        return Draws(top, left, flip, alphas, Distortions(*rest))

    def copy_(self, other: Draws) -> None:
        """Copies the choices of another epoch into these tensors, whose memory stays the same.

        A captured training step reads them there.
        """
        for mine, theirs in zip(self.tensors, other.tensors, strict=True):
            mine.copy_(theirs)

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors, in a fixed order."""
        return [self.top, self.left, self.flip, self.alphas, *vars(self.distortions).values()]


def draw(count: int, *, slack: int, channels: int, stream: Callable[[str], torch.Generator], epoch: int) -> Draws:
    """Draws the random choices of epoch `epoch` for `count` examples.

    Each kind comes from a stream of its own, such as `crop/3`, `flip/3` and `colour/3` for epoch 3.  All are drawn even
    if some are not used, so that switching one augmentation off leaves the draws of the others as they were.
    `slack` is the stored size + 2 * border - the seen size, in pixels.  Positions are uniform in 0..slack and increase
    with their draw, so that runs of different slack place their crops alike.
    Raises ValueError when `slack` is negative.
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
    """Returns the crops that evaluation averages over, each as (top, left, mirrored), in pixels.

    A crop can be moved by `room` pixels along either axis.  "centre" is one crop; "ten" are the centre, the four
    corners and their reflections (the paper, 4.1), the centre first.  Raises ValueError on another name.
    """
    middle = (room // 2, room // 2, False)
    if name not in VIEWS:
        raise unknown("views", name, VIEWS)
    if name == "centre":
        return (middle,)
    places = (middle, *((top, left, False) for top in (0, room) for left in (0, room)))
    return places + tuple((top, left, True) for top, left, _ in places)


def crop(images: Tensor, index: Tensor, top: Tensor, left: Tensor, flip: Tensor, *, size: int, pad: int) -> Tensor:
    """Cuts crops (B, s, s, C) uint8 out of `images` (N, S, S, C), s being `size`.

    `index`, `top`, `left` and `flip` are (B,): the example, the position of its crop, and whether its columns are
    mirrored.  Positions count from the corner of a border of `pad` < S pixels, reflected as ReflectionPad2d does.
    The reflection is applied to the indices, so that neither a padded copy nor a copy of whole images is made.
    """
    side, channels = images.shape[1], images.shape[3]
    steps = torch.arange(size, device=images.device)
    rows = _reflect(top[:, None] + steps - pad, side)  # (B, s)
    columns = _reflect(left[:, None] + torch.where(flip[:, None], steps.flip(0), steps) - pad, side)
    where = ((index[:, None] * side + rows) * side)[:, :, None] + columns[:, None, :]  # (B, s, s)
    # Selecting rows of one pixel each is three times as fast as indexing all four dimensions.
    pixels = images.view(-1, channels).index_select(0, where.flatten())
    return pixels.view(len(index), size, size, channels)


def _reflect(positions: Tensor, side: int) -> Tensor:
    """Maps positions outside of 0..side-1 to the pixels that they reflect; the border pixel itself is not repeated."""
    return (side - 1) - ((side - 1) - positions.abs()).abs()


def to_input(pixels: Tensor, data: Data, spec: Spec, alphas: Tensor | None) -> Tensor:
    """Turns `pixels` (B, s, s, C) uint8 into what the network reads: (B, C, s, s) float32 in channels_last layout.

    In this order: the mean is subtracted; colour noise along the principal components is added, weighted by `alphas`
    (B, C), and the result divided by the spec's divisor, unless `alphas` is None; and everything is divided by the
    pixels' standard deviation if the spec asks for unit scale.
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
        if spec.pca_divisor != 1:  # in training only, and only while there is noise, as in the code
            inputs.div_(spec.pca_divisor)
    if spec.unit_scale:
        inputs.div_(data.std)
    return inputs.permute(0, 3, 1, 2)


def _central_mean(data: Data, size: int) -> Tensor:
    """Returns the centre (size, size, C) of the mean image.  As in the code, it is subtracted from a crop anywhere."""
    # A crop may be larger than the stored image if there is a border, so the mean image is reflected too.
    where = _reflect(torch.arange(size, device=data.mean_image.device) + (data.size - size) // 2, data.size)
    return data.mean_image[where][:, where]
