"""The figures of a factorial: interactions as a map, and half-normal plots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from scipy import stats

from ablations.core.effect import Effect
from ablations.core.setting import Metric
from ablations.core.units import is_ratio, size
from ablations.reporting.figures.style import BLUE, DOTS, GRID, canvas, figure_of, styled

PALE = sns.diverging_palette(245, 40, s=75, l=70, center="light", as_cmap=True)  # black text is readable on it


@styled
def interaction_map(main: Sequence[Effect], interactions: Sequence[Effect], what: str, *, metric: Metric) -> Figure:
    """Draws a triangle: two-way interactions in colour, and main effects as plain numbers on the diagonal.

    `what` labels the colours, and `metric` says how to write the numbers.  Bold numbers have an interval that excludes
    zero.
    """
    names = [effect.component for effect in main]
    colours = pd.DataFrame(np.nan, index=names, columns=names)
    axes = canvas(1.0 + 0.42 * len(names))
    for effect in [*main, *interactions]:
        column, row = (names.index(name) for name in (effect.component.split(" x ") * 2)[:2])
        if row != column:
            colours.iloc[row, column] = effect.estimate
        sure = effect.low > 0 or effect.high < 0
        weight = "bold" if sure else "normal"
        axes.text(
            column + 0.5,
            row + 0.5,
            size(metric, effect.estimate),
            ha="center",
            va="center",
            fontsize=10.2,
            weight=weight,
            color="black",
        )
    # Without this floor, the largest interaction would have the full colour even if all of them were noise.
    limit = max(np.nanmax(np.abs(colours.to_numpy())), 0.25 * max(abs(effect.estimate) for effect in main))
    bar = {"label": f"logarithm of {what}" if is_ratio(metric) else what, "shrink": 0.7}
    sns.heatmap(colours, ax=axes, vmin=-limit, vmax=limit, cmap=PALE, linewidths=1, cbar_kws=bar)
    axes.tick_params(length=0)
    axes.set_xticks(axes.get_xticks(), names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(axes.get_yticks(), names, rotation=0)
    return figure_of(axes)


@styled
def half_normal(effects: Sequence[Effect], what: str) -> Figure:
    """Draws the sizes of effects against half-normal quantiles, and names those far above the line of the small ones.

    The line's slope is Lenth's pseudo standard error (Technometrics 1989), which large effects hardly change.  `what`
    labels the axis of sizes.
    """
    ranked = sorted(effects, key=lambda effect: abs(effect.estimate))
    sizes = np.abs([effect.estimate for effect in ranked])
    quantiles = stats.halfnorm.ppf((np.arange(len(sizes)) + 0.5) / len(sizes))
    first = 1.5 * np.median(sizes)
    slope = 1.5 * np.median(sizes[sizes < 2.5 * first]) if first > 0 else 0.0
    axes = canvas(3.0)
    axes.plot([0, quantiles[-1]], [0, slope * quantiles[-1]], color=DOTS, linewidth=1)
    axes.scatter(quantiles, sizes, s=18, color=BLUE, zorder=3)
    for place, effect in zip(quantiles, ranked, strict=True):
        size = abs(effect.estimate)
        if size > 2.5 * slope:
            offset = (-6, 0)
            axes.annotate(effect.component, (place, size), offset, textcoords="offset points", ha="right", va="center")
    axes.set_xlim(0, 1.08 * quantiles[-1])
    axes.set_ylim(0, None)
    axes.set_xlabel("half-normal quantile")
    axes.set_ylabel(what)
    axes.grid(color=GRID)
    return figure_of(axes)
