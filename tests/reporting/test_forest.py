"""The forest of effects: what it shows, and that nothing is left out of it without an arrow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ablations.reporting.figures.forest import WIDE, Row, cut, forest


def row(estimate: float, *single: float) -> Row:
    return Row(name="a", estimate=estimate, low=estimate - 0.5, high=estimate + 0.5, written="", single=single, pairs=9)


def drawn(*rows: Row) -> Figure:
    return forest(rows, axis="change in error", lower_is_better=True, ratios=False, shape=WIDE)


def points(figure: Figure) -> list[float]:
    """Where marks of all kinds lie along the axis, in order."""
    (axes,) = figure.axes
    marks = [one for one in axes.collections if isinstance(one, PathCollection)]
    return sorted(float(x) for one in marks for x, _ in one.get_offsets().tolist())  # type: ignore[union-attr]


@pytest.mark.parametrize("far", [1.9, -0.9])
def test_single_differences_outside_all_intervals_widen_the_axis(far: float) -> None:
    rows = row(1.0, 0.4, 1.2, far), row(0.3, 0.2)
    low, high = drawn(*rows).axes[0].get_xlim()
    assert low < far < high
    assert not cut(rows)


@pytest.mark.parametrize("far", [60.0, -60.0])
def test_what_would_squeeze_the_intervals_is_an_arrow_at_the_edge(far: float) -> None:
    rows = row(1.0, 0.4, 1.2, far), row(0.3, 0.2)
    figure = drawn(*rows)
    low, high = figure.axes[0].get_xlim()
    assert high - low < 5 and cut(rows)
    shown = points(figure)
    assert (high if far > 0 else low) in shown
    assert len(shown) == 2 + 3 + 1  # two effects, three dots, and the arrow for the fourth


def test_a_band_reaches_to_the_margin_on_both_sides_or_to_the_edge_of_the_axis() -> None:
    rows = [replace(row(1.0), margin=0.25), row(0.5), replace(row(0.2), margin=9.0)]
    (axes,) = drawn(*rows).axes
    bands = [one for one in axes.patches if isinstance(one, Rectangle)]
    found = [(one.get_y() + one.get_height() / 2, one.get_x(), one.get_x() + one.get_width()) for one in bands]
    assert found == [pytest.approx((0, -0.25, 0.25)), pytest.approx((2, *axes.get_xlim()))]
    assert axes.get_xlim()[1] < 2
