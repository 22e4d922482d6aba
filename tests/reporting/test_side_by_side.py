"""Two studies side by side: against scipy on the same numbers, and by what a reader must be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ablations.analysis.verdicts import Findings
from ablations.core.errors import InputError
from ablations.core.result import Result
from ablations.records import store
from ablations.report import render_two
from ablations.reporting.side_by_side import APART, PAIRED, compose, conditions, differences
from tests import synthetic
from tests.making import with_budget, with_setting


def evidence(*words: str, seeds: int = 5, seed: int = 0, grid: str = "one_out", name: str = "first") -> Findings:
    study, trials = synthetic.plan(grid, words, seeds=seeds, name=name)
    return Findings(study=study, results=synthetic.results(trials, seed=seed))


def test_with_the_same_seeds_the_difference_is_a_paired_t_of_the_differences() -> None:
    one, two = evidence("lrn", "dropout"), evidence("lrn", seed=1, name="second")
    found = {item.first.component: item for item in differences(one, two)}
    assert set(found) == {"lrn", "mild_sabotage", "placebo", "sabotage"}  # dropout is in one of them alone
    values = [some.by_seed(some.metric)["-lrn"] - some.by_seed(some.metric)["reference"] for some in (one, two)]
    expected = stats.ttest_rel(values[1], values[0])
    made = found["lrn"].difference
    assert made.method == "seeds paired"
    assert made.estimate == pytest.approx(float(np.mean(values[1] - values[0])))
    assert made.p == pytest.approx(expected.pvalue)
    assert (made.low, made.high) == pytest.approx(tuple(expected.confidence_interval()))


def test_with_other_seeds_it_is_welchs_t() -> None:
    one, two = evidence("lrn"), evidence("lrn", seed=1, seeds=8, name="second")
    made = differences(one, two)[0].difference
    values = [some.by_seed(some.metric)["-lrn"] - some.by_seed(some.metric)["reference"] for some in (one, two)]
    expected = stats.ttest_ind(values[1], values[0], equal_var=False)
    assert made.method == "Welch"
    assert made.p == pytest.approx(expected.pvalue)
    assert (made.low, made.high) == pytest.approx(tuple(expected.confidence_interval()))


def ended(some: Findings, how: Callable[[Result], Result], label: str, most: int) -> Findings:
    """The same study, had the first `most` trials of a variant ended in another way."""
    results = [how(one) if one.trial.variant.label == label and one.trial.seed < most else one for one in some.results]
    return Findings(study=some.study, results=results)


def test_the_difference_is_that_of_the_effects_shown_also_where_pairs_are_missing() -> None:
    one, two = evidence("lrn", seeds=10), evidence("lrn", seed=1, seeds=10, name="second")
    apart = [ended(some, synthetic.failed, "-lrn", 3) for some in (one, two)]  # of the same seeds in both
    for (first, second), method in (((apart[0], apart[1]), PAIRED), ((apart[0], two), APART), ((one, two), PAIRED)):
        item = differences(first, second)[0]
        assert item.difference.method == method
        assert item.difference.estimate == pytest.approx(item.second.estimate - item.first.estimate)


def test_an_effect_of_which_trainings_failed_is_not_counted_as_one_that_differs() -> None:
    one, two = evidence("lrn", "dropout", seeds=8), evidence("lrn", "dropout", seed=1, seeds=8, name="second")
    (said,) = compose(ended(one, synthetic.diverged, "-lrn", 3), two).answer.sentences
    assert said.startswith("Of 1 effect that both studies have and that can be compared")
    assert said.endswith("The sizes of no LRN are not compared, as trainings failed.")
    assert "no LRN" not in said.partition(". ")[0]


def test_what_differs_is_named_and_what_does_not_is_not() -> None:
    one, two = evidence("lrn"), evidence("lrn", seeds=3, name="second")
    study = with_budget(two.study, epochs=30)
    two = replace(two, study=with_setting(study, facts={**study.setting.facts, "preset": "cifar_small"}))
    unlike, alike = conditions(one, two)
    assert unlike == {"preset": ("cifar", "cifar_small"), "seeds": ("5", "3"), "epochs": ("12", "30")}
    assert {"data set", "data fingerprint", "torch", "commit"} <= set(alike)


def test_two_studies_of_the_same_trials_do_not_differ_and_it_says_how_many_are_shared() -> None:
    one = evidence("lrn", "dropout")
    report = compose(one, evidence("lrn", "dropout", name="second"))
    assert all(item.difference.estimate == 0 for item in differences(one, one))
    assert any(
        "35 trials" not in line and "30 trials of the two are the very same" in line
        for section in report.sections
        for line in section.blocks
        if isinstance(line, str)
    )


def test_one_sentence_says_that_nothing_is_shared() -> None:
    with pytest.raises(InputError, match=r"share no component: one changes lrn=off, the other dropout=off\."):
        compose(evidence("lrn"), evidence("dropout", name="second"))
    with pytest.raises(InputError, match="ask different questions"):
        compose(
            replace_controls(evidence("lrn", "dropout")), replace_controls(evidence("lrn", "dropout", grid="one_in"))
        )


def replace_controls(some: Findings) -> Findings:
    """The study without its controls, which every grid has alike."""
    controls = {*some.study.controls}
    kept = tuple(one for one in some.study.variants if not {name for name, _ in one.departures} & controls)
    return Findings(study=replace(some.study, variants=kept, controls=()), results=some.results)


def test_the_command_writes_both_renderings(tmp_path: Path) -> None:
    for some in (evidence("lrn"), evidence("lrn", seed=1, seeds=2, name="second")):
        folder = tmp_path / some.study.name
        store.write_study(folder, some.study)
        for result in some.results:
            store.write_result(folder, result)
    html, markdown = render_two("first", "second", tmp_path, tmp_path / "reports")
    assert html.parent.name == "first-and-second"
    for path in (html, markdown):
        text = path.read_text().replace("<wbr>", "")
        assert "What differs between the studies" in text and "no LRN" in text and "lrn=off" not in text
    assert (html.parent / "figures" / "differences.svg").exists()
    with pytest.raises(InputError, match="unknown study 'thrid'"):
        render_two("first", "thrid", tmp_path, tmp_path / "reports")


def test_a_race_to_a_threshold_is_not_compared_by_its_errors() -> None:
    root = Path(__file__).parents[2] / "results" / "reference"
    studies = (store.read(root / name) for name in ("figure1", "cifar10-six"))
    race, other = (Findings(study=study, results=results) for study, results, _ in studies)
    with pytest.raises(InputError, match="study 'figure1' ends its trials at a threshold"):
        compose(other, race)
