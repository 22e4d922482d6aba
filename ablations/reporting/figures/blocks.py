"""The figure of several data sets: the effect of each change on each of them, and on average."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablations.analysis.blocks import OverBlocks
from ablations.core.setting import Metric
from ablations.core.units import is_ratio
from ablations.reporting.figures.style import BLUE, GRID, INK, ORANGE, WIDTH, ratios_along, rows_named, styled, wrapped

THESE, ANOTHER = "mean of these", "others like these"


@styled
def by_data_set(
    found: Sequence[OverBlocks], titles: Sequence[str], names: Sequence[str], what: str, *, metric: Metric
) -> Figure:
    """Draws one panel a change: a row for each data set, one for their mean, and one for data sets like these.

    `titles` are those of the panels, `names` the data sets, `what` the label of the axis in words and unit, and
    `metric` the one that the effects are on.  Bars are 95% intervals.
    """
    rows = [*names, THESE, *([ANOTHER] if any(np.isfinite(one.low) for one in found) else [])]
    down, across = -(-len(found) // 2), 1 if len(found) == 1 else 2
    figure = Figure(figsize=(WIDTH, 0.5 + down * (0.55 + 0.19 * len(rows))), layout="constrained")
    panels: list[Axes] = list(figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).flat)
    for panel, one, title in zip(panels, found, titles, strict=False):
        _panel(panel, one)
        panel.set_title(wrapped(title, 18 if across > 1 else 50))
        panel.grid(axis="x", color=GRID)
    for panel in panels[len(found) :]:
        panel.set_axis_off()
    if len(found) % 2 and down > 1:
        panels[-3].tick_params(labelbottom=True)  # the place below this panel is empty, so it shows the axis
    rows_named(panels[0], rows)
    panels[0].set_xlim(*_limits(found))
    if is_ratio(metric):
        ratios_along(panels[0].xaxis, *panels[0].get_xlim())
    figure.supxlabel(what, fontsize=9)
    return figure


def _panel(panel: Axes, one: OverBlocks) -> None:
    panel.axvline(0, color=INK, linewidth=1)
    panel.tick_params(axis="y", length=0)
    for height, effect in enumerate([*one.each, one.effect]):
        colour = ORANGE if effect is one.effect else BLUE
        if np.isfinite(effect.low):
            panel.hlines(height, effect.low, effect.high, color=colour, linewidth=2)
        panel.plot([effect.estimate], [height], "D" if effect is one.effect else "o", color=colour, markersize=4.5)
    if np.isfinite(one.low):
        panel.hlines(len(one.each) + 1, one.low, one.high, color=ORANGE, linewidth=2, linestyle="--")


def _limits(found: Sequence[OverBlocks]) -> tuple[float, float]:
    """Returns limits that hold all estimates and the intervals of means; bars of single data sets may be cut."""
    ends = [end for one in found for end in (0.0, one.effect.low, one.effect.high, one.low, one.high)]
    ends += [effect.estimate for one in found for effect in one.each]
    known = [end for end in ends if np.isfinite(end)]
    margin = 0.06 * (max(known) - min(known)) or 0.1
    return min(known) - margin, max(known) + margin
