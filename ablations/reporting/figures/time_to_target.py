"""The figures of a race to a training error, and of the learning rates that were tuned for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ablations.analysis.tuning import came_to
from ablations.core.tuning import Tuning, outcome, outcome_of
from ablations.reporting.figures.style import BLUE, GREEN, GREY, GRID, ORANGE, PAPER, canvas, figure_of, styled
from ablations.reporting.theme import light

COLOURS = (ORANGE, GREEN, light("purple"), light("brown"))
DASHED = (0, (4, 2))


@styled
def race(
    reference: Sequence[Sequence[tuple[int, float]]],
    others: Mapping[str, Sequence[Sequence[tuple[int, float]]]],
    threshold: float,
    guessing: float,
) -> Figure:
    """Draws training error against steps, a thin line a seed: the reference solid, changes dashed.

    Lines are (step, error in percent), and begin at step 0 with the error of `guessing`, if that is known and their
    first reading is not above it.  One that ends above the threshold was stopped by its budget, and ends in a cross.
    """
    axes = canvas(2.9)
    axes.axhline(threshold, color=GREY, linewidth=0.8, linestyle=":")
    for seeds, colour, style, label in (
        (reference, BLUE, "-", "reference"),
        *((seeds, colour, DASHED, label) for (label, seeds), colour in zip(others.items(), COLOURS * 9, strict=False)),
    ):
        for number, readings in enumerate(seeds):
            first = [(0, guessing)] if readings[0][1] <= guessing else []
            steps, errors = _columns([*first, *readings])
            axes.plot(steps, errors, color=colour, linestyle=style, linewidth=0.9, label=label if not number else None)
            if errors[-1] > threshold:
                axes.plot(steps[-1:], errors[-1:], color=colour, marker="x", markersize=6)
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.set_xlabel("optimiser steps")
    axes.set_ylabel("training error, percent")
    axes.grid(color=GRID)
    axes.legend(frameon=False, loc="upper right")
    return figure_of(axes)


@styled
def rates(tuning: Tuning, what: str, names: Mapping[str, str]) -> Figure:
    """Draws the mean result at each learning rate, a line an arm; the chosen rate has a ring, single trials are dots.

    Hollow triangles are trials that ended before they reached the target, at the steps that they had taken.
    """
    timed = tuning.setting.target is not None
    axes = canvas(2.6)
    for arm, colour in zip(tuning.arms, (BLUE, *COLOURS * 9), strict=False):
        tried = [(one, outcome(tuning, one)) for one in sorted(arm.attempts, key=lambda one: one.factor)]
        came = [(one.factor, value) for one, value in tried if value is not None]
        single = [(one.factor, trial, outcome_of(tuning, trial)) for one in arm.attempts for trial in one.trials]
        lost = [(factor, trial.steps) for factor, trial, value in single if value is None and trial.steps]
        label = names[arm.variant.label]
        axes.plot(*_columns(came), color=colour, marker="o", markersize=4, linewidth=1.2, label=label)
        if tuning.seeds > 1:
            dots = [(factor, value) for factor, _, value in single if value is not None]
            axes.scatter(*_columns(dots), s=7, color=colour, alpha=0.5, linewidth=0)
        axes.scatter(*_columns(lost), marker="^", s=26, facecolor=PAPER, edgecolor=colour, zorder=3)
        value = came_to(tuning, arm)
        chosen = [(arm.factor, value)] if value is not None else []
        axes.scatter(*_columns(chosen), s=90, facecolor="none", edgecolor=colour, zorder=4)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda factor, _: f"{factor:g}"))
    if timed:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda steps, _: f"{steps:,.0f}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("learning rate, times the arm's own")
    axes.set_ylabel(what)
    axes.grid(color=GRID)
    axes.legend(frameon=False)
    return figure_of(axes)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
