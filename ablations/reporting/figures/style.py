"""One function a figure, from plain tables to a matplotlib Figure, and a Figure to SVG text.

The only file that imports seaborn and matplotlib.  Drawn 4.2 inches wide, so that the words can
still be read when a telephone shows them.  No pyplot state, no error bar that we did not compute.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ParamSpec

# One that a notebook or a shell has left need not be there, and then matplotlib cannot even be imported.
_inherited = os.environ.pop("MPLBACKEND", None)
os.environ["MPLBACKEND"] = "agg"

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy import stats

from ablations.analysis.effects import differences_of, mean_interval
from ablations.core.study import Effect
from ablations.reporting.document import signed
from ablations.reporting.theme import light

if _inherited is None:
    del os.environ["MPLBACKEND"]
else:
    os.environ["MPLBACKEND"] = _inherited  # other programs may want it

P = ParamSpec("P")
WIDTH = 4.2  # inches
PAPER, INK, SOFT, DOTS, LINE, GRID = map(light, ("paper", "ink", "soft", "dots", "line", "grid"))
BLUE, ORANGE, GREEN = map(light, ("blue", "orange", "green"))
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 9,
    "legend.fontsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": DOTS,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": DOTS,
    "ytick.color": DOTS,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "legend.facecolor": PAPER,
    "svg.fonttype": "none",
    "svg.hashsalt": "ablations",  # the same figure gives the same bytes
}
PALE = sns.diverging_palette(245, 40, s=75, l=70, center="light", as_cmap=True)  # black numbers stay readable
GREY = SOFT


@contextlib.contextmanager
def _style() -> Iterator[None]:
    """matplotlib's own defaults and `STYLE`: a reader's matplotlibrc may ask for LaTeX, or for other fonts."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """`draw` under `STYLE`, whatever the reader's own matplotlib settings are."""

    @functools.wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with _style():
            return draw(*args, **kwargs)

    return inner


@styled
def effect_forest(effects: Sequence[Effect], differences: pd.DataFrame, controls: frozenset[str], what: str) -> Figure:
    """One row an effect: estimate, 95% interval, and the single differences as faint dots.

    `what` names the axis, in words and unit.  Controls stand below a line.
    """
    effects = [effect for effect in effects if effect.n]
    parts = [[effect for effect in effects if (effect.component in controls) == flag] for flag in (False, True)]
    rows = [*parts[0], *([None] if all(parts) else []), *parts[1]]
    axes = _canvas(0.9 + 0.32 * len(rows))
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_xlim(*_limits(parts[0], parts[1], differences))
    for height, effect in enumerate(rows):
        if effect is None:
            axes.axhline(height, color=LINE, linewidth=0.8, linestyle=":")
        else:
            _forest_row(axes, height, effect, differences_of(differences, effect), effect.component in controls)
    rows_named(axes, ["controls" if effect is None else _row_words(effect) for effect in rows])
    axes.set_xlabel(what)
    axes.grid(axis="x", color=GRID)
    return _figure(axes)


@styled
def learning_curves(
    curves: pd.DataFrame,
    reference: str,
    variants: Sequence[str],
    what: str,
    along: str = "epoch",
    *,
    ranges: bool = False,
) -> Figure:
    """Small multiples: each variant's mean over seeds by epoch on top of the reference's.

    `curves` has the columns variant, seed, epoch, error.  Bands are 95% t intervals over seeds, or where `ranges`,
    as between ensembles that share networks, run from the lowest to the highest.
    `along` names what the column epoch counts.
    """
    variants = list(variants) or [reference]
    count = -(-len(variants) // 2)
    alone = len(variants) == 1
    figure = Figure(figsize=(WIDTH, 2.4 if alone else 0.65 + 1.25 * count), layout="constrained")
    grid = figure.subplots(count, 1 if alone else 2, sharex=True, sharey=True, squeeze=False)
    panels: list[Axes] = list(grid.flat)
    panels[0].xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for panel, variant in zip(panels, variants, strict=False):
        _curve(panel, curves, reference, GREY, "reference", ranges)
        if variant != reference:
            _curve(panel, curves, variant, BLUE, "variant", ranges)
        panel.set_title(wrapped(variant, 25))
        panel.grid(color=GRID)
    for panel in panels[len(variants) :]:
        panel.set_axis_off()
    if len(variants) % 2 and count > 1:
        panels[-3].tick_params(labelbottom=True)  # the panel above the empty one is a last one too
    low, high = curves["error"].min(), curves["error"].max()
    shown = panels[0].get_ylim()  # shared; the band of two seeds may be wider than all that was measured
    margin = 0.3 * (high - low) or 1.0
    panels[0].set_ylim(max(shown[0], low - margin), min(shown[1], high + margin))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, frameon=False)
    figure.supxlabel(along, fontsize=9)
    figure.supylabel(what, fontsize=9)
    return figure


@styled
def gap(means: pd.DataFrame, phase: str) -> Figure:
    """Dumbbells: clean training error (hollow) and `phase` error (filled) of each variant, means over seeds.

    `means` is indexed by the variant's label, with the columns train and evaluation, in percent.
    """
    axes = _canvas(1.15 + 0.27 * len(means))
    heights = np.arange(len(means))
    axes.hlines(heights, means["train"], means["evaluation"], color=LINE, linewidth=2, zorder=1)
    axes.scatter(means["train"], heights, s=26, facecolor=PAPER, edgecolor=ORANGE, linewidth=1.5, label="training")
    axes.scatter(means["evaluation"], heights, s=26, color=BLUE, label=phase)
    rows_named(axes, list(means.index))
    axes.set_xlabel("top-1 error, percent")
    axes.grid(axis="x", color=GRID)
    _figure(axes).legend(loc="outside upper left", ncols=2, frameon=False)
    return _figure(axes)


@styled
def interaction_map(main: Sequence[Effect], interactions: Sequence[Effect], what: str) -> Figure:
    """A triangle: two-way interactions in colour, main effects as plain numbers on the diagonal; in points.

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
            signed(effect.estimate),
            ha="center",
            va="center",
            fontsize=8,
            weight=weight,
            color="black",
        )
    # Main effects are larger as a rule; a quarter of them keeps mere noise among interactions pale.
    limit = max(np.nanmax(np.abs(colours.to_numpy())), 0.25 * max(abs(effect.estimate) for effect in main))
    bar = {"label": what, "shrink": 0.7}
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


def svg(figure: Figure, name: str) -> str:
    """`figure` as an SVG element: same input, same text.  Its ids start with `name`, unique in a page."""
    buffer = io.StringIO()
    with _style():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)


def wrapped(words: str, width: int) -> str:
    """`words` in lines of at most `width` characters where a blank, = or _ allows it."""
    lines = [""]
    for piece in re.split(r"(?<=[=_ ])", words):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _canvas(height: float) -> Axes:
    return Figure(figsize=(WIDTH, height), layout="constrained").add_subplot()


def _figure(axes: Axes) -> Figure:
    figure = axes.figure
    assert isinstance(figure, Figure)
    return figure


def rows_named(axes: Axes, words: Sequence[str]) -> None:
    """Names on the left, the first one on top."""
    axes.set_yticks(range(len(words)), [wrapped(word, 21) for word in words])
    axes.set_ylim(len(words) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def _row_words(effect: Effect) -> str:
    """The change, and how many of both arms' trainings are in no mark of its row, as they failed."""
    return f"{effect.label} ({sum(effect.failed)} of {sum(effect.ended)} failed)" if effect.unstable else effect.label


def _limits(effects: Sequence[Effect], controls: Sequence[Effect], differences: pd.DataFrame) -> tuple[float, float]:
    """Limits that show the effects well: a control, or an interval from two pairs, may lie beyond them."""
    spans = [_span(effect, differences) for effect in effects] or [_span(effect, differences) for effect in controls]
    low, high = min(0.0, *(span[0] for span in spans)), max(0.0, *(span[1] for span in spans))
    for effect in controls:
        below, above = _span(effect, differences)
        if max(high, above) - min(low, below) <= 1.5 * (high - low):
            low, high = min(low, below), max(high, above)
    margin = max(0.06 * (high - low), 0.1)
    return low - margin, high + margin


def _span(effect: Effect, differences: pd.DataFrame) -> tuple[float, float]:
    values = [effect.estimate, *differences_of(differences, effect)]
    values += [effect.low, effect.high] if effect.n > 2 and np.isfinite(effect.low) else []
    return min(values), max(values)


def _forest_row(axes: Axes, height: int, effect: Effect, single: Sequence[float], control: bool) -> None:
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
        word = signed(effect.estimate)
        axes.annotate(word, place, away, textcoords="offset points", ha=side, va="center", fontsize=8)


def _curve(axes: Axes, curves: pd.DataFrame, variant: str, colour: str, label: str, ranges: bool) -> None:
    rows = curves[curves["variant"] == variant]
    if rows.empty:
        return
    by_epoch = rows.groupby("epoch")["error"]
    bands = by_epoch.agg(["mean", "min", "max"])
    if not ranges:
        bands[["mean", "min", "max"]] = [mean_interval(errors) for _, errors in by_epoch]
    axes.fill_between(bands.index, bands["min"], bands["max"], color=colour, alpha=0.25, linewidth=0)
    marker = "o" if len(bands) < 3 else None
    width = 2.0 if label == "reference" else 1.4
    axes.plot(bands.index, bands["mean"], color=colour, linewidth=width, marker=marker, markersize=3, label=label)
