"""Doses of a study file: which components are some, what their trend is by hand and by scipy, and how it is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablations.analysis.doses import step as step_of
from ablations.analysis.doses import trends
from ablations.calibration.doses import simulate
from ablations.core.errors import InputError
from ablations.core.load import load
from ablations.core.subject import Doses, Place
from ablations.core.text import MINUS
from ablations.core.trial import Trial
from ablations.reporting import exports
from ablations.reporting.document import Section, Table
from ablations.reporting.sections import doses as told
from tests.own import made_up

TEXT = """
subject = Subject(
    reference={"hidden": 64, "alpha": 0.5, "norm": "batch"},
    components={"hidden": Component([16, 256], scale="log", unit="units"), "alpha": 0.0, "norm": ["group", "none"]},
    metrics={"score": Metric("higher", unit="points")},
)
"""
SCORES = {16: [1.0, 5.0, 3.5], 64: [2.0, 6.0, 4.0], 256: [3.0, 8.0, 5.0]}  # by dose, seed by seed
ALL = ("hidden=all",)


def score(trial: Trial) -> dict[str, float]:
    values = trial.config["config"]
    placebo = 0.1 * (trial.seed + 1) * bool(trial.config.get("salt"))
    return {"score": SCORES[values["hidden"]][trial.seed] + placebo}


def opened(path: Path, text: str) -> Any:
    path.write_text(f"{made_up.HEAD}{text}{made_up.TRIAL}")
    load.cache_clear()
    return load(str(path))


def test_the_slope_of_each_seed_is_its_own_and_their_mean_has_a_t_interval(tmp_path: Path) -> None:
    (trend,) = trends(made_up.findings(tmp_path / "made_up_doses.py", TEXT, score, seeds=3, words=ALL))
    # Doses 16, 64 and 256 are 4, 6 and 8 doublings: by hand each seed's slope is (last - first) / 4.
    by_hand = [(3 - 1) / 4, (8 - 5) / 4, (5 - 3.5) / 4]
    tested = stats.ttest_1samp(by_hand, 0)
    low, high = tested.confidence_interval()
    assert trend.slope == pytest.approx(np.mean(by_hand))
    assert (trend.low, trend.high, trend.p) == pytest.approx((low, high, tested.pvalue))
    # What a square adds: y1 - 2 y2 + y3 of each seed, up to a common factor.
    assert trend.bend == pytest.approx(stats.ttest_1samp([0.0, 1.0, 0.5], 0).pvalue)
    polynomials = [np.polyfit([4, 6, 8], [SCORES[dose][seed] for dose in (16, 64, 256)], 1)[0] for seed in range(3)]
    assert polynomials == pytest.approx(by_hand)


def test_the_section_answers_first_and_says_what_the_scale_is(tmp_path: Path) -> None:
    found = made_up.findings(tmp_path / "made_up_doses.py", TEXT, score, seeds=3, words=ALL)
    section = told.section(found)
    assert isinstance(section, Section)
    # Slopes of .5, .75 and .375 have the mean .542 and the standard error .110; t(.975, 2) is 4.303.
    assert section.blocks[0] == (
        "From 16 to 256 units of hidden the score rises (+0.54 points, 95% interval [+0.07, +1.02] for each "
        "doubling, 3 seeds)."
    )
    table = section.blocks[-1]
    assert isinstance(table, Table)
    assert table.rows[0][:3] == ("hidden", "16, 64, 256", "logarithmic: for each doubling")
    assert table.rows[0][5] == "3 of 3"


@pytest.mark.parametrize(
    ("each", "seeds", "why"),
    [
        (2.0, 3, "the slopes of all 3 seeds are equal (+1.00 points for each doubling), and an interval takes slopes"),
        (0.0, 3, "the slopes of all 3 seeds are equal (+0.00 points for each doubling), and an interval takes slopes"),
        (2.0, 1, "1 seed finished at every dose, and it takes two"),
    ],
)
def test_a_trend_without_an_interval_says_why(tmp_path: Path, each: float, seeds: int, why: str) -> None:
    def straight(trial: Trial) -> dict[str, float]:
        return {"score": each / 2 * np.log2(trial.config["config"]["hidden"]) + trial.seed}

    found = made_up.findings(tmp_path / "made_up_doses.py", TEXT, straight, seeds=seeds, words=ALL)
    section = told.section(found)
    assert section
    assert str(section.blocks[0]).startswith(f"From 16 to 256 units of hidden no trend can be told: {why}")


@pytest.mark.parametrize(
    ("amounts", "step"),
    [((0, 0.1, 0.2), 0.1), ((4, 16, 64), 10), ((0, 1), 0.1), ((0, 2), 1), ((3, 2.9), 0.01), ((100, 2_100), 1_000)],
)
def test_a_linear_trend_is_told_for_a_step_of_which_the_doses_span_at_least_two(
    amounts: tuple[float, ...], step: float
) -> None:
    reference, *levels = amounts
    assert step_of(Doses(reference=reference, levels={str(one): one for one in levels})) == pytest.approx(step)


def test_a_linear_slope_is_that_of_one_dose_to_the_next_where_they_are_a_step_apart(tmp_path: Path) -> None:
    def falls(trial: Trial) -> dict[str, float]:
        return {"score": 50 - 20 * trial.config["config"]["alpha"] + 0.1 * trial.seed * trial.config["config"]["alpha"]}

    text = TEXT.replace('"alpha": 0.0', '"alpha": [0.1, 0.3]')
    found = made_up.findings(tmp_path / "made_up_linear.py", text, falls, seeds=3, words=("alpha=all",))
    (trend,) = trends(found)
    assert (trend.step, trend.slope) == pytest.approx((0.1, -1.99))
    (row,) = exports.doses_table(found).to_dict("records")
    assert row["step"] == "0.1"
    section = told.section(found)
    assert section and str(section.blocks[0]).replace(MINUS, "-") == (
        "From 0.1 to 0.5 of alpha the score falls (-1.990 points, 95% interval [-2.015, -1.965] for each 0.1 "
        "more, 3 seeds)."
    )


def test_a_trend_is_a_row_of_doses_csv(tmp_path: Path) -> None:
    found = made_up.findings(tmp_path / "made_up_doses.py", TEXT, score, seeds=3, words=ALL)
    paths = exports.write_csv(found, tmp_path)
    (row,) = pd.read_csv(tmp_path / "doses.csv").to_dict("records")
    assert {path.name for path in paths} == {"effects.csv", "doses.csv", "verdicts.csv"}
    assert (row["component"], row["step"], row["n"]) == ("hidden", "doubling", 3)
    assert row["slope"] == pytest.approx((0.5 + 0.75 + 0.375) / 3)


def test_a_study_without_every_level_says_what_a_trend_needs(tmp_path: Path) -> None:
    section = told.section(made_up.findings(tmp_path / "made_up_doses.py", TEXT, score, seeds=3, words=("hidden=16",)))
    assert section is not None
    assert section.blocks == ("A trend over the doses of hidden needs all of their levels: --components hidden=all.",)


@pytest.mark.parametrize(
    ("component", "doses"),
    [
        ("[16, 256]", {"16": 16.0, "256": 256.0}),
        ("16", None),  # on or off, as far as anybody can tell
        ("Component(16, ordered=True)", {"16": 16.0}),
        ("Component([16, 256], ordered=False)", None),
        ("{'narrow': 16, 'wide': 256}", {"narrow": 16.0, "wide": 256.0}),
        ("{'narrow': {'hidden': 16, 'alpha': 0.1}, 'wide': 256}", None),
    ],
)
def test_numbers_beside_a_number_are_doses(tmp_path: Path, component: str, doses: dict[str, float] | None) -> None:
    text = TEXT.replace('Component([16, 256], scale="log", unit="units")', component)
    subject = opened(tmp_path / "made_up_which.py", text)
    found = subject.doses(subject.setting(subject.options(set=("hidden=32",)), Place(folder=tmp_path), None, beside=1))
    assert (found["hidden"].levels if doses else found) == (doses or {})
    assert not doses or found["hidden"].reference == 32.0


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("[16, 256]", "[0, 256]", "off is 0, which is no number above 0, as its scale is logarithmic"),
        ('"hidden": 64', '"hidden": "64"', "the reference is '64', which is no number of that field"),
        ('scale="log"', 'scale="cubic"', "it is 'linear' or 'log'"),
    ],
)
def test_what_is_no_dose_is_refused_in_a_sentence(tmp_path: Path, before: str, after: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        opened(tmp_path / "made_up_wrong.py", TEXT.replace(before, after))


@pytest.mark.parametrize("truth", ["no trend", "no trend on average, slopes differ between seeds"])
def test_trends_that_are_not_there_are_told_at_the_rate_of_the_rule(truth: str) -> None:
    tally = simulate(truth, studies=300, seeds=5)
    assert stats.binom.sf(tally.told - 1, 300, 0.05) > 0.001
    assert stats.binom.sf(tally.bent - 1, 300, 0.05) > 0.001
    assert 0.92 < tally.covered / 300 < 0.98


def test_a_bend_is_seen_and_the_line_through_it_still_held() -> None:
    tally = simulate("a bent one", studies=100, seeds=8)
    assert tally.bent > 80 and tally.told > 95 and tally.covered > 88
