"""Where a noisy curve is lowest: exact on a parabola, unmoved by what is far, and as uncertain as it says."""

from __future__ import annotations

import numpy as np
import pytest

from ablations.analysis.parabola import Point, lowest


def points(places: list[float], *curves: list[float]) -> list[Point]:
    """A curve a seed, as points."""
    return [Point(at=at, outcomes=outcomes) for at, outcomes in zip(places, zip(*curves, strict=True), strict=True)]


def test_a_parabola_is_found_however_its_points_lie_and_whatever_a_seed_adds_everywhere() -> None:
    places = [-2.0, 0.0, 0.5, 1.5]
    curve = [20 + 3 * (at - 0.3) ** 2 for at in places]
    found = lowest(points(places, curve, [one + 5 for one in curve], [one - 5 for one in curve]))
    assert found is not None
    assert found.at == pytest.approx(0.3)
    assert found.value == pytest.approx(20)
    assert found.cost == pytest.approx(0)


def test_the_neighbours_end_with_the_first_that_is_clearly_higher() -> None:
    # Seeds scatter by .1 around each other, so the points that lie 1.2 above the lowest are the last that count.
    places = [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]
    curve = [9.0, 1.2, 0.2, 0.0, 0.2, 1.2, 9.0]
    noise = [0.1, -0.1, 0.0, 0.1, -0.1, 0.1, 0.0]
    seeds = [[one + shift * noise[index] for index, one in enumerate(curve)] for shift in (1, -1, 0)]
    found = lowest(points(places, *seeds))
    assert found is not None and found.points == 5
    # What lies behind them changes nothing.
    wall = lowest(points(places, *[[*one[:-1], 90.0] for one in seeds]))
    assert wall is not None and wall.points == 5
    assert wall.at == pytest.approx(found.at, abs=1e-9) and wall.value == pytest.approx(found.value)
    # Where seeds scatter as much as the curve rises, all count.
    loud = [[one + 30 * shift * noise[index] for index, one in enumerate(curve)] for shift in (1, -1, 0)]
    all_of_it = lowest(points(places, *loud))
    assert all_of_it is not None and all_of_it.points == 7


def test_one_collapsed_training_does_not_pass_for_scatter() -> None:
    places = [-2.0, -1.0, 0.0, 1.0, 2.0]
    random = np.random.default_rng(3)
    seeds = [[20 + 2 * at**2 + random.normal(0, 0.2) for at in places] for _ in range(3)]
    calm = lowest(points(places, *seeds))
    seeds[1][4] = 90.0
    collapsed = lowest(points(places, *seeds))
    assert calm is not None and collapsed is not None
    assert collapsed.points <= 5 and collapsed.at == pytest.approx(calm.at, abs=0.1)


def test_where_there_is_no_lowest_place_none_is_made_up() -> None:
    assert lowest(points([0.0, 1.0], [1.0, 2.0], [1.0, 2.0])) is None  # two points
    assert lowest(points([0.0, 1.0, 2.0], [2.0, 1.0, 2.0])) is None  # one seed
    hill = [[1.0, 1.5, 1.2], [1.0, 3.1, 1.0], [1.6, 2.0, 1.9]]
    assert lowest(points([0.0, 1.0, 2.0], *hill)) is None


def test_the_place_does_not_leave_what_was_measured() -> None:
    falling = [[5.0, 3.0, 2.0], [7.0, 2.0, 3.0], [3.0, 4.0, 1.0]]  # on average towards 1.8 at 2.3
    found = lowest(points([0.0, 1.0, 2.0], *falling))
    assert found is not None and found.at == 2.0


def test_the_cost_is_what_the_place_costs_on_average_over_made_up_measurements() -> None:
    random, bend, places = np.random.default_rng(1), 2.0, np.array([-1.2, -0.6, 0.1, 0.6, 1.3])
    true, said = [], []
    for _ in range(400):
        common = random.normal(0, 1, (3, 1))  # of a seed, at every place: moves no place
        outcomes = bend * places**2 + common + random.normal(0, 0.5, (3, places.size))
        found = lowest([Point(at=at, outcomes=tuple(values)) for at, values in zip(places, outcomes.T, strict=True)])
        assert found is not None
        true.append(bend * found.at**2)
        said.append(found.cost)
    assert np.mean(said) == pytest.approx(np.mean(true), rel=0.25)
