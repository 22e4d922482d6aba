"""The figure of one claim: the outcomes of each seed, and their differences beside the smallest effect of interest."""

from __future__ import annotations

from math import exp, isfinite, log, nan

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from ablations.reporting.figures.style import (
    BLUE,
    DOTS,
    INK,
    LARGEST_POWER,
    LINE,
    ORANGE,
    PAPER,
    WIDTH,
    ratios_along,
    styled,
    tick_labels,
)

MOST_DOUBLINGS = 12  # of ticks that are a factor of 2 apart; there is no room for more


@styled
def pairs(
    outcomes: pd.DataFrame,
    found: tuple[float, float, float],
    margin: float,
    published: float | None,
    what: str,
    unit: str,
    *,
    ratios: bool = False,
) -> Figure:
    """Draws, on the left, a line for each seed from its outcome without the change to that with it; on the right, the
    differences.

    `outcomes` has the columns kept and departed, by seed; `found` are the estimate and its bounds; `margin` is the
    smallest effect of interest, drawn as a band around zero; `published` is drawn as a diamond.  With `ratios`, all
    numbers are logarithms, and the axes show the ratios.  The layout is fixed, as a computed one would take a report of
    twenty claims too long.
    """
    estimate, low, high = found
    figure = Figure(figsize=(WIDTH, 1.9))
    slopes, change = figure.add_axes((0.15, 0.25, 0.27, 0.68)), figure.add_axes((0.53, 0.25, 0.44, 0.68))
    both = outcomes.dropna()
    for column, name in enumerate(("kept", "departed")):  # a seed with one finished arm is a dot alone
        slopes.scatter([column] * len(outcomes), outcomes[name], s=14, color=BLUE, zorder=3)
    slopes.plot([0, 1], both[["kept", "departed"]].to_numpy(dtype=float).T, color=DOTS, linewidth=0.9)
    slopes.set_xticks([0, 1], ["without", "with"])
    slopes.set_xlim(-0.35, 1.35)
    slopes.set_ylabel(what, fontsize=10.2)
    slopes.yaxis.set_major_locator(MaxNLocator(4))
    single = (both["departed"] - both["kept"]).to_numpy(dtype=float)
    change.axvspan(-margin, margin, color=LINE, alpha=0.6, linewidth=0)
    change.axvline(0, color=INK, linewidth=1)
    change.scatter(single, np.full(len(single), 0.45), s=14, color=DOTS, linewidth=0)
    if isfinite(low) and isfinite(high):
        change.hlines(0, low, high, color=BLUE, linewidth=2)
    change.scatter([estimate], [0], s=34, color=BLUE, zorder=3)
    change.scatter(
        [nan if published is None else published], [-0.45], s=30, marker="D", facecolor=PAPER, edgecolor=ORANGE
    )
    change.set_ylim(-0.8, 0.8)
    change.set_yticks([])
    change.spines["left"].set_visible(False)
    change.xaxis.set_major_locator(MaxNLocator(5))
    kind = "ratio" if ratios else "difference"
    change.set_xlabel(f"{kind}, {unit}" if unit else kind, fontsize=10.2)
    if ratios:
        _label_ratios(slopes, change, float(np.nanmin(outcomes)) - 0.05, float(np.nanmax(outcomes)) + 0.05)
    for axes in (slopes, change):
        axes.grid(axis="y" if axes is slopes else "x", color=LINE, linewidth=0.4)
    return figure


def _label_ratios(slopes: Axes, change: Axes, low: float, high: float) -> None:
    """Labels both axes of logarithms with what they are logarithms of; outcomes lie between `low` and `high`."""
    if high - low > log(1000) or high > LARGEST_POWER * log(10):  # ticks at equal steps would all lie at the top
        ratios_along(slopes.yaxis, low, high)
    else:
        round_ones = [one for one in MaxNLocator(4).tick_values(*np.exp(slopes.get_ylim())) if one > 0]
        whole = all(one == round(one) for one in round_ones)
        slopes.set_yticks(
            np.log(round_ones), [f"{one:,.0f}" for one in round_ones] if whole else tick_labels(round_ones)
        )
    slopes.set_ylim(low, high)
    change.xaxis.set_major_locator(MultipleLocator(log(2)))
    change.xaxis.set_major_formatter(lambda value, position: f"{exp(value):.2g}")
    if not 2 <= np.ptp(change.get_xlim()) / log(2) <= MOST_DOUBLINGS:  # for ticks that are a factor of 2 apart
        ratios_along(change.xaxis, *change.get_xlim())
