"""The rule for claims of sameness, of two things and of tuned arms, for sizes, and for what is out of reach."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from ablations.analysis.looks import stage
from ablations.analysis.power import outlook
from ablations.analysis.reach import out_of_reach
from ablations.analysis.rule import (
    ABOVE,
    BELOW,
    CONTRADICTED,
    DIRECTION_ONLY,
    INCONCLUSIVE,
    NO_EFFECT,
    NOT_TESTED,
    OPEN,
    REFUTED,
    REPRODUCED,
    SHOWN,
    adjust,
    call,
    companion_state,
    size_of,
    with_companion,
    words_of,
)
from ablations.analysis.seeds_needed import seeds_to_settle
from ablations.analysis.statistics import seeds_to_exclude
from ablations.analysis.verdicts import Findings
from ablations.calibration.kinds import SAMENESS, TWO_THINGS, Kind, sameness, table, two_things
from ablations.cli.announce import announce
from ablations.core.claim import SAME, Claim, Rule, digest
from ablations.core.effect import Effect
from ablations.core.result import Result
from ablations.core.study import Study
from ablations.core.tuning import Attempt, Tuned, TuningTrial
from ablations.core.variant import Variant
from ablations.planning.claims import claims_of
from ablations.planning.declare import declare
from ablations.records.claims import read_claims
from ablations.reporting.answer import answer
from ablations.reporting.document import Card
from ablations.reporting.exports import verdicts_table
from ablations.reporting.sections.cards import in_words
from ablations.reporting.sections.remedies import changes_it
from ablations.reporting.terminal import terminal_lines
from tests import synthetic
from tests.analysis.test_looks import LOOKS, played
from tests.analysis.test_looks import planned as in_looks
from tests.analysis.test_verdicts import effect, is_, judged, planned, with_metrics
from tests.making import CLAIMS, build, plan_from, setting, with_setting

NAMED = {claim.name: claim for claim in CLAIMS}
ALIKE = replace(NAMED["lrn_cifar"], name="alike", direction=SAME, smallest_effect=1.0, published_effect=None)
OVERFITS = NAMED["dropout_overfitting"]


# With ten seeds and one comparison, t(.975, 9) is 2.262 and t(.95, 9) is 1.833; the margin is 1.
@pytest.mark.parametrize(
    ("estimate", "error", "words"),
    [
        (0.0, 0.5, "reproduced"),  # within 0.92
        (0.5, 0.1, "reproduced"),  # surely not zero, and surely below 1
        (0.0, 0.6, "inconclusive"),  # reaches 1.10
        (1.2, 0.3, "inconclusive"),  # surely not zero, and may be below 1
        (1.5, 0.2, "contradicted"),  # lower bound 1.05
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_sameness_by_its_words_whichever_way_the_effect_goes(
    estimate: float, error: float, words: str, sign: int
) -> None:
    found = effect(sign * estimate, error)
    assert call(ALIKE, found, found.p, 1, 0.05) == words


def test_sameness_is_reproduced_where_statsmodels_two_one_sided_tests_reject() -> None:
    random, calls = np.random.default_rng(3), set()
    for _ in range(60):
        values = random.normal(random.uniform(-1, 1), 0.8, 10)
        found = effect(float(values.mean()), float(stats.sem(values)))
        p, *_ = DescrStatsW(values).ttost_mean(-1, 1)
        said = call(ALIKE, found, found.p, 4, 0.05)
        assert (said == REPRODUCED) == (p < 0.05 / 4)
        calls.add(said)
    assert {REPRODUCED, INCONCLUSIVE} <= calls


def test_what_is_open_of_sameness_is_settled_by_the_seeds_that_place_it_within_the_margin_or_outside() -> None:
    found = effect(0.0, 0.6)
    needed = seeds_to_settle(ALIKE, found, INCONCLUSIVE, 0.05 / 4)
    assert needed == seeds_to_exclude(1.0, found.spread, 0.05 / 4)
    near = [seeds_to_settle(ALIKE, effect(d, 0.6), INCONCLUSIVE, 0.05 / 4) or 0 for d in (0.5, 0.9, -0.9, 1.1, 1.5)]
    assert needed and near[1] == near[2] > near[0] > needed and near[1] > needed < near[3] > near[4]
    assert seeds_to_settle(ALIKE, found, CONTRADICTED, 0.05 / 4) is None


def test_both_things_have_to_be_shown_and_either_can_be_refuted() -> None:
    for first in (REPRODUCED, DIRECTION_ONLY):
        expected = {SHOWN: first, OPEN: INCONCLUSIVE, REFUTED: CONTRADICTED}
        assert {state: with_companion(first, state) for state in expected} == expected
    for first in (CONTRADICTED, NO_EFFECT, NOT_TESTED):
        assert {with_companion(first, state) for state in (SHOWN, OPEN, REFUTED, "")} == {first}
    assert with_companion(INCONCLUSIVE, REFUTED) == CONTRADICTED
    assert {with_companion(INCONCLUSIVE, state) for state in (SHOWN, OPEN, "")} == {INCONCLUSIVE}


def test_a_second_thing_is_shown_or_refuted_by_an_interval_without_zero() -> None:
    states = [companion_state(1, *bounds) for bounds in ((0.1, 2), (-0.1, 2), (-2, -0.1), (nan, nan))]
    assert states == [SHOWN, OPEN, REFUTED, OPEN]
    assert [companion_state(-1, *bounds) for bounds in ((0.1, 2), (-2, -0.1))] == [REFUTED, SHOWN]


def test_a_size_is_above_below_or_open_whichever_way_the_effect_goes() -> None:
    assert [size_of(outer, inner, 1.0) for outer, inner in (
        ((1.1, 3), (1.2, 2.9)), ((-3, -1.1), (-2.9, -1.2)), ((0.2, 0.9), (0.3, 0.8)), ((0.2, 1.1), (0.3, 0.9)),
        ((0.2, 1.1), (0.3, 1.05)), ((nan, nan), (nan, nan)),
    )] == [ABOVE, ABOVE, BELOW, BELOW, OPEN, OPEN]  # fmt: skip
    assert words_of(DIRECTION_ONLY, BELOW, out_of_reach=False) == "reproduced (direction only, size excluded)"
    assert words_of(DIRECTION_ONLY, OPEN, out_of_reach=True) == "reproduced (direction only, size open)"
    assert words_of(INCONCLUSIVE, OPEN, out_of_reach=True) == "inconclusive (out of reach)"
    assert words_of(REPRODUCED, ABOVE, out_of_reach=True) == "reproduced"


def shifted(results: Sequence[Result], label: str, **by: float) -> list[Result]:
    """The same results with some metrics of one variant moved by so much."""
    return with_metrics(list(results), lambda one: {
        name: one.metrics[name] + value * is_(one, label) for name, value in by.items()
    })  # fmt: skip


@pytest.mark.parametrize(
    ("error", "words", "sentence"),
    [
        (
            -14.0,
            "only in part at this scale [proxy]",
            "The claim says that the top-1 error is higher too, and it is not: \N{MINUS SIGN}12.",
        ),
        (-1.26, "cannot tell yet [proxy]", "Whether the top-1 error is higher too, as the claim has it, is open: "),
        (+3.0, "same direction at this scale [proxy]", "The top-1 error came out higher too, as the claim has it: +4."),
    ],
)
def test_a_wider_gap_is_no_overfitting_unless_the_test_error_rises_with_it(
    error: float, words: str, sentence: str
) -> None:
    study, results = planned(["dropout"])
    results = shifted(results, "-dropout", test_top1_error_percent=error, gap_percent=6.0)
    (verdict,) = judged(study, results).values()
    assert verdict.claim == OVERFITS and verdict.label == words
    gap = sum(one.metrics["gap_percent"] * (1 if is_(one, "-dropout") else -1) for one in results
              if one.trial.variant.label in ("reference", "-dropout")) / 10  # fmt: skip
    assert gap > OVERFITS.smallest_effect  # the gap alone would have reproduced it each time
    assert verdict.first == ("" if words.startswith("same") else REPRODUCED)
    assert sentence in in_words(Findings(study=study, results=results), verdict)
    if words.startswith("cannot"):
        assert verdict.seeds and "would tell whether the top-1 error is higher too" in changes_it(verdict)


def test_the_second_thing_has_the_simultaneous_interval_of_scipy_and_counts_as_a_comparison() -> None:
    study, results = planned(["dropout"])
    (verdict,) = judged(study, results).values()
    errors = {label: [one.metrics["test_top1_error_percent"] for one in results if is_(one, label)]
              for label in ("-dropout", "reference")}  # fmt: skip
    test = stats.ttest_rel(errors["-dropout"], errors["reference"]).confidence_interval(1 - 0.05 / 2)
    assert verdict.comparisons == 2
    assert (verdict.also_low, verdict.also_high) == pytest.approx((test.low, test.high))
    # One that another claim asks about first is the same comparison.
    pooling = [NAMED["pooling_error"], NAMED["pooling_overfitting"]]
    assert [m for _, m in adjust(pooling, [None, None])] == [2, 2]
    assert [m for _, m in adjust(pooling[1:], [None])] == [2]


def test_two_claims_on_one_question_each_keep_their_own_p_whatever_their_order() -> None:
    claim, other = NAMED["pooling_error"], NAMED["lrn_cifar"]
    twice, apart = replace(claim, name="twice"), replace(other, family=claim.family)
    effects = [_with_p(claim, 0.03), _with_p(claim, 0.004), _with_p(apart, 0.02)]  # of two looks, and another question
    found = [p for p, m in adjust([claim, twice, apart], effects)]
    # By hand, for two questions: the smaller of two p counts twice, and the larger is no smaller than that.
    assert found == pytest.approx([0.04, 0.008, 0.04])
    assert [p for p, _ in adjust([twice, claim, apart], [effects[1], effects[0], effects[2]])] == pytest.approx(
        [0.008, 0.04, 0.04]
    )
    assert [p for p, _ in adjust([claim, twice], [effects[1], None])] == pytest.approx([0.004, 1.0])
    assert [p for p, _ in adjust([twice, claim], [None, effects[1]])] == pytest.approx([1.0, 0.004])


def _with_p(claim: Claim, p: float) -> Effect:
    """An effect of the claim's change of which only p matters."""
    return Effect(
        component=claim.component, level=claim.level, metric=claim.metric, kind=claim.estimand, estimate=1.0, low=nan,
        high=nan, p=p, n=10, correlation=nan, method="",
    )  # fmt: skip


def test_a_claim_of_tuned_arms_is_judged_where_each_arm_was_tuned_and_nowhere_else() -> None:
    study, results = planned(["activation"])
    verdict = judged(study, results)["activation_speed"]
    assert verdict.label == "not tested (untuned) [proxy]"
    assert changes_it(verdict).startswith("A study that tunes the learning rate of each arm: --tune 7. Here the arms")
    from ablations.planning import tuning

    begun = tuning.start(study, 2)
    tried = (TuningTrial(key="k", status="done"),)
    arms = tuple(
        Tuned(variant=variant, attempts=(Attempt(factor=1.0, trials=tried),), factor=1.0)
        for variant in (Variant(), Variant(departures=(("activation", "tanh"),)))
    )
    tuned = replace(study, tuning=replace(begun, arms=arms))
    assert judged(tuned, results)["activation_speed"].call == REPRODUCED
    others = replace(study, tuning=replace(begun, arms=arms[:1]))
    assert judged(others, results)["activation_speed"].reason == "untuned"


def test_a_claim_that_no_look_can_settle_does_not_keep_its_change_in_training() -> None:
    study, trials = in_looks(LOOKS)
    other = replace(NAMED["crop_flip_overfitting"], name="other", metric="test_loss", also="", tuned=True)
    study = declare(replace(study, claims=(*study.claims, other)), None, records=0, at="2026-11-23T10:00:00+00:00")
    reached = stage(Findings(study=study, results=played(study, trials)))
    assert "other" not in reached.settled and "crop_flip_overfitting" in reached.settled
    assert reached.seeds["-crop_flip"] < LOOKS[-1]


def test_what_no_affordable_number_of_seeds_decides_is_known_before_the_first_trial() -> None:
    study, _ = planned(["pooling", "lrn"])
    study = with_setting(study, examples=10_000)
    assert study.rule.affordable == 100
    declared = dict(out_of_reach(study))
    exact = {row.claim.name: row.seeds for row in outlook(study, [])}  # by statsmodels
    assert set(declared) == {name for name, seeds in exact.items() if seeds and seeds > 100} == {"pooling_error"}
    assert declared["pooling_error"] == pytest.approx(exact["pooling_error"], abs=2)
    assert set(dict(out_of_reach(with_setting(study, examples=200)))) == {claim.name for claim in study.claims}
    tiny = replace(study, claims=(replace(study.claims[0], smallest_effect=1e-3),))
    assert out_of_reach(tiny) == ((study.claims[0].name, None),)
    assert out_of_reach(replace(study, rule=Rule())) == ()
    assert out_of_reach(with_setting(study, guessing=None)) == ()
    assert out_of_reach(replace(study, seeds=500)) == ()


def test_what_is_out_of_reach_of_a_factorial_is_what_the_dry_run_says() -> None:
    words = ("lrn", "pooling", "dropout", "activation")
    study = with_setting(synthetic.plan("fractional", words)[0], guessing=90.0, examples=1_000)
    exact = {row.claim.name: row.seeds for row in outlook(study, [])}
    found = dict(out_of_reach(study))
    assert found and all(abs((seeds or 0) - (exact[name] or 0)) <= 2 for name, seeds in found.items())


def test_a_claim_out_of_reach_is_judged_all_the_same_and_labelled_where_it_stays_open() -> None:
    study, results = planned(["pooling"])
    study = replace(study, out_of_reach=(("pooling_error", 161),))
    assert judged(study, results)["pooling_error"].call in (REPRODUCED, DIRECTION_ONLY)  # 0.6 points, found in ten
    flat = shifted(results, "pooling=non_overlapping", test_top1_error_percent=-0.7)
    slight = tuple(replace(claim, smallest_effect=0.05) for claim in study.claims)
    study = replace(study, claims=slight)
    verdict = judged(study, flat)["pooling_error"]
    assert verdict.label == "cannot tell yet (out of reach) [proxy]"
    assert "declared before the first trial: about 161 seeds by the prior." in changes_it(verdict)
    assert judged(replace(study, out_of_reach=()), flat)["pooling_error"].label == "cannot tell yet [proxy]"
    assert Study.from_dict(study.to_dict()) == study
    old = study.to_dict()
    del old["out_of_reach"]
    assert Study.from_dict(old).out_of_reach == ()


def test_claims_out_of_reach_are_announced(
    blobs: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ABLATIONS_CACHE", str(cache))
    options = ("--dataset", f"folder:{blobs}", "--preset", "cifar_small", "--components", "pooling")
    plan = plan_from(*options, "--gpus-per-trial", "0", "--results", str(tmp_path))
    announce(
        replace(plan, study=replace(plan.study, out_of_reach=(("pooling_error", 161), ("tiny", None)))), full=False
    )
    (line,) = [one for one in capsys.readouterr().out.splitlines() if one.startswith("reach")]
    assert "pooling_error (about 161), tiny (over 10,000): " in line
    assert "more than the 100 that count as affordable" in line


MINE = """
[[claim]]
name = "alike"
component = "lrn"
level = "off"
statement = "Local response normalisation makes no difference."
metric = "test_top1_error_percent"
direction = "same"
smallest_effect = 2.0
reason = "less is not worth its time"

[[claim]]
name = "both"
component = "lrn"
level = "off"
statement = "Without it the gap falls and the loss rises."
metric = "gap_percent"
direction = "lowers"
also = "raises test_loss"
tuned = true
standing = "our reading"
smallest_effect = 1
reason = "a guess"
"""


def test_a_claim_of_sameness_goes_through_the_whole_report(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    alike, both = read_claims(path)
    assert (alike.direction, both.tuned, both.also, both.standing) == (0, True, "raises test_loss", "our reading")
    study, results = planned(["lrn"])
    study = with_setting(replace(study, claims=(alike, both)), examples=10_000)
    study = declare(study, None, records=0, at="now")
    evidence = Findings(study=study, results=results)
    found = {verdict.claim.name: verdict for verdict in evidence.verdicts}
    assert found["alike"].label == "reproduced [faithful]"
    assert found["both"].label == "not tested (untuned) [faithful, our reading]"
    cards = {
        block.name: block
        for section in build(study, results, []).sections
        for block in section.blocks
        if isinstance(block, Card)
    }
    card = cards["alike"]
    assert "too little to matter (2 points would), as was claimed." in card.words
    assert dict(card.facts)["what would change the verdict"].startswith("An effect beyond 2 points either way")
    assert dict(card.facts)["claimed that"] == "no LRN leaves test_top1_error_percent the same"
    assert dict(cards["both"].facts)["claimed that"] == "no LRN lowers gap_percent, and raises test_loss"
    assert card.picture and card.mood == "yes"
    rows = verdicts_table(evidence).set_index("claim")
    assert (rows.loc["alike", "direction"], rows.loc["alike", "size"]) == (0, "below")
    assert list(rows["also_estimate"].isna()) == [True, False]
    assert "alike  reproduced [faithful]" in terminal_lines(evidence)
    (row,) = [one for one in outlook(study, []) if one.claim == alike]
    assert row.seeds == seeds_to_exclude(2.0, row.spread, 0.05 / 3)


@pytest.mark.parametrize(
    ("shift", "words"),
    [
        (+9.0, "where no difference was claimed."),
        (+1.55, "where no difference was claimed, and may or may not reach what would matter (2 points). "),
    ],
)
def test_sameness_that_is_not_there_is_told_in_words(shift: float, words: str) -> None:
    study, results = planned(["lrn"])
    study = replace(study, claims=(replace(ALIKE, smallest_effect=2.0, family="mine"),))
    results = shifted(results, "-lrn", test_top1_error_percent=shift)
    (verdict,) = judged(study, results).values()
    said = f"{in_words(Findings(study=study, results=results), verdict)} {changes_it(verdict)}"
    assert words in said
    if verdict.call == INCONCLUSIVE:
        assert "seeds would tell whether it stays below 2 points." in said


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"same"', '"equal"', "unknown direction 'equal'"),
        ('"raises test_loss"', '"rises test_loss"', "unknown direction of also 'rises'; did you mean 'raises'?"),
        ('"raises test_loss"', '"same test_loss"', "unknown direction of also 'same'"),
        ('"raises test_loss"', '"raises test_los"', "unknown metric of also 'test_los'; did you mean 'test_loss'?"),
        ("tuned = true", "tuned = 1", "tuned is 1; it must be true or false."),
        ('"our reading"', '"my reading"', "unknown standing 'my reading'; did you mean 'our reading'?"),
    ],
)
def test_a_wrong_word_in_a_claims_file_costs_one_sentence(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    assert old in MINE
    path = tmp_path / "mine.toml"
    path.write_text(MINE.replace(old, new))
    with pytest.raises(ValueError) as error:
        read_claims(path)
    assert sentence in str(error.value)


def test_what_was_said_of_one_preset_is_not_asked_of_another() -> None:
    asked = {
        preset: {claim.name for claim in claims_of([("lrn", "off")], setting(preset), CLAIMS)}
        for preset in ("cifar", "vgg_a_lrn")
    }
    assert "lrn_vgg" not in asked["cifar"] and "lrn_vgg" in asked["vgg_a_lrn"]
    assert "lrn_vgg" not in {claim.name for claim in synthetic.plan("one_out", ["lrn"])[0].claims}


def test_new_fields_leave_the_digests_of_older_declarations_as_they_are() -> None:
    claim = Claim(
        name="a", component="lrn", level="off", statement="A.", source="b", metric="test_loss", published="c",
        direction=1, smallest_effect=1.0,
    )  # fmt: skip
    assert digest((claim,), Rule(), 3) == digest((replace(claim, tuned=False, also="", standing=""),), Rule(), 3)
    for other in (replace(claim, tuned=True), replace(claim, also="raises test_loss")):
        assert digest((other,), Rule(), 3) != digest((claim,), Rule(), 3)


def at_most(found: Kind, rate: float = 0.05) -> bool:
    """Whether so many wrong studies fit a rate of at most `rate`: they would not be seen once in a thousand."""
    return bool(stats.binom.sf(found.wrong - 1, found.studies, rate) > 0.001)


@pytest.mark.parametrize("truth", ["the same", "a hair within the margin", "at the margin, the other way"])
def test_families_of_sameness_err_at_their_rate(truth: str) -> None:
    found = sameness(truth, studies=120, seeds=6, claims=4, scatter=1.0)
    assert at_most(found)
    assert sum(found.calls.values()) == 120 * 4


@pytest.mark.parametrize("truth", ["the first alone, beyond the margin", "both, hardly"])
def test_families_of_two_things_err_at_their_rate(truth: str) -> None:
    assert at_most(two_things(truth, studies=60, seeds=6, claims=3, scatter=0.5))


def test_sameness_and_two_things_are_found_where_they_are() -> None:
    assert sameness("the same", studies=10, seeds=10, claims=2, scatter=0.3).calls[REPRODUCED] >= 19
    assert sameness("twice the margin", studies=10, seeds=10, claims=2, scatter=0.3).calls[CONTRADICTED] >= 19
    assert two_things("both, beyond the margin", studies=10, claims=2, scatter=0.3).calls[REPRODUCED] >= 19
    assert two_things("the first, and the second falls", studies=10, claims=2).calls[CONTRADICTED] >= 19


def test_the_tables_hold_every_truth() -> None:
    found = [Kind(truth=truth, studies=100, claims=2, wrong=5) for truth in (*SAMENESS, *TWO_THINGS)]
    lines = table(found).splitlines()
    assert len(lines) == 2 + len(SAMENESS) + len(TWO_THINGS)
    assert lines[2].startswith("| the same | 5.0 ± 2.2 | 0.0 |")


def test_the_answer_counts_the_verdicts_on_its_claims() -> None:
    study, results = planned(["activation", "pooling"])
    evidence = Findings(study=study, results=results)
    (said,) = [one for one in answer(evidence).sentences if one.startswith("Of 4 published claims: ")]
    counts = Counter(one.words for one in evidence.verdicts)
    assert sum(counts.values()) == 4 and len(counts) > 1
    for words, count in counts.items():
        assert re.search(rf"\b{re.escape(words)} \({f'{count}[,)]' if count > 1 else '[a-z]'}", said)
