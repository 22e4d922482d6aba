"""Seeds in declared looks: what is settled stops, what is open goes on, and the verdicts use the looks' levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ablations.analysis.group_sequential import Look
from ablations.analysis.looks import stage
from ablations.analysis.rule import DIRECTION_ONLY, NO_EFFECT, NOT_TESTED, REPRODUCED, call
from ablations.analysis.statistics import t_interval
from ablations.analysis.verdicts import Findings, judge
from ablations.cli.announce import looks_line as plan_line
from ablations.cli.options import check, request_of
from ablations.cli.stages import look_lines as said
from ablations.core.claim import Rule, digest
from ablations.core.errors import InputError
from ablations.core.identity import sparse
from ablations.core.result import Result
from ablations.core.study import Study
from ablations.core.trial import Trial
from ablations.planning.declare import declare
from tests import synthetic
from tests.making import config_from, with_setting

LOOKS = (4, 7, 10)
WORDS = ["lrn", "dropout", "crop_flip", "pca_jitter"]


def planned(looks: tuple[int, ...] = LOOKS) -> tuple[Study, list[Trial]]:
    """A declared study of ten seeds; `crop_flip` is far beyond its margin, `pca_jitter` does nothing."""
    study, trials = synthetic.plan("one_out", WORDS, seeds=10)
    rule = replace(study.rule, looks=looks)
    study = with_setting(replace(study, rule=rule), guessing=90.0)
    return declare(study, None, records=0, at="2026-11-23T10:00:00+00:00"), trials


def wanted(study: Study, trials: Sequence[Trial], results: Sequence[Result]) -> list[Trial]:
    seeds = stage(Findings(study=study, results=results)).seeds
    return [trial for trial in trials if trial.seed < seeds.get(trial.variant.label, 0)]


def played(study: Study, trials: Sequence[Trial], noise: float = 0.15) -> list[Result]:
    """The results that a run would leave, look by look."""
    everything = {one.trial.key: one for one in synthetic.results(trials, noise=noise)}
    results: list[Result] = []
    while (now := [everything[trial.key] for trial in wanted(study, trials, results)]) != results:
        results = now
    return results


def test_the_first_look_asks_for_its_seeds_of_every_variant_and_nothing_else() -> None:
    study, trials = planned()
    first = wanted(study, trials, [])
    assert {trial.seed for trial in first} == {0, 1, 2, 3}
    assert len(first) == 4 * len(study.variants)
    lacking = synthetic.results(first[:-1])
    assert wanted(study, trials, lacking) == first
    assert stage(Findings(study=study, results=lacking)).taken == 0


def test_a_settled_change_gets_no_more_seeds_and_open_ones_controls_and_the_reference_do() -> None:
    study, trials = planned()
    results = played(study, trials)
    reached = stage(Findings(study=study, results=results))
    seeds = {
        variant.label: max(one.trial.seed for one in results if one.trial.variant == variant) + 1
        for variant in study.variants
    }
    assert reached.done
    early = [label for label, count in seeds.items() if count < 10]
    assert early and not {"reference", "mild_sabotage=twentieth", "placebo=salted", "sabotage=half"} & set(early)
    assert set(seeds.values()) <= set(LOOKS)
    for label in early:  # every claim about it is settled
        about = [claim for claim in study.claims if f"-{claim.component}" == label and not claim.against]
        assert about and all(claim.name in reached.settled for claim in about)


def test_what_was_decided_at_a_look_stands_whatever_later_seeds_say() -> None:
    study, trials = planned()
    results = played(study, trials)
    reached = stage(Findings(study=study, results=results))
    name, look = next((name, look) for name, look in reached.settled.items() if look < 3)
    then = judge(Findings(study=study, results=[one for one in results if one.trial.seed < LOOKS[look - 1]]))
    now = judge(Findings(study=study, results=results))
    before, after = (next(one for one in some if one.claim.name == name) for some in (then, now))
    assert after.look == Look(number=look, seeds=LOOKS)
    assert (after.low, after.high, after.call) == (before.low, before.high, before.call)
    assert after.effect and after.effect.n == LOOKS[look - 1]
    assert not after.draft  # ten seeds were declared


def test_bounds_and_p_are_those_of_the_look_and_wider_than_without_looks() -> None:
    study, trials = planned()
    results = synthetic.results(trials)
    (verdict,) = [one for one in judge(Findings(study=study, results=results)) if one.claim.name == "lrn_cifar"]
    plain = replace(study, rule=Rule())
    (fixed,) = [one for one in judge(Findings(study=plain, results=results)) if one.claim.name == "lrn_cifar"]
    assert verdict.effect and verdict.look and fixed.effect
    level = verdict.look.level(0.05 / verdict.comparisons)
    low, high = t_interval(verdict.effect.estimate, verdict.effect.error, verdict.effect.df, 1 - level)
    assert (verdict.low, verdict.high) == (low, high)
    assert verdict.high - verdict.low > fixed.high - fixed.low
    assert verdict.p_holm >= fixed.p_holm


def test_before_the_first_look_nothing_is_judged() -> None:
    study, trials = planned()
    results = synthetic.results([trial for trial in trials if trial.seed < 3])
    verdicts = judge(Findings(study=study, results=results))
    assert {one.call for one in verdicts} == {NOT_TESTED}
    assert "the first look, after 4 seeds, is not complete" in {one.because for one in verdicts}


def test_looks_are_part_of_the_declaration_and_cannot_change() -> None:
    study, _ = planned()
    without, _ = planned(())
    assert digest(study.claims, study.rule, 10) != digest(without.claims, without.rule, 10)
    assert "looks" in sparse(study.rule) and "looks" not in sparse(without.rule)  # older digests stay
    assert Study.from_dict(study.to_dict()) == study
    with pytest.raises(InputError, match="declared with looks after 4, 7 and 10 seeds, and this run asks for no looks"):
        declare(without, study, records=3, at="2026-11-23T11:00:00+00:00")


def test_a_look_says_what_it_settled_and_a_plan_where_it_looks() -> None:
    study, trials = planned()
    results = synthetic.results([trial for trial in trials if trial.seed < 4], noise=0.1)
    (line,) = said(study, stage(Findings(study=study, results=results)))
    assert line.startswith("look 1 of 3, after 4 seeds: ") and line.endswith("on to 7 seeds")
    assert said(study, stage(Findings(study=study, results=[]))) == []
    assert "after 4, 7 and 10 seeds" in plan_line(study) and plan_line(planned(())[0]) == ""


def looks_of(*options: str) -> tuple[int, ...]:
    """The seeds after which the study of a command line looks."""
    return request_of(config_from(*options), command="").look_seeds


def test_looks_come_by_default_after_two_fifths_seven_tenths_and_all_seeds() -> None:
    assert looks_of("--sequential") == LOOKS
    assert looks_of("--sequential", "--seeds", "4") == (3, 4)
    assert looks_of("--sequential", "--seeds", "20") == (8, 14, 20)
    assert looks_of("--sequential", "--seeds", "12", "--looks", "5, 12") == (5, 12)
    assert looks_of() == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", "3"], "needs 4 seeds or more, not 3"),
        (["--looks", "4,7"], "the last is that of --seeds, 10"),
        (["--looks", "7,4,10"], "rising numbers"),
        (["--looks", "1,10"], "from 2 on"),
        (["--looks", "10"], "two or more"),
        (["--looks", "4,x,10"], "--looks is '4,x,10'"),
        (["--tune", "3"], "neither with --tune"),
    ],
)
def test_looks_that_cannot_be_are_refused(options: list[str], message: str, tmp_path: Path) -> None:
    places = ("--results", str(tmp_path), "--reports", str(tmp_path))
    with pytest.raises(InputError, match=message):
        check(config_from("--sequential", *options, *places))


@pytest.mark.slow
@pytest.mark.parametrize("true", [0.0, 1.0])
def test_the_rule_errs_at_most_as_often_as_it_says_in_studies_that_stop_at_looks(true: float) -> None:
    # One claim with margin 1; a study stops where the size is told, as `stage` does. Wrong: a direction where there is
    # none, or "no effect of interest" and "reproduced" for an effect that lies at the margin.
    from ablations.calibration.rule import made_up_claim, made_up_effect

    claim, alpha, studies = made_up_claim(0), 0.05, 1500
    random = np.random.default_rng(11)
    wrong = 0
    for _ in range(studies):
        kept = random.normal(20, 0.5, 10)
        departed = random.normal(20 + true, 0.5, 10)
        for number, seeds in enumerate(LOOKS, start=1):
            look = Look(number=number, seeds=LOOKS)
            effect = made_up_effect(departed[:seeds], kept[:seeds])
            p = 0.0 if effect.p < look.level(alpha) else 1.0  # the repeated p is below alpha just there, and takes long
            found = call(claim, effect, p, 1, alpha, look)
            if found in (REPRODUCED, NO_EFFECT):
                break
        wrong += found in (REPRODUCED, NO_EFFECT) if true else found in (REPRODUCED, DIRECTION_ONLY)
    limit = alpha if true == 0 else 2 * alpha  # at the margin either of two statements on the size would be wrong
    assert wrong / studies < limit + 3 * np.sqrt(limit / studies)


@pytest.mark.usefixtures("sketches")
def test_a_report_holds_the_looks_their_levels_and_what_each_settled() -> None:
    from ablations.reporting.compose import compose
    from ablations.reporting.document import Table

    study, trials = planned()
    report = compose(Findings(study=study, results=played(study, trials)))
    (section,) = [one for one in report.sections if one.title == "How the seeds were planned"]
    (table,) = [block for block in section.blocks if isinstance(block, Table)]
    assert [row[:2] for row in table.rows] == [("1", "4"), ("2", "7"), ("3", "10")]
    assert [row[-1] for row in table.rows] == [
        "nothing", "pca_jitter_error, crop_flip_overfitting, dropout_overfitting", "nothing"
    ]  # fmt: skip
    plain, _ = planned(())
    titles = [one.title for one in compose(Findings(study=plain, results=synthetic.results(trials))).sections]
    assert "How the seeds were planned" not in titles
