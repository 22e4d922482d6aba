"""Several data sets as blocks: pairs within a data set and seed, means over data sets, and what is refused."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from math import isnan, nan, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import mixedlm
from statsmodels.stats.oneway import anova_oneway

from ablations.analysis import traces
from ablations.analysis.blocks import OverBlocks, over_blocks, summed
from ablations.analysis.doses import trends
from ablations.analysis.effects import main_effects
from ablations.analysis.gates import study_gates
from ablations.analysis.looks import stage
from ablations.analysis.statistics import both_samplings
from ablations.analysis.tables import over_blocks as means_over
from ablations.analysis.verdicts import Findings
from ablations.calibration.blocks import BY_SEED, LIKE, PLAIN, POOLED_LIKE, WITHIN, simulate
from ablations.core.effect import Effect
from ablations.core.errors import InputError
from ablations.core.load import REPEAT
from ablations.core.result import DONE, OUT_OF_MEMORY, Result
from ablations.core.text import MINUS
from ablations.core.trial import Trial
from ablations.reporting import compose, exports, paper
from ablations.reporting.answer import answer, void_words
from ablations.reporting.document import Picture, Table
from ablations.reporting.terminal import terminal_lines
from tests.own import made_up

NAMES = ("ants", "bees", "crows", "deer", "elk")
TEXT = f"""
subject = Subject(
    reference={{"scale": True, "width": 4}},
    components={{"scale": False, "width": [2, 8]}},
    metrics={{"score": Metric("higher", unit="points", chance=dict.fromkeys({NAMES!r}, 5.0))}},
    claims=[Claim(change="scale", hurts="score", by=0.1)],
    data={list(NAMES)!r},
)
"""
# Of the score without scaling: a row a data set, a column a seed.
CHANGE = np.array([[-1.6, -0.4, -1.0], [0.5, 0.1, 0.4], [-3.0, -2.0, -2.2], [-0.2, -0.1, 0.3], [-9.0, -11.0, -4.0]])
LEVEL = [90.0, 50.0, 70.0, 30.0, 60.0]  # of the reference's score
SALT = np.array([[0.3, -0.2, 0.5], [-0.4, 0.1, 0.2], [0.6, -0.5, -0.3], [0.2, 0.4, -0.7], [-0.1, 0.3, -0.2]])

NUMBER = itertools.count()

Outcome = Callable[[Trial], dict[str, float]]


def outcome(trial: Trial) -> dict[str, float]:
    values, block = trial.config["config"], NAMES.index(trial.data)
    salted = SALT[block, trial.seed] if trial.config.get("salt") else 0.0
    change = 0.0 if values["scale"] else CHANGE[block, trial.seed]
    return {"score": LEVEL[block] + trial.seed + change + salted + values["width"] - 4}


def findings(tmp_path: Path, outcomes: Outcome = outcome, text: str = TEXT, grid: str = "one_out") -> Findings:
    path = tmp_path / f"made_up_blocks_{next(NUMBER)}.py"  # a file is imported once a process
    return made_up.findings(path, text, outcomes, seeds=3, grid=grid)


def scale(found: Findings) -> Effect:
    return next(one for one in found.effects if one.component == "scale")


def over(found: Findings, component: str) -> OverBlocks:
    return next(one for one in over_blocks(found) if one.effect.component == component)


def without(found: Findings, *gone: tuple[str, str, int]) -> Findings:
    """The findings without the records of these (variant, data set, seed)."""
    kept = [one for one in found.results if (one.trial.variant.label, one.trial.data, one.trial.seed) not in gone]
    return Findings(study=found.study, results=kept)


def changed(found: Findings, make: Callable[[Result], Result]) -> Findings:
    return Findings(study=found.study, results=[make(one) for one in found.results])


def test_every_variant_has_a_trial_on_each_data_set_under_each_seed(tmp_path: Path) -> None:
    found = findings(tmp_path)
    counts = Counter((one.trial.variant.label, one.trial.data, one.trial.seed) for one in found.results)
    assert set(counts.values()) == {1} and len(counts) == len(found.labels) * len(NAMES) * 3
    assert len({one.trial.key for one in found.results}) == len(found.study.keys) == found.study.trials_a_seed * 3
    first = [one.trial for one in found.results[: found.study.trials_a_seed]]
    assert {trial.seed for trial in first} == {0}  # a study that is stopped holds complete seeds


def test_an_effect_is_the_mean_over_data_sets_of_pairs_within_a_data_set_and_seed(tmp_path: Path) -> None:
    found = findings(tmp_path)
    plain = stats.ttest_1samp(CHANGE.mean(axis=0), 0)  # a seed's pairs, averaged over data sets
    interval, effect = plain.confidence_interval(0.95), scale(found)
    assert effect.estimate == pytest.approx(CHANGE.mean())
    assert (effect.low, effect.high, effect.p) == pytest.approx((*interval, plain.pvalue))
    assert (effect.n, effect.df) == (3, 2)
    (verdict,) = found.verdicts
    assert verdict.p_holm == pytest.approx(plain.pvalue) and verdict.call == "reproduced"
    width = trends(found)[0]
    assert width.slope == pytest.approx(1.0) and width.seeds == 3


def test_a_change_that_helps_on_one_data_set_and_hurts_on_the_others_is_said_to(tmp_path: Path) -> None:
    assert "the other way" not in answer(findings(tmp_path)).sentences[0]  # on bees by chance alone: p is .11

    def helps_bees(trial: Trial) -> dict[str, float]:
        more = 0 if trial.config["config"]["scale"] else 3 if trial.data == "bees" else -4
        return {"score": outcome(trial)["score"] + more}

    found = findings(tmp_path, helps_bees)
    said = answer(found).sentences[0]
    assert "no scale hurt (4.8 points on average, and the other way on bees)" in said
    table = next(one for one in compose.compose(found).lead if isinstance(one, Table))
    row = next(row for row in table.rows if row[0] == "no scale")
    assert row[table.head.index("notes")] == "the other way on bees: see Effects by data set"


def test_a_mixed_model_with_a_random_intercept_for_each_data_set_and_seed_has_the_same_estimate(tmp_path: Path) -> None:
    found = findings(tmp_path)
    rows = [
        {
            "score": one.metrics["score"],
            "off": float(one.trial.variant.label == "-scale"),
            "unit": f"{one.trial.data}/{one.trial.seed}",
        }
        for one in found.results
        if one.trial.variant.label in ("reference", "-scale")
    ]
    fitted = mixedlm("score ~ off", pd.DataFrame(rows), groups="unit").fit(reml=True)
    assert scale(found).estimate == pytest.approx(fitted.params["off"], abs=1e-4)


def test_each_data_set_has_its_own_effect_and_others_like_these_are_judged_by_the_scatter_between(
    tmp_path: Path,
) -> None:
    found = over(findings(tmp_path), "scale")
    for effect, pairs in zip(found.each, CHANGE, strict=True):
        plain = stats.ttest_1samp(pairs, 0)
        assert (effect.estimate, effect.p) == pytest.approx((pairs.mean(), plain.pvalue))
    means = CHANGE.mean(axis=1)
    error, _ = both_samplings(CHANGE)  # Searle, Casella and McCulloch: rows and columns random
    common = error**2 - float(stats.sem(means)) ** 2
    if common <= 0:
        error, df = float(stats.sem(means)), 4.0
    else:
        df = error**4 / (float(stats.sem(means)) ** 4 / 4 + common**2 / 2)
    half = stats.t.ppf(0.975, df) * error
    assert (found.low, found.high) == pytest.approx((means.mean() - half, means.mean() + half))
    assert found.p_ranks == pytest.approx(stats.wilcoxon(means.round(9)).pvalue)
    assert found.p_apart == pytest.approx(anova_oneway(list(CHANGE), use_var="unequal").pvalue)
    within = float(CHANGE.var(axis=1, ddof=1).mean()) / 3
    assert found.apart == pytest.approx(sqrt(means.var(ddof=1) - within))
    assert (found.ahead, found.behind) == (1, 3)  # on deer it is zero


def test_what_a_seed_does_to_all_data_sets_alike_widens_the_interval_for_others(tmp_path: Path) -> None:
    shared = np.array([[2.0, -1.0, 0.5]] * 5)

    def alike(trial: Trial) -> dict[str, float]:
        change = 0.0 if trial.config["config"]["scale"] else shared[NAMES.index(trial.data), trial.seed]
        return {
            "score": outcome(trial)["score"] + (change - CHANGE[NAMES.index(trial.data), trial.seed]) * bool(change)
        }

    found = over(findings(tmp_path, alike), "scale")
    plain = stats.ttest_1samp(shared[0], 0).confidence_interval(0.95)
    assert found.effect.low == pytest.approx(plain.low)
    assert found.low == pytest.approx(plain.low)  # five equal numbers are no five data sets


def test_a_trial_that_is_missing_on_one_data_set_takes_its_seed_out_and_no_more(tmp_path: Path) -> None:
    found = without(findings(tmp_path), ("-scale", "crows", 1))
    effect, kept = scale(found), CHANGE[:, [0, 2]].mean(axis=0)
    assert effect.n == 2 and effect.estimate == pytest.approx(kept.mean())
    there = over(found, "scale").each[NAMES.index("crows")]
    assert there.n == 2 and there.estimate == pytest.approx(np.mean([-3.0, -2.2]))
    assert next(one for one in found.effects if one.component == "placebo").n == 3

    def out_of_memory(one: Result) -> Result:
        here = (one.trial.variant.label, one.trial.data, one.trial.seed) == ("-scale", "crows", 1)
        return replace(one, status=OUT_OF_MEMORY, metrics={}) if here else one

    assert scale(changed(findings(tmp_path), out_of_memory)).n == 2


def test_a_training_that_fails_on_one_data_set_fails_its_seed_by_the_chance_level_there(tmp_path: Path) -> None:
    text = TEXT.replace("dict.fromkeys", '{"elk": 40.0} | dict.fromkeys').replace(", 5.0)", ', 5.0) | {"elk": 55.0}')

    def collapsed(trial: Trial) -> dict[str, float]:
        at = (trial.variant.label, trial.data, trial.seed) == ("-scale", "elk", 2)
        return {"score": 52.0} if at else {"score": outcome(trial)["score"] + 30 * (trial.data == "elk")}

    found = findings(tmp_path, collapsed, text)
    (key,) = found.failed
    assert next(one for one in found.results if one.trial.key == key).trial.data == "elk"  # 52 is fine on bees
    effect = scale(found)
    assert (effect.n, effect.failed, effect.ended) == (2, (1, 0), (3, 3))
    assert found.study.setting.guessing == pytest.approx((4 * 5 + 55) / 5)


def test_the_reference_has_to_learn_on_every_data_set(tmp_path: Path) -> None:
    def gate(found: Findings) -> bool | None:
        return next(one for one in study_gates(found) if one.name == "the reference learns").passed

    assert gate(findings(tmp_path)) is True
    hard = findings(tmp_path, text=TEXT.replace(", 5.0)", ', 5.0) | {"deer": 10.0}'))
    assert gate(hard) is False
    assert {one.reason for one in hard.verdicts} == {"gate"}
    assert void_words(hard).startswith("Not judged: the reference did not learn (ants 91.00%; ")


def test_a_change_that_does_nothing_on_one_data_set_is_told_there_and_on_all_is_not_judged(tmp_path: Path) -> None:
    def traced(*idle: str) -> Callable[[Result], Result]:
        def make(one: Result) -> Result:
            trial, departed = one.trial, bool(one.trial.variant.departures) and one.trial.data not in idle
            trace = f"{trial.seed}{trial.variant.label * departed}"
            first = not trial.variant.departures and trial.seed == 0
            same = {"score": LEVEL[NAMES.index(trial.data)] + trial.seed}  # as of the reference
            does_nothing = trial.variant.label == "-scale" and trial.data in idle
            metrics = same if does_nothing else one.metrics
            return replace(one, trace=trace, metrics=metrics, extras={REPEAT: trace} if first else {})

        return make

    some, every = (changed(findings(tmp_path), traced(*idle)) for idle in (("bees",), NAMES))
    assert not traces.identical(some, scale(some)) and traces.identical(every, scale(every))
    assert traces.identical(some.on_each["bees"], scale(some))
    assert [one.reason for one in every.verdicts] == ["inactive"]
    (section,) = [one for one in compose.compose(some).sections if one.title == "Effects by data set"]
    tables = [one for one in section.blocks if isinstance(one, Table)]
    assert [row[1] for row in tables[1].rows if row[0] == "no scale" and "does nothing here" in row[-1]] == ["bees"]


def test_seeds_that_are_not_used_on_one_data_set_stop_every_verdict(tmp_path: Path) -> None:
    def traced(one: Result) -> Result:
        return replace(one, trace=f"{one.trial.variant.label}{one.trial.seed * (one.trial.data != 'bees')}")

    found = changed(findings(tmp_path), traced)
    gate = next(one for one in study_gates(found) if one.name == "the seed is used")
    assert gate.passed is False
    assert {one.reason for one in found.verdicts} == {"gate"}


def test_splits_may_be_of_another_size_on_each_data_set_and_the_widest_overlap_counts(tmp_path: Path) -> None:
    text = TEXT.replace("data=[", 'replicate="split", data=[')

    def split(trial: Trial) -> dict[str, float]:
        size = {"train_size": 100 + 10 * NAMES.index(trial.data), "test_size": 25}
        return {**outcome(trial), **size}

    def uneven(trial: Trial) -> dict[str, float]:
        return {**split(trial), **({"test_size": 26} if (trial.data, trial.seed) == ("elk", 1) else {})}

    found, wrong = findings(tmp_path, split, text), findings(tmp_path, uneven, text)
    assert found.overlap == pytest.approx(25 / 100)
    by_seed = CHANGE.mean(axis=0)
    assert scale(found).error == pytest.approx(sqrt((1 / 3 + 0.25) * by_seed.var(ddof=1)))
    assert over(found, "scale").each[4].error == pytest.approx(sqrt((1 / 3 + 25 / 140) * CHANGE[4].var(ddof=1)))
    assert isnan(wrong.overlap) and isnan(scale(wrong).error)
    gates = [next(one for one in study_gates(some) if "one size" in one.name) for some in (found, wrong)]
    assert [gate.passed for gate in gates] == [True, False]
    assert "ants: 100 and 25" in gates[0].found and "elk: 140 and 25, 140 and 26" in gates[1].found


def test_a_look_is_taken_once_its_seeds_have_run_on_every_data_set(tmp_path: Path) -> None:
    found = findings(tmp_path)
    study = replace(found.study, rule=replace(found.study.rule, looks=(2, 3)))
    some = [one for one in found.results if one.trial.seed < 2]
    assert stage(Findings(study=study, results=some)).taken == 1
    assert stage(Findings(study=study, results=some[:-1])).taken == 0


def test_other_data_sets_are_never_told_of_more_surely_than_these() -> None:
    def effect(estimate: float, error: float) -> Effect:
        numbers: Any = {"estimate": estimate, "low": nan, "high": nan, "p": nan, "error": error, "df": 9.0}
        return Effect(
            component="a", level="off", metric="m", kind="one out", n=10, correlation=nan, method="", **numbers
        )

    close = [effect(1.0 + 0.01 * block, 1.0) for block in range(5)]  # nearer to each other than their errors say
    found = summed(effect(1.02, 1.0 / sqrt(5)), close)
    half = stats.t.ppf(0.975, 9) / sqrt(5)
    assert (found.low, found.high) == pytest.approx((1.02 - half, 1.02 + half))


def test_main_effects_of_a_factorial_are_over_data_sets_too(tmp_path: Path) -> None:
    found = findings(tmp_path, text=TEXT.replace("[2, 8]", "8"), grid="full")
    (effect,) = [one for one in main_effects(found.study, found.outcomes, "score") if one.component == "scale"]
    plain = stats.ttest_1samp(CHANGE.mean(axis=0), 0)
    assert (effect.estimate, effect.p) == pytest.approx((CHANGE.mean(), plain.pvalue))
    assert over_blocks(found)[0].each[0].estimate == pytest.approx(CHANGE[0].mean())


def test_ratios_are_averaged_over_data_sets_as_logarithms(tmp_path: Path) -> None:
    text = TEXT.replace('unit="points", chance=dict.fromkeys', "ratio=True, chance=dict.fromkeys")
    found = findings(
        tmp_path,
        lambda trial: {"score": np.exp(outcome(trial)["score"] / 10)},
        text.replace(", 5.0)", ", 1.0)").replace("by=0.1", "by=1.1"),
    )
    assert scale(found).estimate == pytest.approx(CHANGE.mean() / 10)


def test_two_records_of_a_trial_are_refused_with_the_data_set() -> None:
    row = {"variant": ["reference"] * 2, "seed": [0, 0], "status": [DONE] * 2, "score": [1.0, 2.0]}
    with pytest.raises(InputError, match="seed 0 on ants"):
        means_over({"ants": pd.DataFrame(row), "bees": pd.DataFrame(row).iloc[:1]})


def test_a_seed_that_has_not_run_on_all_data_sets_is_not_done() -> None:
    one = pd.DataFrame({"variant": ["reference"], "seed": [0], "status": [DONE], "score": [1.0]})
    none = means_over({"ants": one, "bees": one.iloc[:0]})
    assert list(none["status"]) == ["unfinished"] and isnan(none["score"][0])
    both = means_over({"ants": one, "bees": one.assign(score=nan)})
    assert isnan(both["score"][0])


def test_the_report_and_the_terminal_show_both_answers_and_every_data_set(tmp_path: Path) -> None:
    found = findings(tmp_path)
    (section,) = [one for one in compose.compose(found).sections if one.title == "Effects by data set"]
    words, picture, summary, each, references = section.blocks
    assert "They hold for these data sets, and not for others" in str(words)
    assert isinstance(picture, Picture) and all(name in picture.svg for name in (*NAMES, "others like these"))
    assert isinstance(summary, Table) and isinstance(each, Table) and isinstance(references, Table)
    assert summary.rows[0][:2] == ("no scale", f"{MINUS}2.21") and summary.rows[0][6] == "1 / 3"
    assert len(each.rows) == len(found.effects) * len(NAMES)
    assert [row[0] for row in references.rows] == list(NAMES)
    assert "61% score over 5 data sets" in " ".join(answer(found).sentences)
    said = terminal_lines(found)
    assert "By data set" in said and all(name in said for name in NAMES)
    assert f"Means over {found.study.setting.data} and 3 seeds" in paper.paper(found).method
    rows = exports.effects_table(found)
    assert list(rows[rows["component"] == "scale"]["data"]) == [exports.ALL, *NAMES]
    assert list(rows[rows["component"] == "scale"]["estimate"]) == pytest.approx([CHANGE.mean(), *CHANGE.mean(axis=1)])
    few = findings(
        tmp_path, text=TEXT.replace(str(list(NAMES)), "['ants', 'bees']").replace(str(NAMES), "('ants', 'bees')")
    )
    assert all(isnan(one.low) and isnan(one.p) for one in over_blocks(few))
    assert "Of other data sets nothing is said" in str(compose.compose(few).sections)


def test_intervals_of_these_and_of_others_hold_and_pairs_taken_as_one_sample_do_not() -> None:
    def low(found: object, way: str) -> float:
        return float(stats.binom.cdf(found.held[way], found.studies, 0.95))  # type: ignore[attr-defined]

    differ = simulate("another effect on each", studies=150)
    assert low(differ, BY_SEED) > 0.001 and low(differ, LIKE) > 0.001
    assert differ.held[POOLED_LIKE] < 0.75 * differ.studies
    common = simulate("the same, half of a seed's draws common to all", studies=150)
    assert low(common, BY_SEED) > 0.001 and low(common, LIKE) > 0.001
    assert max(common.held[WITHIN], common.held[PLAIN]) < 0.85 * common.studies
