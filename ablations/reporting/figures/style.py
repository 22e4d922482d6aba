"""The style of all figures, and figures as SVG, PNG and PDF.

Figures are 4.2 inches wide, so that their text can still be read on a telephone.  They use no state of pyplot, and
every interval in them was computed by us, none by a plotting library.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import exp, inf, log
from typing import IO, Any, ParamSpec, TypeVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ablations.reporting.theme import light

P = ParamSpec("P")
R = TypeVar("R")
WIDTH = 4.2  # inches
LARGEST_POWER = 300  # the largest power of ten on an axis: a float holds little more
MOST_POWERS = 12  # about the most ticks on an axis that are powers of ten
PAPER, INK, GREY, DOTS, LINE, GRID = map(light, ("paper", "ink", "soft", "dots", "line", "grid"))
BLUE, ORANGE, GREEN = map(light, ("blue", "orange", "green"))
STYLE: Any = {
    "font.size": 10.5,
    "axes.titlesize": 10.5,
    "axes.labelsize": 10.5,
    "xtick.labelsize": 10.2,
    "ytick.labelsize": 10.2,
    "legend.fontsize": 10.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": DOTS,
    "axes.labelcolor": INK,
    "text.color": INK,
    "text.parse_math": False,  # a $ in a user's names is not the start of a formula
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
    "pdf.fonttype": 42,
    "svg.hashsalt": "ablations",  # fixes the ids, which are random otherwise
}


def under_style(draw: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Calls `draw` under matplotlib's defaults and `STYLE`: a user's matplotlibrc may ask for LaTeX or other fonts."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        return draw(*args, **kwargs)


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorates a function that draws: it runs under `STYLE`, whatever the user's own matplotlib settings are."""

    @functools.wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> Figure:
        return under_style(draw, *args, **kwargs)

    return inner


def svg(figure: Figure, name: str) -> str:
    """Returns `figure` as an SVG element, the same text for the same figure.  Its ids start with `name`."""
    buffer = io.StringIO()
    under_style(figure.savefig, buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)


def png(figure: Figure, file: IO[bytes]) -> None:
    """Writes `figure` as PNG with 192 dots an inch: the same bytes for the same figure and matplotlib."""
    under_style(figure.savefig, file, format="png", dpi=192, metadata={"Software": None})


def pdf(figure: Figure, file: IO[bytes]) -> None:
    """Writes `figure` as PDF, with text as text: the same bytes for the same figure and matplotlib."""
    under_style(figure.savefig, file, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})


def wrapped(words: str, width: int) -> str:
    """Returns `words` broken into lines of at most `width` characters, at a blank, = or _; longer words stay whole."""
    lines = [""]
    for piece in re.split(r"(?<=[=_ ])", words):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def canvas(height: float) -> Axes:
    """Returns the axes of a new figure, `WIDTH` wide and so high, in inches."""
    return Figure(figsize=(WIDTH, height), layout="constrained").add_subplot()


def figure_of(axes: Axes) -> Figure:
    """Returns the figure that `axes` are in, which matplotlib's types do not promise."""
    figure = axes.figure
    assert isinstance(figure, Figure)
    return figure


def ratios_along(axis: Axis, low: float, high: float) -> None:
    """Labels an axis of natural logarithms, from `low` to `high`, with round numbers that they are logarithms of."""
    span = max(high - low, 1e-9)
    if span > log(20) or max(-low, high) > LARGEST_POWER * log(10):
        ends = low / log(10) - 1, high / log(10) + 1
        first, last = (max(-LARGEST_POWER, min(int(end), LARGEST_POWER)) for end in ends)
        every = 1 + (last - first) // MOST_POWERS
        powers = [power for power in range(first, last + 1) if power % every == 0]
        steps = (1, 2, 5) if span < log(1e4) else (1,)
        round_ones = [step * 10.0**power for power in powers for step in steps]
    else:
        round_ones = [one for one in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(exp(low), exp(high)) if one > 0]
    within = [one for one in round_ones if low <= log(one) <= high]
    axis.set_ticks([log(one) for one in within], tick_labels(within))


def tick_labels(values: Sequence[float]) -> list[str]:
    """Writes the numbers of an axis with four figures, or with as many as tell neighbours apart."""
    step = min((abs(right - left) for left, right in pairwise(values)), default=inf)
    exact = (
        figures
        for figures in range(4, 16)
        if all(abs(float(f"{one:.{figures}g}") - one) <= step / 100 for one in values)
    )
    figures = next(exact, 4)
    return [f"{one:,.{figures}g}" for one in values]


def rows_named(axes: Axes, words: Sequence[str]) -> None:
    """Labels the rows of a figure on the left, from the top."""
    axes.set_yticks(range(len(words)), [wrapped(word, 21) for word in words])
    axes.set_ylim(len(words) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
