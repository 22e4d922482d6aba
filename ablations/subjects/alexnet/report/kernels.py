"""Draws the kernels of a first layer, group by group, as figure 3 of the paper does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ablations.reporting.figures.style import WIDTH, styled
from ablations.subjects.alexnet.filters import Array

COLUMNS = 12
BORDER = 1  # pixels between filters


@styled
def filters(groups: Sequence[Array], titles: Sequence[str]) -> Figure:
    """Draws one panel of tiles for each group of kernels (O, C, K, K), in the given order; C is 3, or 1 for grey.

    Each kernel is scaled by its own largest weight, and zero is drawn as middle grey, so a grey pixel weighs all
    colours alike.
    """
    tiles = [_tiles(group) for group in groups]
    inches = [0.25 + WIDTH * tile.shape[0] / tile.shape[1] for tile in tiles]
    figure = Figure(figsize=(WIDTH, sum(inches)), layout="constrained")
    panels = figure.subplots(len(tiles), 1, squeeze=False, height_ratios=inches).flat
    for panel, tile, title in zip(panels, tiles, titles, strict=True):
        panel.imshow(tile, interpolation="nearest")
        panel.set_title(title)
        panel.set_axis_off()
    return figure


def _tiles(kernels: Array) -> Array:
    """Returns an image (rows, columns, 4) with red, green, blue and opacity in 0..1, transparent between the tiles."""
    count, channels, side, _ = kernels.shape
    largest = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
    scaled = 0.5 + 0.5 * kernels / np.where(largest > 0, largest, 1)
    scaled = np.repeat(scaled, 3, axis=1) if channels == 1 else scaled
    step = side + BORDER
    sheet = np.zeros((-(-count // COLUMNS) * step - BORDER, COLUMNS * step - BORDER, 4))
    for number, kernel in enumerate(scaled):
        top, left = (step * place for place in divmod(number, COLUMNS))
        sheet[top : top + side, left : left + side] = 1
        sheet[top : top + side, left : left + side, :3] = kernel.transpose(1, 2, 0)
    return sheet
