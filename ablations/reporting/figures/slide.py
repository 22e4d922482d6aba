"""The figure of a slide."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablations.core.effect import Effect
from ablations.reporting.figures.style import BLUE, GREY, GRID, INK, ORANGE, PAPER, ratios_along, styled, wrapped

WIDTH, HEIGHT = 13.33, 7.5  # inches: sixteen to nine
SIZE, SMALL, LARGE = 18, 14, 24  # points
FAR = 3.0  # an effect so many times as far out as the others is an arrow at the edge


@styled
def slide(
    effects: Sequence[Effect],
    names: Sequence[str],
    written: Sequence[str],
    *,
    title: str,
    axis: str,
    lower_is_better: bool,
    ratios: bool,
    method: str,
) -> Figure:
    """A row an effect, the largest on top: the estimate, its interval and its number; orange is worse, blue better.

    `written` are the estimates in words; where `ratios`, they are logarithms, labelled with what they are of.  What
    does not exclude zero is grey.  An effect far beyond the others is an arrow with its number.
    """
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.add_subplot()
    low, high = _limits(effects)
    axes.set_xlim(low, high)
    axes.axvline(0, color=INK, linewidth=1.5)
    for height, (effect, words) in enumerate(zip(effects, written, strict=True)):
        _row(axes, height, effect, words, lower_is_better)
    axes.set_yticks(range(len(effects)), [wrapped(name, 28) for name in names], fontsize=SIZE)
    axes.set_ylim(len(effects) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, pad=12)  # beside an arrow at the edge
    axes.tick_params(axis="x", labelsize=SMALL)
    left, right = ("better", "worse") if lower_is_better else ("worse", "better")
    axes.set_xlabel(f"\N{LEFTWARDS ARROW} {left}      {axis}      {right} \N{RIGHTWARDS ARROW}", fontsize=SIZE)
    if ratios:
        ratios_along(axes.xaxis, low, high)
    axes.grid(axis="x", color=GRID)
    figure.suptitle(wrapped(title, 70), fontsize=LARGE, x=0.01, ha="left")
    figure.supxlabel(method, fontsize=SMALL, color=GREY, x=0.99, ha="right")
    return figure


def _row(axes: Axes, height: int, effect: Effect, words: str, lower_is_better: bool) -> None:
    low, high = axes.get_xlim()
    worse = (effect.estimate > 0) == lower_is_better
    sure = effect.low > 0 or effect.high < 0
    colour = (ORANGE if worse else BLUE) if sure else GREY
    room = 0.012 * (high - low)
    if low < effect.estimate < high:
        if isfinite(effect.low):
            axes.hlines(height, max(effect.low, low), min(effect.high, high), color=colour, linewidth=5)
        axes.scatter([effect.estimate], [height], s=170, color=[colour], zorder=3)
        end = min(effect.high, high) if isfinite(effect.high) else effect.estimate
        where, side = end + 2 * room, "left"
    else:
        edge, marker = (low, "<") if effect.estimate <= low else (high, ">")
        axes.scatter([edge], [height], s=220, color=[colour], marker=marker, clip_on=False, zorder=3)
        where, side = (edge + 2 * room, "left") if marker == "<" else (edge - 2 * room, "right")
    box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1}
    axes.text(where, height, words, ha=side, va="center", fontsize=SIZE, color=INK, bbox=box, zorder=2)


def _limits(effects: Sequence[Effect]) -> tuple[float, float]:
    """Of the axis, which shows all effects but those `FAR` times as far out as two thirds of them or more."""
    spans = [_span(one) for one in effects]
    reach = sorted(max(map(abs, span)) for span in spans)
    near = reach[-1]
    for place, (inner, outer) in enumerate(pairwise(reach), start=1):
        if place >= 2 * len(reach) / 3 and outer > FAR * inner > 0:
            near = inner
            break
    shown = [one for span in spans for one in span if abs(one) <= near]
    beyond = [near if one.estimate > 0 else -near for one in effects if abs(one.estimate) > near]
    low, high = min(0.0, *shown, *beyond), max(0.0, *shown, *beyond)
    width = high - low or 1.0
    return low - 0.08 * width, high + 0.12 * width  # with room for numbers


def _span(effect: Effect) -> tuple[float, float]:
    return (effect.low, effect.high) if isfinite(effect.low) else (effect.estimate, effect.estimate)
