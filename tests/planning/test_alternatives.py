"""Which design decides the claims soonest: seeds by the outlook of each, time by the paces of its variants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ablations.analysis.power import outlook
from ablations.analysis.verdicts import Findings
from ablations.cli.forecast import alternative_lines as lines
from ablations.core.study import Study
from ablations.core.variant import Variant
from ablations.planning.alternatives import Design, designs, largest, need
from ablations.planning.request import Request
from ablations.planning.study import make_study
from ablations.subjects.alexnet.timing import Pace
from tests import making, synthetic

IMAGES = 10_000
SETTING = making.setting(guessing=90.0, examples=IMAGES)
WORDS = ("lrn", "dropout", "pca_jitter", "activation")


def asked(*words: str) -> Request:
    """Studies on `cifar` of these components."""
    return making.request("one_out", words, seeds=10)


def study_of(request: Request) -> Study:
    return make_study(request, SETTING)[0]


def equal_paces(found: Sequence[Design]) -> dict[Variant, Pace]:
    """One millisecond a step, nothing for evaluation."""
    return {trial.variant: Pace(step=0.001, image=0.0, images=IMAGES) for one in found for trial in one.trials}


def test_a_designs_time_is_that_of_its_trials_spread_over_the_workers() -> None:
    (design,) = designs(asked(*WORDS), SETTING, ["one_out"])
    # The reference, four changes and three controls; 391 steps an epoch of a millisecond each.
    alone = design.seconds(equal_paces([design]), seeds=3, work=2, workers=1)
    assert alone == pytest.approx(8 * 3 * 2 * 391 * 0.001)
    assert design.seconds(equal_paces([design]), seeds=3, work=2, workers=4) == pytest.approx(alone / 4)
    assert design.seconds(equal_paces([design]), seeds=1, work=2, workers=99) == pytest.approx(alone / 3 / 8)


def test_a_design_needs_the_seeds_of_its_dearest_claim() -> None:
    request = asked(*WORDS)
    study = study_of(request)
    (design,) = designs(request, SETTING, ["one_out"])
    needed = need(design, [claim.name for claim in study.claims], pilot=None)
    ranked = sorted((row.seeds or 0, row.claim.name) for row in outlook(study, []))
    assert (needed.seeds, needed.dearest) == ranked[-1]
    assert needed.otherwise == ranked[-2][0]
    assert needed.decides


def test_the_fraction_is_the_cheapest_where_it_can_ask_everything() -> None:
    request = asked(*WORDS)
    found = designs(request, SETTING)
    told = lines(study_of(request), found, equal_paces(found), [], workers=1)
    seeds = {line.split()[0]: int(line.split()[2]) for line in told[1:4]}
    assert seeds["full"] < seeds["fractional"] < seeds["one_out"]
    assert told[4].startswith(f"cheapest: fractional with {seeds['fractional']} seeds, about ")
    assert told[4].endswith(f"--grid fractional --seeds {seeds['fractional']}")
    assert told[-2].startswith("Main effects: their scatter is worked out from that of pairs, assuming")
    assert max(map(len, told)) <= 130


def test_a_claim_that_compares_two_changes_keeps_the_fraction_from_being_the_cheapest() -> None:
    request = asked("lrn", "pooling", "dropout", "activation")
    found = designs(request, SETTING)
    told = lines(study_of(request), found, equal_paces(found), [], workers=1)
    assert "cannot ask order_lrn_pooling" in next(line for line in told if line.startswith("fractional"))
    assert any(line.startswith("cheapest: one_out") for line in told)
    assert "All but pooling_error would be decided by" in "\n".join(told)


def test_what_cannot_be_had_says_why_and_a_pilots_scatter_is_used_for_every_design() -> None:
    request = asked("lrn", "dropout")
    study, trials = synthetic.plan("one_out", ["lrn", "dropout"], seeds=6)
    found = designs(request, SETTING)
    told = lines(study, found, equal_paces(found), [], workers=1)
    assert "cannot be had: fractional needs 4 components or more, not 2" in told[2]
    calm = synthetic.results(trials, noise=0.01)
    piloted = need(found[2], ["lrn_cifar"], pilot=Findings(study=study, results=calm))
    assert piloted.seeds == 2 < need(found[2], ["lrn_cifar"], pilot=None).seeds


def test_a_scatter_that_only_a_pilot_can_tell_is_named_and_a_study_without_claims_says_nothing() -> None:
    request = asked("bias_init=one", "lrn")
    found = designs(request, SETTING)
    told = lines(study_of(request), found, equal_paces(found), [], workers=1)
    assert "Not counted, since only a pilot can tell how much they scatter: bias_init_added." in told
    without = replace(study_of(request), claims=())
    assert lines(without, found, equal_paces(found), [], workers=1) == []


@pytest.mark.parametrize("limit", [0, 1, 7, 99, 100, 1000])
def test_the_largest_that_fits(limit: int) -> None:
    assert largest(lambda n: n <= limit, 100) == min(limit, 100)
