"""Calibration of tuning: where no change has an effect, a tuned study seldom tells a direction.

Larger numbers, which reports/README.md shows: python -m ablations.calibrate tuning.
"""

from __future__ import annotations

import pytest
from scipy import stats

from ablations.calibration.tuning import CURVES, PROCEDURES, TunedTally, simulate, table

OURS, BEST_OF_THREE, BEST_OF_ONE = PROCEDURES
FLAT, MEDIUM, STEEP, LOPSIDED = CURVES


def within(count: int, of: int, low: float, high: float) -> bool:
    """Whether a count of so many fits a rate between the two: beyond, it would come about once in a thousand."""
    return bool(stats.binom.sf(count - 1, of, high) > 0.001 and stats.binom.cdf(count, of, low) > 0.001)


@pytest.mark.parametrize("curve", [FLAT, STEEP])
def test_a_family_without_effects_gets_a_wrong_direction_about_as_seldom_as_the_rule_says(curve: str) -> None:
    found = simulate(curve, OURS, studies=150)
    assert within(found.wrong_direction, found.studies, 0.0, 0.05)
    assert found.covered / (found.studies * found.claims) > 0.93


def test_with_one_training_a_rate_it_got_one_in_a_quarter_of_studies() -> None:
    found = simulate(MEDIUM, BEST_OF_ONE, studies=150)
    assert within(found.wrong_direction, found.studies, 0.2, 0.35)
    assert not within(found.wrong_direction, found.studies, 0.0, 0.05)


def test_where_the_curve_is_no_parabola_the_parabola_still_does_better_than_the_best_of_those_tried() -> None:
    ours, best = simulate(LOPSIDED, OURS, studies=100), simulate(LOPSIDED, BEST_OF_THREE, studies=100)
    assert ours.missed < 0.8 * best.missed
    assert within(ours.wrong_direction, ours.studies, 0.0, 0.08)


def test_a_tally_depends_on_its_seed_alone() -> None:
    first = simulate(MEDIUM, OURS, studies=3, claims=2)
    assert simulate(MEDIUM, OURS, studies=3, claims=2) == first
    assert simulate(MEDIUM, OURS, studies=3, claims=2, seed=1) != first


def test_the_table_is_in_per_cent() -> None:
    tally = TunedTally(curve=FLAT, procedure=OURS, studies=100, claims=2, wrong_direction=5, covered=190, missed=0.02)
    assert table([tally]).splitlines()[2] == f"| {FLAT} | {OURS} | 5.0 ± 2.2 | 95.0 ± 1.5 | 0.020 |"
