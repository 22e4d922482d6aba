"""Effects as forests, interactions as a map, and half-normal plots."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from ablations.analysis.effects import differences_of
from ablations.core.effect import Effect
from ablations.core.setting import Metric
from ablations.core.units import is_ratio, size
from ablations.reporting.figures.style import (
    BLUE,
    DOTS,
    GREEN,
    GRID,
    INK,
    LINE,
    _canvas,
    _figure,
    _row_words,
    ratios_along,
    rows_named,
    styled,
)

PALE = sns.diverging_palette(245, 40, s=75, l=70, center="light", as_cmap=True)  # black numbers stay readable


@styled
def effect_forest(
    effects: Sequence[Effect],
    differences: pd.DataFrame,
    controls: frozenset[str],
    what: str,
    *,
    metric: Metric,
    called: Callable[[Effect], str],
) -> Figure:
    """One row an effect: estimate, 95% interval, and the single differences as faint dots.

    `what` names the axis, in words and unit, and `metric` is what the effects are on.  Controls stand below a line.
    """
    effects = [effect for effect in effects if effect.n]
    parts = [[effect for effect in effects if (effect.component in controls) == flag] for flag in (False, True)]
    rows = [*parts[0], *([None] if all(parts) else []), *parts[1]]
    axes = _canvas(0.9 + 0.32 * len(rows))
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_xlim(*_limits(parts[0], parts[1], differences, metric))
    for height, effect in enumerate(rows):
        if effect is None:
            axes.axhline(height, color=LINE, linewidth=0.8, linestyle=":")
        else:
            single, control = differences_of(differences, effect), effect.component in controls
            _forest_row(axes, height, effect, single, control, size(metric, effect.estimate))
    rows_named(axes, ["controls" if effect is None else _row_words(effect, called) for effect in rows])
    axes.set_xlabel(what)
    axes.grid(axis="x", color=GRID)
    if is_ratio(metric):
        ratios_along(axes.xaxis, *axes.get_xlim())
    return _figure(axes)


@styled
def interaction_map(main: Sequence[Effect], interactions: Sequence[Effect], what: str, *, metric: Metric) -> Figure:
    """A triangle: two-way interactions in colour, main effects as plain numbers on the diagonal, as of `metric`.

    Bold numbers have an interval that excludes zero.
    """
    names = [effect.component for effect in main]
    colours = pd.DataFrame(np.nan, index=names, columns=names)
    axes = _canvas(1.0 + 0.42 * len(names))
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
            fontsize=8,
            weight=weight,
            color="black",
        )
    # Main effects are larger as a rule; a quarter of them keeps mere noise among interactions pale.
    limit = max(np.nanmax(np.abs(colours.to_numpy())), 0.25 * max(abs(effect.estimate) for effect in main))
    bar = {"label": f"logarithm of {what}" if is_ratio(metric) else what, "shrink": 0.7}
    sns.heatmap(colours, ax=axes, vmin=-limit, vmax=limit, cmap=PALE, linewidths=1, cbar_kws=bar)
    axes.tick_params(length=0)
    axes.set_xticks(axes.get_xticks(), names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(axes.get_yticks(), names, rotation=0)
    return _figure(axes)


@styled
def half_normal(effects: Sequence[Effect], what: str) -> Figure:
    """Sizes of effects over half-normal quantiles; those that stand clear of the line through the small ones are named.

    The line's slope is Lenth's pseudo standard error (Technometrics 1989), which large effects do not move.
    """
    ranked = sorted(effects, key=lambda effect: abs(effect.estimate))
    sizes = np.abs([effect.estimate for effect in ranked])
    quantiles = stats.halfnorm.ppf((np.arange(len(sizes)) + 0.5) / len(sizes))
    first = 1.5 * np.median(sizes)
    slope = 1.5 * np.median(sizes[sizes < 2.5 * first]) if first > 0 else 0.0
    axes = _canvas(3.0)
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
    return _figure(axes)


def _limits(
    effects: Sequence[Effect], controls: Sequence[Effect], differences: pd.DataFrame, metric: Metric
) -> tuple[float, float]:
    """Limits that show the effects well: a control, or an interval from two pairs, may lie beyond them."""
    spans = [_span(effect, differences) for effect in effects] or [_span(effect, differences) for effect in controls]
    low, high = min(0.0, *(span[0] for span in spans)), max(0.0, *(span[1] for span in spans))
    for effect in controls:
        below, above = _span(effect, differences)
        if max(high, above) - min(low, below) <= 1.5 * (high - low):
            low, high = min(low, below), max(high, above)
    least = 0.1 if metric.digits is None else 10.0**-metric.digits
    margin = max(0.06 * (high - low), least)
    return low - margin, high + margin


def _span(effect: Effect, differences: pd.DataFrame) -> tuple[float, float]:
    values = [effect.estimate, *differences_of(differences, effect)]
    values += [effect.low, effect.high] if effect.n > 2 and np.isfinite(effect.low) else []
    return min(values), max(values)


def _forest_row(axes: Axes, height: int, effect: Effect, single: Sequence[float], control: bool, word: str) -> None:
    colour = GREEN if control else BLUE
    low, high = axes.get_xlim()
    shown = [value for value in single if low <= value <= high]
    axes.scatter(shown, [height - 0.26] * len(shown), s=9, color=DOTS, linewidth=0, zorder=2)
    if np.isfinite(effect.low) and effect.low < high and effect.high > low:
        axes.hlines(height, max(effect.low, low), min(effect.high, high), color=colour, linewidth=2, zorder=3)
    ends = (effect.low, effect.high) if np.isfinite(effect.low) else (effect.estimate, effect.estimate)
    for edge, beyond, marker in ((low, ends[0] < low, "<"), (high, ends[1] > high, ">")):
        if beyond:
            axes.scatter([edge], [height], s=26, color=[colour], marker=marker, clip_on=False, zorder=4)
    if low <= effect.estimate <= high:
        axes.scatter([effect.estimate], [height], s=32, color=[colour], marker="s" if control else "o", zorder=4)
    else:
        above = effect.estimate > high
        place = (high if above else low, height)
        away, side = ((-8, 0), "right") if above else ((8, 0), "left")
        axes.annotate(word, place, away, textcoords="offset points", ha=side, va="center", fontsize=8)
