"""The forest plot: effects with their intervals and numbers, from the most harmful to the most helpful."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite, nan
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablations.analysis.ranking import BETTER, NEGLIGIBLE, UNDECIDED, WORSE
from ablations.reporting.figures.style import BLUE, DOTS, GREY, GRID, INK, ORANGE, PAPER, ratios_along, styled, wrapped
from ablations.reporting.theme import light

LINE = 0.2  # height of a line of text in the stacked layout, in inches
FITS = 44  # characters on such a line
FAR = 6.0  # effects that lie this many times as far out as most others are arrows at the edge
BAND = light("line")  # of what is too small to matter
COLOURS = {BETTER: BLUE, WORSE: ORANGE, UNDECIDED: GREY, NEGLIGIBLE: INK}
MEANINGS = {  # of the colours, in words, in the order of a caption
    WORSE: "orange clearly worse",
    BETTER: "blue clearly better",
    NEGLIGIBLE: "black no difference that matters",
    UNDECIDED: "grey undecided",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One effect: its name, its place on the axis, and its number in words."""

    name: str
    estimate: float
    low: float  # lower end of its interval; nan: it has none
    high: float
    written: str  # estimate and interval as text
    side: int = UNDECIDED  # BETTER, WORSE, UNDECIDED or NEGLIGIBLE
    pairs: int = 3  # number of paired differences
    single: tuple[float, ...] = ()  # the difference of each seed
    margin: float = nan  # an effect that is smaller than this is of no interest; nan: nothing was claimed of it


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The size and layout of a forest plot.  Lengths are in inches, `font` in points."""

    width: float  # of the figure
    row: float  # height of a row
    font: float
    stacked: bool = False  # whether names and numbers stand above the bars, for narrow screens, and not beside them
    wrap: int = 44  # most characters of a name on one line


WIDE = Shape(width=11.0, row=0.36, font=11)
NARROW = Shape(width=4.2, row=0.6, font=11, stacked=True)


@styled
def forest(
    rows: Sequence[Row], *, axis: str, lower_is_better: bool, ratios: bool, shape: Shape = WIDE, title: str = ""
) -> Figure:
    """Draws a row an effect: a mark, its 95% interval and its number, in the colour of its side, before its margin.

    `axis` says what is drawn, with its unit.  With `ratios`, all numbers are logarithms, and the axis shows the
    ratios.  An effect far beyond the others is an arrow at the edge.
    """
    top = 0.75 if title else 0.15
    if shape.stacked:
        shape = replace(shape, row=shape.row + LINE * (max(len(_words(row)) for row in rows) - 1))
    figure = Figure(figsize=(shape.width, top + 0.8 + shape.row * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    low, high = _limits(rows)
    axes.set_xlim(low, high)
    for height in range(len(rows)):  # in pieces: in the stacked layout a whole line would run through the names
        axes.vlines(0, height - (0.2 if shape.stacked else 0.6), height + 0.4, color=INK, linewidth=1)
    for height, row in enumerate(rows):
        _draw(axes, height, row, shape)
    axes.set_ylim(len(rows) - 0.4, -0.9 if shape.stacked else -0.6)
    axes.tick_params(axis="y", length=0, pad=shape.font)  # leaves room for an arrow at the edge
    axes.tick_params(axis="x", labelsize=shape.font - 0.5)
    if shape.stacked:
        axes.set_yticks([])
    else:
        axes.set_yticks(range(len(rows)), [wrapped(row.name, shape.wrap) for row in rows], fontsize=shape.font)
    left, right = ("better", "worse") if lower_is_better else ("worse", "better")
    ends = f"\N{LEFTWARDS ARROW} {left}", f"{right} \N{RIGHTWARDS ARROW}"
    text = f"{wrapped(axis, 40)}\n{' | '.join(ends)}" if shape.stacked else f"{ends[0]} | {axis} | {ends[1]}"
    axes.set_xlabel(text, fontsize=shape.font)
    axes.spines["left"].set_visible(False)
    if ratios:
        ratios_along(axes.xaxis, low, high)
    axes.grid(axis="x", color=GRID)
    if title:
        figure.suptitle(wrapped(title, 78), fontsize=shape.font + 6, x=0.01, ha="left")
    return figure


def _draw(axes: Axes, height: int, row: Row, shape: Shape) -> None:
    low, high = axes.get_xlim()
    colour, scale = COLOURS[row.side], shape.font / 11
    if isfinite(row.margin):
        inside = max(-row.margin, low), min(row.margin, high)
        axes.barh(height, inside[1] - inside[0], 0.3, inside[0], color=BAND, alpha=0.6, linewidth=0, zorder=0.5)
    shown = [one for one in row.single if low <= one <= high]
    axes.scatter(shown, [height + 0.2] * len(shown), s=7 * scale, color=DOTS, linewidth=0, alpha=0.7)
    _arrows(axes, height + 0.2, row.single, s=14 * scale, color=DOTS, linewidth=0)
    if isfinite(row.low) and row.low < high and row.high > low:
        axes.hlines(height, max(row.low, low), min(row.high, high), color=colour, linewidth=3 * scale)
    _arrows(axes, height, _ends(row), s=40 * scale, color=[colour], zorder=4)
    if low <= row.estimate <= high:
        axes.scatter([row.estimate], [height], s=50 * scale**2, color=[colour], zorder=4)
    where = axes.get_yaxis_transform()
    weight = "bold" if row.side else "normal"
    if shape.stacked:
        above = height - 0.14 / shape.row
        number = axes.text(1, above, row.written, transform=where, ha="right", va="bottom", weight=weight)
        number.set_fontsize(shape.font)
        number.set_bbox({"facecolor": PAPER, "edgecolor": "none", "pad": 0.5})  # over guide lines
        for line in reversed(_words(row)):
            axes.text(0, above, line, transform=where, va="bottom", fontsize=shape.font, color=INK)
            above -= LINE / shape.row
    else:
        axes.text(1.02, height, row.written, transform=where, va="center", fontsize=shape.font, weight=weight)


def _words(row: Row) -> list[str]:
    """Returns the lines of a row's name in the stacked layout; the last one leaves room for the number."""
    lines = wrapped(row.name, FITS).split("\n")
    return lines if len(lines[-1]) + len(row.written) < FITS else [*lines, ""]


def cut(rows: Sequence[Row]) -> bool:
    """Tells whether something lies beyond the axis of these rows, and so is an arrow at its edge."""
    low, high = _limits(rows)
    return any(not low <= one <= high for row in rows for one in (*_ends(row), *row.single))


def _arrows(axes: Axes, height: float, values: Sequence[float], **how: Any) -> None:
    """Draws an arrow at each edge of the axis beyond which a value lies."""
    low, high = axes.get_xlim()
    if min(values, default=low) < low:
        axes.scatter([low], [height], marker="<", clip_on=False, **how)
    if max(values, default=high) > high:
        axes.scatter([high], [height], marker=">", clip_on=False, **how)


def _ends(row: Row) -> tuple[float, float]:
    """Returns the ends of the interval; the estimate twice if there is none."""
    return (row.low, row.high) if isfinite(row.low) else (row.estimate, row.estimate)


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    """Returns the limits of the axis.

    They hold all effects, unless some lie `FAR` times as far out as two thirds of the effects or more.  They hold the
    single differences too, unless that would make the axis more than twice as wide as the effects need.
    """
    spans = [_span(one) for one in rows]
    reach = sorted(max(map(abs, span)) for span in spans)
    near = reach[-1]
    for place, (inner, outer) in enumerate(pairwise(reach), start=1):
        if place >= 2 * len(reach) / 3 and outer > FAR * inner > 0:
            near = inner
            break
    shown = [one for span in spans for one in span if abs(one) <= near]
    beyond = [near if one.estimate > 0 else -near for one in rows if abs(one.estimate) > near]
    low, high = min(0.0, *shown, *beyond), max(0.0, *shown, *beyond)
    single = [one for row in rows if abs(row.estimate) <= near for one in row.single]
    wide = min([low, *single]), max([high, *single])
    if wide[1] - wide[0] <= 2 * (high - low):
        low, high = wide
    width = high - low or 1.0
    return low - 0.06 * width, high + 0.06 * width


def _span(row: Row) -> tuple[float, float]:
    """Returns what the axis should hold of a row: its interval, or the estimate alone.

    The interval of two pairs is so wide that it would hide all other rows.
    """
    return _ends(row) if row.pairs > 2 else (row.estimate, row.estimate)
