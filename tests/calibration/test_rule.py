"""Calibration: on made-up studies of known truth, verdicts are wrong no oftener than the rule says.

Larger numbers, which reports/README.md shows: python -m ablations.calibrate.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from ablations.analysis.rule import CALLS, CONTRADICTED, DIRECTION_ONLY, INCONCLUSIVE, NO_EFFECT, REPRODUCED
from ablations.calibration.rule import CROSSED, SCENARIOS, Tally, simulate, table, wrong


def at_most(count: int, of: int, rate: float) -> bool:
    """Whether a count of so many fits a rate of at most `rate`: it would not be reached once in a thousand."""
    return bool(stats.binom.sf(count - 1, of, rate) > 0.001)


def test_where_nothing_has_an_effect_a_family_errs_at_its_rate_and_intervals_hold() -> None:
    found = simulate("no effect anywhere", studies=150, seeds=5, claims=5)
    assert at_most(found.wrong_direction, found.studies, 0.05)
    assert found.wrong_size == 0
    assert at_most(found.studies - found.covered_all, found.studies, 0.05)
    share = found.covered / (found.studies * found.claims)
    assert 0.92 < share < 0.98
    assert found.calls[NO_EFFECT] > 0 and sum(found.calls.values()) == 150 * 5


@pytest.mark.parametrize("scenario", ["a hair below the margin", "opposite, at the margin"])
def test_at_the_edges_of_the_margin_sizes_are_wrong_no_oftener_than_the_rule_says(scenario: str) -> None:
    found = simulate(scenario, studies=150, seeds=6, claims=4, scatter=1.0)
    assert at_most(found.wrong_size, found.studies, 0.05)
    assert at_most(found.wrong_direction, found.studies, 0.05)


@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name.startswith("factorial")])
def test_factorials_whose_effects_differ_between_seeds_err_at_the_rules_rate_and_their_intervals_hold(
    scenario: str,
) -> None:
    found = simulate(scenario, studies=60, seeds=5)
    assert at_most(found.wrong_direction, found.studies, 0.05)
    assert at_most(found.studies - found.covered_all, found.studies, 0.05)
    assert found.claims == CROSSED
    of = found.studies * found.claims  # 360: a standard error of .0115
    assert abs(found.covered / of - 0.95) < 3 * np.sqrt(0.95 * 0.05 / of)


def test_large_effects_are_found_and_more_seeds_settle_more() -> None:
    few, many = (
        simulate("none, at and far beyond the margin", studies=30, seeds=n, claims=6, scatter=1.0) for n in (4, 16)
    )
    assert few.calls[REPRODUCED] < many.calls[REPRODUCED]
    assert many.calls[REPRODUCED] >= 0.95 * 30 * 2  # the two claims of four margins
    assert many.calls[INCONCLUSIVE] < few.calls[INCONCLUSIVE]


def test_power_is_that_of_the_noncentral_t() -> None:
    # One claim of twice the scatter of a difference, five seeds: direction found where |t| is beyond its quantile.
    found = simulate("a hair below the margin", studies=400, seeds=5, claims=1, scatter=0.5, shared=0.0)
    spread = 0.5 * np.sqrt(2)
    expected = stats.nct.sf(stats.t.ppf(0.975, 4), 4, 0.999 / spread * np.sqrt(5))
    seen = (found.calls[REPRODUCED] + found.calls[DIRECTION_ONLY]) / 400
    assert seen == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 400))


def test_the_same_seed_gives_the_same_tally_whatever_the_global_generator_holds() -> None:
    np.random.seed(0)
    first = simulate("half the margin", studies=5, seeds=4, claims=3)
    np.random.seed(1)
    assert simulate("half the margin", studies=5, seeds=4, claims=3) == first
    assert simulate("half the margin", studies=5, seeds=4, claims=3, seed=1) != first


@pytest.mark.parametrize(
    ("call", "true", "mistakes"),
    [
        (REPRODUCED, 0.0, (True, True)),
        (REPRODUCED, 0.5, (False, True)),
        (REPRODUCED, 1.5, (False, False)),
        (DIRECTION_ONLY, -0.1, (True, False)),
        (DIRECTION_ONLY, 0.1, (False, False)),
        (CONTRADICTED, 0.0, (True, False)),
        (CONTRADICTED, -0.1, (False, False)),
        (NO_EFFECT, 0.9, (False, False)),
        (NO_EFFECT, -1.0, (False, True)),
        (INCONCLUSIVE, 0.0, (False, False)),
    ],
)
def test_what_counts_as_wrong(call: str, true: float, mistakes: tuple[bool, bool]) -> None:
    assert wrong(call, true) == mistakes


def test_the_table_holds_every_scenario_in_per_cent() -> None:
    tallies = [
        Tally(scenario=name, studies=100, claims=2, wrong=5, covered=190, calls=Counter({INCONCLUSIVE: 200}))
        for name in SCENARIOS
    ]
    lines = table(tallies).splitlines()
    assert len(lines) == 2 + len(SCENARIOS)
    assert lines[2].startswith("| no effect anywhere | 5.0 ± 2.2 | 0.0 ± 0.0 | 0.0 ± 0.0 | 95.0 ± 1.5 |")
    assert lines[2].endswith("| 100.0 |") and lines[0].endswith(f"| {CALLS[4]} |")
