"""Ratios of steps, with and without censoring: against scipy, by hand, and by simulation against the truth."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import exp, inf, isnan, log

import numpy as np
import pytest
from scipy import stats

from ablations.analysis.asked import effect_on
from ablations.analysis.obstacles import CENSORED, obstacle
from ablations.analysis.time_to_target import (
    ABOVE,
    BELOW,
    BOUND,
    EXACT,
    LIKELIHOOD,
    NOTHING,
    UNKNOWN,
    Pair,
    T,
    estimate,
    pair,
    speeds,
)
from ablations.analysis.verdicts import Findings
from ablations.core.result import DIVERGED, DONE, LOOKED, REACHED, STEPS, TRAINED, Result
from ablations.core.study import Study
from ablations.core.text import MISSING
from ablations.core.trial import Trial
from ablations.core.tuning import Attempt, Tuned, TuningTrial
from ablations.planning.tuning import advance, apply, start
from ablations.reporting.document import Card, Table
from ablations.reporting.terminal import terminal_lines
from ablations.subjects.alexnet.setting import Budget
from tests import making
from tests.making import build

CAP = 6000  # steps of the budget below
RACE = Budget(
    epochs=60,
    train_examples=3200,
    batch_size=32,
    image_size=32,
    threshold_percent=25.0,
    threshold_every=100,
    stop_at_threshold=True,
)


def pairs(*known: tuple[float, str]) -> list[Pair]:
    return [Pair(seed=seed, log_ratio=value, known=kind) for seed, (value, kind) in enumerate(known)]


def test_without_censoring_it_is_the_paired_t_interval_of_scipy() -> None:
    values = [1.2, 1.5, 1.1, 1.9, 1.4]
    found = estimate(pairs(*((value, EXACT) for value in values)))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.value, found.low, found.high) == pytest.approx((np.mean(values), expected.low, expected.high))
    assert (found.method, found.level) == (T, 0.95)


def test_censoring_that_changes_nothing_gives_the_t_interval_again() -> None:
    # Known to be above a value that is far below it: no information is added.
    values = [1.2, 1.5, 1.1, 1.9, 1.4, 1.6, 0.9, 1.3, 1.7, 1.0]
    plain = estimate(pairs(*((value, EXACT) for value in values)))
    vacuous = estimate(pairs(*((value, EXACT) for value in values), (-9.0, ABOVE)))
    assert vacuous.method == LIKELIHOOD
    assert vacuous.value == pytest.approx(plain.value, abs=1e-3)
    assert (vacuous.low, vacuous.high) == pytest.approx((plain.low, plain.high), abs=0.02)


def test_the_likelihood_estimate_is_that_of_scipys_censored_data() -> None:
    exact, above, below = [1.2, 1.5, 1.1, 1.9], [1.6, 1.4], [1.0]
    found = estimate(pairs(*((v, EXACT) for v in exact), *((v, ABOVE) for v in above), *((v, BELOW) for v in below)))
    mean, _ = stats.norm.fit(stats.CensoredData(uncensored=exact, right=above, left=below))
    assert found.method == LIKELIHOOD
    assert found.value == pytest.approx(mean, abs=2e-3)
    assert found.low < found.value < found.high


def test_a_censored_pair_raises_the_estimate_where_dropping_it_would_not() -> None:
    exact = [(1.2, EXACT), (1.5, EXACT), (1.3, EXACT)]
    assert estimate(pairs(*exact, (2.0, ABOVE))).value > np.mean([1.2, 1.5, 1.3, 2.0])
    assert estimate(pairs(*exact, (0.5, BELOW))).value < np.mean([1.2, 1.5, 1.3, 0.5])


def test_an_arm_that_never_arrives_has_a_lower_bound_with_its_confidence() -> None:
    found = estimate(pairs(*((value, ABOVE) for value in (1.9, 2.2, 1.8, 2.0, 2.1))))
    assert (found.method, found.low, found.high) == (BOUND, 1.8, inf)
    assert isnan(found.value)
    assert found.level == 1 - 1 / 32
    turned = estimate(pairs((-1.9, BELOW), (-2.2, BELOW), (-2.5, EXACT)))
    assert (turned.method, turned.low, turned.high) == (BOUND, -inf, -1.9)


@pytest.mark.parametrize(
    "known",
    [
        [],
        [(1.0, EXACT)],
        [(1.0, ABOVE)],
        [(0.0, UNKNOWN), (1.0, ABOVE), (1.2, ABOVE)],  # of which seed the least is, nobody knows
        [(1.0, ABOVE), (0.2, BELOW)],
    ],
)
def test_too_few_pairs_say_nothing(known: list[tuple[float, str]]) -> None:
    found = estimate(pairs(*known))
    assert (found.method, found.low, found.high) == (NOTHING, -inf, inf)


def test_which_arm_arrived_decides_what_is_known_of_a_pair() -> None:
    assert pair(3, (200.0, True), (100.0, True)) == Pair(seed=3, log_ratio=log(2), known=EXACT)
    assert pair(3, (200.0, False), (100.0, True)).known == ABOVE
    assert pair(3, (200.0, True), (300.0, False)).known == BELOW
    assert pair(3, (300.0, False), (300.0, False)).known == UNKNOWN


@pytest.mark.parametrize("censored_share", [0.0, 0.2, 0.5, 0.95])
def test_intervals_cover_the_truth_at_their_level_and_the_estimate_is_nearly_unbiased(censored_share: float) -> None:
    # Five seeds; the reference scatters by 15%, the change by 25%, and the budget ends some runs of the change.
    random = np.random.default_rng(7)
    truth, repeats = log(4), 300
    cap = truth + 0.25 * stats.norm.ppf(1 - censored_share) if censored_share else inf
    missed, allowed, errors = 0, 0.0, []
    methods: Counter[str] = Counter()
    for _ in range(repeats):
        kept, departed = random.normal(0, 0.15, 5), random.normal(truth, 0.25, 5)
        found = estimate(
            [
                pair(i, (exp(min(d, cap)), bool(d <= cap)), (exp(k), True))
                for i, (k, d) in enumerate(zip(kept, departed, strict=True))
            ]
        )
        methods[found.method] += 1
        missed += not found.low <= truth <= found.high
        allowed += 1 - found.level
        errors.append(found.value - truth)
    # Three standard deviations of the count that the stated levels allow.
    assert missed <= allowed + 3 * math.sqrt(allowed)
    expected = {0.0: T, 0.2: LIKELIHOOD, 0.5: LIKELIHOOD, 0.95: BOUND}[censored_share]
    assert methods.most_common(1)[0][0] == expected
    if censored_share <= 0.2:  # beyond, an estimate exists in some draws only
        assert abs(np.nanmean(errors)) < 0.03


def test_leaving_censored_pairs_out_would_be_wrong() -> None:
    # The same draws with the censored pairs dropped: biased by more than the estimate above may be.
    random = np.random.default_rng(7)
    truth = log(4)
    cap = truth + 0.25 * stats.norm.ppf(0.8)
    kept, departed = random.normal(0, 0.15, (300, 5)), random.normal(truth, 0.25, (300, 5))
    dropped = np.where(departed <= cap, departed - kept, np.nan)
    assert np.nanmean(dropped) - truth < -0.06


def planned(seeds: int = 5, *, tuned: bool = False) -> tuple[Study, list[Trial]]:
    study, trials = making.study(
        "figure1",
        name="race",
        preset="figure1",
        seeds=seeds,
        budget=RACE,
        command="python -m ablations.run --grid figure1",
    )
    return study, list(trials)


def ended(trial: Trial, steps: float) -> Result:
    """A trial that would take so many steps, under a budget of 6,000."""
    reached = steps <= CAP
    end = 100 * math.ceil(min(steps, CAP) / 100)
    readings = tuple((step, 90 * exp(-1.281 * step / steps)) for step in range(100, end + 1, 100))
    metrics = {
        REACHED: float(reached),
        TRAINED: float(end),
        LOOKED: readings[-1][1],
        "test_top1_error_percent": 40.0,
        "clean_train_top1_error_percent": readings[-1][1],
        "gap_percent": 40.0 - readings[-1][1],
        "evaluated_examples": 10_000.0,
        "seconds_per_epoch": 5.0,
        "parameters": 89_578.0,
        "macs": 12e6,
        **({STEPS: steps, "log_steps_to_threshold": log(steps)} if reached else {}),
    }
    return Result(
        trial=trial,
        status=DONE,
        metrics=metrics,
        curve=({"epoch": 1, **metrics},),
        readings=readings,
        activity={} if trial.variant.departures else {"activation": 0.8},
        seconds=60,
    )


def raced(factor: float) -> tuple[Study, list[Result]]:
    """Five seeds of ReLU at about 1,000 steps, tanh at `factor` times that, and the placebo."""
    study, trials = planned()
    times = {"reference": 1000, "activation=tanh": 1000 * factor, "placebo=salted": 1030}
    results = [
        ended(trial, times[trial.variant.label] * (1 + 0.02 * (trial.seed * (len(trial.variant.label) % 4) % 5)))
        for trial in trials
    ]
    scattered = [
        replace(one, metrics={**one.metrics, "test_top1_error_percent": 40 + int(one.trial.key, 16) % 7 / 10})
        for one in results
    ]
    return making.with_setting(study, guessing=90.0), scattered


def test_the_placebo_rides_along_and_nothing_is_sabotaged() -> None:
    study, _ = planned()
    assert [variant.label for variant in study.variants] == ["reference", "activation=tanh", "placebo=salted"]
    assert study.wanted == ("placebo",)


def test_the_ratio_of_a_race_is_its_geometric_mean() -> None:
    study, results = raced(3.0)
    tanh, placebo = speeds(study, results)
    by_hand = [
        one.metrics[STEPS] / next(two.metrics[STEPS] for two in results if two.trial == replace_variant(one.trial))
        for one in results
        if one.trial.variant.label == "activation=tanh"
    ]
    assert tanh.ratio == pytest.approx(stats.gmean(by_hand))
    assert (tanh.censored, len(tanh.pairs), tanh.estimate.method) == (0, 5, T)
    assert placebo.ratio == pytest.approx(1.03, abs=0.04)


def replace_variant(trial: Trial) -> Trial:
    """The reference's trial of the same seed."""
    _, trials = planned()
    return next(one for one in trials if one.seed == trial.seed and not one.variant.departures)


def test_a_trial_that_diverged_never_arrives() -> None:
    study, results = raced(3.0)
    lost = next(one for one in results if one.trial.variant.label == "activation=tanh")
    changed = [replace(one, status=DIVERGED, metrics={}, readings=()) if one is lost else one for one in results]
    (tanh, _) = speeds(study, changed)
    assert (tanh.censored, tanh.estimate.method) == (1, LIKELIHOOD)
    assert tanh.pairs[0].log_ratio == pytest.approx(log(CAP / 1000), abs=0.05)


def words_of(study: Study, results: Sequence[Result]) -> tuple[str, dict[str, Table]]:
    report = build(study, results, [])
    tables = {
        block.caption: block
        for blocks in (report.lead, *(section.blocks for section in report.sections))
        for block in blocks
        if isinstance(block, Table)
    }
    words = [block for section in report.sections for block in section.blocks if isinstance(block, str)]
    return "\n".join([*report.answer.sentences, *words]), tables


@pytest.mark.usefixtures("sketches")
def test_the_report_says_the_ratio_beside_the_papers_number_and_shows_every_seed() -> None:
    study, results = raced(3.0)
    words, tables = words_of(study, results)
    assert "Tanh instead of ReLU needs 3.0" in words
    assert "95% interval [" in words
    assert "published: 6 times" in words
    assert "a control: as expected, 1 lies inside" in words
    steps = next(table for caption, table in tables.items() if caption.startswith("Steps to the threshold"))
    assert len(steps.rows) == 5
    assert steps.head == (
        *("seed", "reference", "tanh instead of ReLU", "placebo (other random draws)"),
        *("tanh instead of ReLU / reference", "placebo (other random draws) / reference"),
    )
    assert "Change in" not in words


def test_a_terminal_is_told_the_ratios_in_plain_words() -> None:
    study, results = raced(3.0)
    said = terminal_lines(Findings(study=study, results=results))
    assert said.isascii()
    assert said.splitlines()[0].startswith("Tanh instead of ReLU needs 3.0")


def test_the_report_of_an_arm_that_never_arrives_gives_the_bound_and_marks_each_run() -> None:
    study, results = raced(8.0)
    words, tables = words_of(study, results)
    assert "Tanh instead of ReLU needs 5.5" in words and "times or more of the reference's steps" in words
    assert "confidence 96.9% for the median, n = 5, 5 of them censored" in words
    steps = next(table for caption, table in tables.items() if caption.startswith("Steps to the threshold"))
    assert {row[2] for row in steps.rows} == {"> 6,000"}
    assert all(row[4].startswith("> ") for row in steps.rows)


@pytest.mark.usefixtures("sketches")
def test_the_report_shows_every_rate_that_was_tried() -> None:
    study, results = raced(3.0)
    _, trials = planned()
    begun = start(study, 4)
    arms = tuple(
        Tuned(
            variant=variant,
            attempts=(
                Attempt(factor=0.5, trials=tuple(rated(name, 1000.0) for name in ("aa", "ab", "ac"))),
                Attempt(factor=1.0, trials=tuple(map(rated, ("ba", "bb", "bc"), (800.0, 900.0, 1012.5)))),
                Attempt(factor=2.0, trials=tuple(rated(name, 1000.0) for name in ("ca", "cb", "cc"))),
                Attempt(factor=4.0, trials=(rated("da", 1700.0), rated("db", None), rated("dc", None))),
            ),
            factor=1.0,
        )
        for variant in study.variants
    )
    tuned, _ = apply(study, trials, replace(begun, arms=arms))
    assert advance(study, trials, begun, {}).left == 3 * 4 * 3  # arms, rates, seeds
    words, tables = words_of(tuned, results)
    table = next(table for caption, table in tables.items() if caption.startswith("Every rate"))
    assert table.rows[:4] == (
        ("reference", "0.5", "1,000", ""),
        ("reference", "1", "900", "chosen"),  # the cube root of 800 times 900 times 1012.5
        ("reference", "2", "1,000", ""),
        ("reference", "4", MISSING, "2 of 3 trials came to none"),
    )
    singles = next(table for caption, table in tables.items() if caption.startswith("Every trial of the tuning"))
    assert singles.rows[9:11] == (
        ("reference", "4", "1,000,000", "1,700", "", "da"),
        ("reference", "4", "1,000,001", "> 1,800", "", "db"),
    )
    rates = next(table for caption, table in tables.items() if caption.startswith("The rate of each arm"))
    assert rates.rows[0][:4] == ("reference", "1", "1", "3 rates") and float(rates.rows[0][4]) > 0
    assert "with 3 seeds at each that the study does not use (1,000,000 to 1,000,002)" in words
    assert "A trial that had taken 2 times as many steps as the best rate of its arm was ended" in words
    assert "are conditional on these rates" in words
    cards = [
        block for section in build(tuned, results, []).sections for block in section.blocks if isinstance(block, Card)
    ]
    measured = dict(cards[0].facts)["method"]
    assert measured.endswith("paired t over 5 seeds; conditional on the learning rates that were chosen")
    assert "lies at the edge" not in words
    assert "nothing was tuned for any arm" not in words


def rated(key: str, steps: float | None) -> TuningTrial:
    """A tuning trial that arrived after these steps, or did not in 1,800."""
    end = math.ceil(steps or 1800)
    return TuningTrial(key=key, status=DONE, steps_to_threshold=steps, steps=end, error_percent=24.0 if steps else 60.0)


def test_the_report_of_a_study_with_one_training_a_rate_says_what_that_is_worth() -> None:
    study, results = raced(3.0)
    begun = replace(start(study, 2), seeds=1, clearly=0.0, slower=1.0)
    arms = tuple(
        Tuned(
            variant=variant,
            attempts=(
                Attempt(factor=1.0, trials=(rated("aaaa", 900.0),)),
                Attempt(factor=4.0, trials=(rated("bbbb", None),)),
            ),
            factor=1.0,
        )
        for variant in study.variants[:2]
    )
    words, tables = words_of(replace(study, tuning=replace(begun, arms=arms)), results)
    table = next(table for caption, table in tables.items() if caption.startswith("Every trial of the tuning"))
    assert table.rows == (
        ("reference", "1", "1,000,000", "900", "chosen", "aaaa"),
        ("reference", "4", "1,000,000", "> 1,800", "", "bbbb"),
        ("tanh instead of ReLU", "1", "1,000,000", "900", "chosen", "aaaa"),
        ("tanh instead of ReLU", "4", "1,000,000", "> 1,800", "", "bbbb"),
    )
    assert "Not tuned themselves, with the rate of what they depart from: placebo (other random draws)." in words
    assert "One training decides between two rates" in words
    assert "The best rate of reference, 1 times its own, lies at the edge of what was tried" in words


def test_no_verdict_is_drawn_from_the_pairs_that_happened_to_arrive() -> None:
    answers = []
    for factor in (3.0, 5.7):  # at 5.7 some of five seeds do not arrive
        study, results = raced(factor)
        evidence = Findings(study=study, results=results, problems=())
        (claim,) = study.claims
        effect = effect_on(evidence, claim)
        assert effect is not None and claim.name == "activation_steps"
        answers.append((effect.n, obstacle(evidence, claim, effect)[0]))
    assert answers[0] == (5, "")
    assert 0 < answers[1][0] < 5
    assert answers[1][1] == CENSORED
