"""What so many seeds could tell, before they are trained: against the planning table and a pilot's own scatter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ablations.claims import CLAIMS
from ablations.declare import declare
from ablations.outlook import Outlook, lines, outlook, prior_spread
from ablations.types import Study
from tests import synthetic

NAMED = {claim.name: claim for claim in CLAIMS}


def planned(*words: str, seeds: int = 10, grid: str = "one_out") -> Study:
    """A declared study on CIFAR-10, whose classes are balanced."""
    study, _ = synthetic.plan(grid, words, seeds=seeds)
    return declare(replace(study, chance_error_percent=90.0), None, records=0, at="2026-11-23T10:00:00+00:00")


def by_name(rows: list[Outlook]) -> dict[str, Outlook]:
    """Claim's name -> row."""
    return {row.claim.name: row for row in rows}


def test_the_prior_is_the_binomial_bound_for_a_difference_of_two_networks() -> None:
    study = planned("lrn", "pooling")
    # Half of 90% on 10,000 images: 0.474 points for one network, 0.671 for a difference, 0.949 for that of two gaps.
    assert prior_spread(study, NAMED["lrn_cifar"], images=10_000) == pytest.approx(0.671, abs=1e-3)
    assert prior_spread(study, NAMED["pooling_overfitting"], images=10_000) == pytest.approx(0.949, abs=1e-3)
    assert np.isnan(prior_spread(study, NAMED["bias_init_added"], images=10_000))
    assert np.isnan(prior_spread(replace(study, chance_error_percent=None), NAMED["lrn_cifar"], images=10_000))


def test_what_is_resolved_would_be_found_four_times_in_five_at_the_familys_level() -> None:
    row = by_name(outlook(planned("lrn"), [], images=10_000))["lrn_cifar"]
    assert not row.piloted
    power = stats.nct.sf(stats.t.ppf(1 - 0.05 / 2, 9), 9, row.resolved / row.spread * np.sqrt(10))  # one question
    assert power == pytest.approx(0.8, abs=1e-3)
    # One point is 1.5 standard deviations: six pairs find it, and six exclude it, as any table of power says.
    assert row.seeds == 6


def test_a_pilot_takes_the_priors_place_and_is_pooled_over_comparisons() -> None:
    study, trials = synthetic.plan("one_out", ["lrn", "dropout"], seeds=6)
    study = declare(study, None, records=0, at="2026-11-23T10:00:00+00:00")
    rows = by_name(outlook(replace(study, seeds=20), synthetic.results(trials, noise=0.3), images=10_000))
    assert rows["lrn_cifar"].piloted
    # Four comparisons of six pairs; the difference of two errors of 0.3.
    assert rows["lrn_cifar"].spread == pytest.approx(0.3 * np.sqrt(2), rel=0.35)
    assert rows["lrn_cifar"].spread == rows["lrn_imagenet"].spread


def test_a_factorial_needs_fewer_seeds_because_every_run_counts() -> None:
    words = ("lrn", "pooling", "dropout", "activation")
    alone, crossed = (
        by_name(outlook(planned(*words, grid=grid), [], images=10_000))["pooling_error"]
        for grid in ("one_out", "fractional")
    )
    assert alone.seeds and crossed.seeds
    assert crossed.seeds <= alone.seeds / 4  # eight runs give four pairs a seed, and fewer questions are asked
    assert crossed.resolved < alone.resolved


def test_a_claim_without_a_prior_asks_for_a_pilot_and_lines_fit_a_terminal() -> None:
    found = lines(planned("bias_init=one", "lrn"), [], images=10_000)
    (row,) = [line for line in found if line.startswith("bias_init_added")]
    assert row.split() == ["bias_init_added", "0.02", "-", "-", "-", "needs", "a", "pilot"]
    assert found[0].split()[:3] == ["claim", "of", "interest"]
    assert max(map(len, found)) <= 110
    assert lines(planned("grouping"), [], images=10_000) == []


def test_one_seed_resolves_nothing() -> None:
    assert np.isnan(by_name(outlook(planned("lrn", seeds=1), [], images=10_000))["lrn_cifar"].resolved)
