"""Draws the picture of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from ablations.bench.summary import Bar
from ablations.reporting.figures.style import BLUE, INK, LINE, WIDTH, rows_named, styled


@styled
def bench(bars: Sequence[Bar]) -> Figure:
    """Draws a panel for each network: speed as a multiple of plain PyTorch's, with the range over the rounds."""
    nets = list(dict.fromkeys(bar.net for bar in bars))
    counts = [sum(bar.net == net for bar in bars) for net in nets]
    figure = Figure(figsize=(WIDTH, 0.5 + 0.36 * sum(counts) + 0.35 * len(nets)), layout="constrained")
    panels = figure.subplots(len(nets), 1, sharex=True, squeeze=False, height_ratios=counts).flat
    for panel, net in zip(panels, nets, strict=True):
        rows = [bar for bar in bars if bar.net == net]
        for height, bar in enumerate(rows):
            panel.barh(height, bar.times.median, height=0.7, color=BLUE if bar.ours else LINE)
            panel.hlines(height, bar.times.low, bar.times.high, color=INK, linewidth=1)
            words = f"{bar.times.median:.2f} times, {bar.images_per_second:,.0f} images/s"
            panel.annotate(
                words, (bar.times.high, height), (5, 0), textcoords="offset points", va="center", fontsize=7.5
            )
        rows_named(panel, [bar.contender for bar in rows])
        panel.set_title(net)
        panel.set_xlim(0, 2.1 * max(bar.times.high for bar in bars))  # room for the words
    figure.supxlabel("images a second, times plain PyTorch", fontsize=9)
    return figure
