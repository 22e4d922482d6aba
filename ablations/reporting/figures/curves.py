"""Learning curves."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ablations.analysis.effects import mean_interval
from ablations.reporting.figures.style import (
    BLUE,
    GREY,
    GRID,
    WIDTH,
    ratios_along,
    styled,
    wrapped,
)

REFERENCE = "reference"


@styled
def learning_curves(
    curves: pd.DataFrame,
    variants: Sequence[str],
    what: str,
    along: str = "epoch",
    *,
    ranges: bool = False,
    ratios: bool = False,
    overlap: float = 0.0,
) -> Figure:
    """Draws one panel a variant: its mean over seeds by epoch, on top of the reference's.

    `curves` has the columns variant, seed, epoch and error; `along` says what the column epoch counts, and `what` is
    the label of the errors' axis.  Bands are 95% t intervals over seeds, corrected by the `overlap` of splits as in
    `over_seeds`.  With `ranges` they run from the lowest to the highest value, as ensembles that share networks have no
    t interval.  With `ratios`, errors are logarithms, and the axis shows what they are logarithms of.
    """
    variants = list(variants) or [REFERENCE]
    count = -(-len(variants) // 2)
    alone = len(variants) == 1
    figure = Figure(figsize=(WIDTH, 2.4 if alone else 0.65 + 1.25 * count), layout="constrained")
    grid = figure.subplots(count, 1 if alone else 2, sharex=True, sharey=True, squeeze=False)
    panels: list[Axes] = list(grid.flat)
    panels[0].xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for panel, variant in zip(panels, variants, strict=False):
        _curve(panel, curves, REFERENCE, ranges, overlap)
        if variant != REFERENCE:
            _curve(panel, curves, variant, ranges, overlap)
        panel.set_title(wrapped(variant, 25))
        panel.grid(color=GRID)
    for panel in panels[len(variants) :]:
        panel.set_axis_off()
    if len(variants) % 2 and count > 1:
        panels[-3].tick_params(labelbottom=True)  # the place below this panel is empty, so it shows the axis
    low, high = curves["error"].min(), curves["error"].max()
    shown = panels[0].get_ylim()  # shared by all; the band of two seeds may be far wider than the data
    margin = 0.3 * (high - low) or 1.0
    panels[0].set_ylim(max(shown[0], low - margin), min(shown[1], high + margin))
    if ratios:
        ratios_along(panels[0].yaxis, *panels[0].get_ylim())
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, frameon=False)
    figure.supxlabel(along, fontsize=10.2)
    figure.supylabel(what, fontsize=10.2)
    return figure


def _curve(axes: Axes, curves: pd.DataFrame, variant: str, ranges: bool, overlap: float) -> None:
    rows = curves[curves["variant"] == variant]
    if rows.empty:
        return
    by_epoch = rows.groupby("epoch")["error"]
    bands = by_epoch.agg(["mean", "min", "max"])
    if not ranges:
        bands[["mean", "min", "max"]] = [mean_interval(errors, overlap) for _, errors in by_epoch]
    colour, width, label = (GREY, 2.0, "reference") if variant == REFERENCE else (BLUE, 1.4, "variant")
    axes.fill_between(bands.index, bands["min"], bands["max"], color=colour, alpha=0.25, linewidth=0)
    marker = "o" if len(bands) < 3 else None
    axes.plot(bands.index, bands["mean"], color=colour, linewidth=width, marker=marker, markersize=3, label=label)
