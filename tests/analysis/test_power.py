"""What so many seeds could tell, before they are trained: against the planning table and a pilot's own scatter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablations.analysis.factorial import factorial_design
from ablations.analysis.power import Outlook, outlook, pilot_spread
from ablations.analysis.reach import EFFECTS_DIFFER, prior_spread
from ablations.analysis.rule import INCONCLUSIVE
from ablations.analysis.seeds_needed import seeds_to_settle
from ablations.analysis.statistics import seeds_to_detect, seeds_to_exclude
from ablations.analysis.verdicts import Findings
from ablations.cli.forecast import power_lines as lines
from ablations.core.result import Result
from ablations.core.study import Study
from ablations.planning.declare import declare
from tests import synthetic
from tests.making import CLAIMS, with_setting

ERROR = "test_top1_error_percent"
NAMED = {claim.name: claim for claim in CLAIMS}


def planned(*words: str, seeds: int = 10, grid: str = "one_out") -> Study:
    """A declared study on CIFAR-10, whose classes are balanced."""
    study, _ = synthetic.plan(grid, words, seeds=seeds)
    return declare(on_cifar10(study), None, records=0, at="2026-11-23T10:00:00+00:00")


def on_cifar10(study: Study) -> Study:
    """`study` with what is known of the data before the first trial."""
    return with_setting(study, guessing=90.0, examples=10_000)


def by_name(rows: list[Outlook]) -> dict[str, Outlook]:
    """Claim's name -> row."""
    return {row.claim.name: row for row in rows}


def test_the_prior_is_the_binomial_bound_for_a_difference_of_two_networks() -> None:
    study = planned("lrn", "pooling")
    # Half of 90% on 10,000 images: 0.474 points for one network, 0.671 for a difference, 0.949 for that of two gaps.
    assert prior_spread(study, NAMED["lrn_cifar"]) == pytest.approx(0.671, abs=1e-3)
    assert prior_spread(study, NAMED["pooling_overfitting"]) == pytest.approx(0.949, abs=1e-3)
    assert np.isnan(prior_spread(study, NAMED["bias_init_added"]))
    assert np.isnan(prior_spread(with_setting(study, guessing=None), NAMED["lrn_cifar"]))
    assert np.isnan(prior_spread(with_setting(study, examples=0), NAMED["lrn_cifar"]))


def test_what_is_resolved_would_be_found_four_times_in_five_at_the_familys_level() -> None:
    row = by_name(outlook(planned("lrn"), []))["lrn_cifar"]
    assert not row.piloted
    power = stats.nct.sf(stats.t.ppf(1 - 0.05 / 2, 9), 9, row.resolved / row.spread * np.sqrt(10))  # one question
    assert power == pytest.approx(0.8, abs=1e-3)
    # One point is 1.5 standard deviations: six pairs find it, and six exclude it, as any table of power says.
    assert row.seeds == 6


def piloted(grid: str, *words: str, seeds: int = 6) -> tuple[Study, list[Result]]:
    """A declared study with its records, whose sabotage scatters by ten points more than the others."""
    study, trials = synthetic.plan(grid, words, seeds=seeds)
    study = declare(on_cifar10(study), None, records=0, at="2026-11-23T10:00:00+00:00")
    random, found = np.random.default_rng(4), []
    for one in synthetic.results(trials):
        rough = 10.0 * ("sabotage" in one.trial.variant.label) + 1.0 * ("dropout" in one.trial.variant.label)
        found.append(synthetic.done(one.trial, one.metrics[ERROR] + random.normal(0, 1) * rough))
    return study, found


def errors(results: list[Result]) -> pd.DataFrame:
    """Test errors, seeds x variants."""
    rows = [(one.trial.seed, one.trial.variant.label, one.metrics[ERROR]) for one in results]
    return pd.DataFrame(rows, columns=["seed", "variant", "error"]).pivot(
        index="seed", columns="variant", values="error"
    )


def test_a_pilot_takes_the_priors_place_by_the_claims_own_comparison() -> None:
    study, results = piloted("one_out", "lrn", "dropout")
    rows = by_name(outlook(replace(study, seeds=20), results))
    own = errors(results)["-lrn"] - errors(results)["reference"]
    assert rows["lrn_cifar"].piloted and not rows["lrn_cifar"].assumed
    assert rows["lrn_cifar"].spread == pytest.approx(own.std(ddof=1))
    assert rows["lrn_cifar"].spread == rows["lrn_imagenet"].spread


def test_a_pair_in_which_a_training_failed_is_no_part_of_a_pilots_scatter() -> None:
    study, results = piloted("one_out", "lrn", "dropout")
    collapsed = [
        synthetic.done(one.trial, 90.0) if (one.trial.variant.label, one.trial.seed) == ("-lrn", 2) else one
        for one in results
    ]
    row = by_name(outlook(study, collapsed))["lrn_cifar"]
    own = (errors(results)["-lrn"] - errors(results)["reference"]).drop(index=2)
    assert row.spread == pytest.approx(own.std(ddof=1))


def test_what_a_pilot_does_not_compare_is_pooled_over_its_components_and_no_controls() -> None:
    study, results = piloted("one_out", "lrn", "dropout")
    spread, assumed = pilot_spread(Findings(study=study, results=results), NAMED["pooling_error"], 2)
    table = errors(results)
    pairs = [table[label] - table["reference"] for label in ("-lrn", "-dropout")]
    assert spread == pytest.approx(np.sqrt(np.mean([one.var(ddof=1) for one in pairs]))) and not assumed


def test_the_seeds_of_a_factorial_are_seeds_and_no_pairs() -> None:
    words = ("lrn", "pooling", "dropout", "activation")
    study, results = piloted("fractional", *words)
    row = by_name(outlook(study, results))["pooling_error"]
    made = {one.label for one in study.variants if ("pooling", "non_overlapping") in one.departures}
    plain = {one.label for one in factorial_design(study)}
    table = errors(results)
    contrast = table[list(made & plain)].mean(axis=1) - table[list(plain - made)].mean(axis=1)
    assert row.spread == pytest.approx(contrast.std(ddof=1)) and not row.assumed
    level = 0.05 / len({question for claim in study.claims for question in claim.questions})
    needed = [test(0.2, row.spread, level) for test in (seeds_to_detect, seeds_to_exclude)]
    assert row.seeds == max(one or 0 for one in needed)
    # A verdict says the same number for the same scatter.
    verdict = next(one for one in Findings(study=study, results=results).verdicts if one.claim.name == "pooling_error")
    assert verdict.effect
    assert verdict.effect.spread == pytest.approx(row.spread)
    assert seeds_to_settle(verdict.claim, verdict.effect, INCONCLUSIVE, 0.05 / verdict.comparisons) == row.seeds


def test_a_factorials_scatter_from_pairs_is_what_it_is_where_effects_differ_as_much_as_trials() -> None:
    words = ("lrn", "pooling", "dropout", "activation")
    alone, crossed = (
        by_name(outlook(planned(*words, grid=grid), []))["pooling_error"] for grid in ("one_out", "fractional")
    )
    # Variance of a pair: 1 + 2 of a trial's own; of a contrast of eight trials: 1 + 4 / 8.
    assert crossed.spread == pytest.approx(alone.spread * np.sqrt(1.5 / 3))
    assert (alone.assumed, crossed.assumed) == (False, True)
    assert alone.seeds and crossed.seeds and crossed.seeds < alone.seeds
    assert crossed.resolved < alone.resolved
    # Simulated: the same trials, one difference of them and one contrast.
    random = np.random.default_rng(6)
    own, effect = random.normal(0, 1, (4000, 8)), random.normal(0, EFFECTS_DIFFER**0.5, 4000)
    pair = effect + own[:, 0] - own[:, 1]
    contrast = effect + own[:, :4].mean(axis=1) - own[:, 4:].mean(axis=1)
    assert contrast.std() / pair.std() == pytest.approx(crossed.spread / alone.spread, rel=0.03)


def test_a_claim_without_a_prior_asks_for_a_pilot_and_lines_fit_a_terminal() -> None:
    found = lines(planned("bias_init=one", "lrn"), [])
    (row,) = [line for line in found if line.startswith("bias_init_added")]
    assert row.split() == ["bias_init_added", "0.02", "-", "-", "-", "needs", "a", "pilot"]
    assert found[0].split()[:3] == ["claim", "of", "interest"]
    assert max(map(len, found)) <= 110
    assert lines(planned("grouping"), []) == []


def test_one_seed_resolves_nothing() -> None:
    assert np.isnan(by_name(outlook(planned("lrn", seeds=1), []))["lrn_cifar"].resolved)
