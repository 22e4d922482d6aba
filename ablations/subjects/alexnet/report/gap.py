"""Draws the gap between training and evaluation error."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ablations.reporting.figures.style import BLUE, GRID, LINE, ORANGE, PAPER, canvas, figure_of, rows_named, styled


@styled
def gap(means: pd.DataFrame, phase: str) -> Figure:
    """Draws the training error (hollow) and the `phase` error (filled) of each variant, joined; means over seeds.

    `means` is indexed by the variant's name, with the columns train and evaluation, in percent.
    """
    axes = canvas(1.15 + 0.27 * len(means))
    heights = np.arange(len(means))
    axes.hlines(heights, means["train"], means["evaluation"], color=LINE, linewidth=2, zorder=1)
    axes.scatter(means["train"], heights, s=26, facecolor=PAPER, edgecolor=ORANGE, linewidth=1.5, label="training")
    axes.scatter(means["evaluation"], heights, s=26, color=BLUE, label=phase)
    rows_named(axes, list(means.index))
    axes.set_xlabel("top-1 error, percent")
    axes.grid(axis="x", color=GRID)
    figure_of(axes).legend(loc="outside upper left", ncols=2, frameon=False)
    return figure_of(axes)
