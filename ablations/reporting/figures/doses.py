"""The figure of a component with doses: outcomes against the dose."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablations.analysis.doses import Trend
from ablations.analysis.effects import mean_interval
from ablations.reporting.figures.style import BLUE, DOTS, GRID, ORANGE, PAPER, WIDTH, ratios_along, styled


@styled
def response(trend: Trend, what: str, *, ratios: bool) -> Figure:
    """Draws the mean with its 95% t interval at each dose, a faint line a seed, and a ring at the reference's dose.

    `what` is the label of the outcomes' axis.  With `ratios`, outcomes are logarithms, and the axis shows what they are
    logarithms of.
    """
    figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
    axes: Axes = figure.add_subplot()
    doses, outcomes = [float(dose) for dose in trend.outcomes.columns], trend.outcomes.to_numpy(dtype=float)
    axes.plot(doses, outcomes.T, color=DOTS, linewidth=0.7, alpha=0.5)
    found = np.array([mean_interval(list(column), trend.overlap) for column in outcomes.T])
    axes.vlines(doses, found[:, 1], found[:, 2], color=BLUE, linewidth=2)
    axes.plot(doses, found[:, 0], color=BLUE, marker="o", markersize=5, linewidth=1.4)
    at = doses.index(trend.doses.reference)
    axes.plot(doses[at : at + 1], found[at : at + 1, 0], "o", markersize=11, markerfacecolor="none", color=ORANGE)
    place = (doses[at], found[at, 0])
    box = {"boxstyle": "round,pad=0.1", "facecolor": PAPER, "edgecolor": "none", "alpha": 0.8}
    axes.annotate("reference", place, (0, -16), textcoords="offset points", ha="center", fontsize=10.2, bbox=box)
    if trend.doses.log:
        axes.set_xscale("log", base=2)
        axes.minorticks_off()
        axes.set_xticks(doses, [f"{dose:g}" for dose in doses])
    axes.margins(x=0.08, y=0.12)
    axes.set_xlabel(f"{trend.component}, {trend.doses.unit}" if trend.doses.unit else trend.component)
    axes.set_ylabel(what)
    axes.grid(color=GRID)
    if ratios:
        ratios_along(axes.yaxis, *axes.get_ylim())
    return figure
