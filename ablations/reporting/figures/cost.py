"""The figures of cost: variants relative to the reference, and error against cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablations.reporting.figures.style import BLUE, DOTS, GRID, INK, ORANGE, PAPER, WIDTH, rows_named, styled, wrapped


@styled
def cost(ratios: pd.DataFrame) -> Figure:
    """Draws each variant relative to the reference: time an epoch, parameters, multiply-accumulates.

    `ratios` is indexed by the variant's name; its columns are time, time_low, time_high, parameters and macs.
    """
    figure = Figure(figsize=(WIDTH, 0.9 + 0.27 * len(ratios)), layout="constrained")
    panels: list[Axes] = list(figure.subplots(1, 3, sharey=True).flat)
    heights = np.arange(len(ratios))
    panels[0].hlines(heights, ratios["time_low"], ratios["time_high"], color=BLUE, alpha=0.4, linewidth=2)
    for panel, column, name in zip(
        panels, ("time", "parameters", "macs"), ("time", "parameters", "multiply-adds"), strict=True
    ):
        panel.axvline(1, color=INK, linewidth=1)
        panel.scatter(ratios[column], heights, s=22, color=BLUE, zorder=3)
        panel.set_title(name)
        panel.grid(axis="x", color=GRID)
        _pad_around(panel, ratios[[name for name in ratios if str(name).startswith(column)]].to_numpy(dtype=float))
        panel.tick_params(axis="y", length=0)
    rows_named(panels[0], list(ratios.index))
    figure.supxlabel("times the reference", fontsize=10.2)
    return figure


@styled
def pareto(points: pd.DataFrame, fronts: Mapping[str, Sequence[str]], what: str) -> Figure:
    """Draws error against multiply-accumulates, and against time: a point a variant, those of the front joined.

    `points` is indexed by the variant's name, with the columns error (percent), macs and seconds; `fronts` maps macs
    and seconds to the names on their front; `what` is the label of the error's axis.
    """
    figure = Figure(figsize=(WIDTH, 5.4), layout="constrained")
    panels = figure.subplots(2, 1)
    axes_of = {"macs": "multiply-accumulates of one image, millions", "seconds": "seconds an epoch"}
    for panel, (cost, name) in zip(panels, axes_of.items(), strict=True):
        along = points[cost] / (1e6 if cost == "macs" else 1)
        best = list(fronts[cost])
        panel.scatter(along, points["error"], s=22, facecolor=PAPER, edgecolor=DOTS)
        panel.plot(along[best], points["error"][best], color=ORANGE, linewidth=1.2, drawstyle="steps-post", zorder=1)
        panel.scatter(along[best], points["error"][best], s=28, color=ORANGE, zorder=3)
        marks = {label: str(place) for place, label in enumerate(best, 1)}
        for label, word in ({"reference": "reference"} | marks).items():
            if label in points.index:
                place = (along[label], points["error"][label])
                panel.annotate(word, place, (5, 4), textcoords="offset points", fontsize=10.2)
        panel.set_title(wrapped("front: " + ", ".join(f"{word} {label}" for label, word in marks.items()), 58))
        panel.margins(x=0.12, y=0.12)
        panel.set_xlabel(name)
        panel.grid(color=GRID)
    figure.supylabel(what, fontsize=10.2)
    return figure


def _pad_around(axes: Axes, ratios: np.ndarray) -> None:
    """Sets limits around the ratios and 1, at least from 0.9 to 1.1, so that noise does not look like a finding."""
    finite = ratios[np.isfinite(ratios)]
    low, high = min([0.9, *finite]), max([1.1, *finite])
    margin = 0.12 * (high - low)
    axes.set_xlim(low - margin, high + margin)
