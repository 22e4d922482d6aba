"""Metrics of a study file that are compared as ratios: told in times everywhere, from logarithms underneath."""

from __future__ import annotations

import re
from math import exp, log
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablations.analysis.verdicts import Findings
from ablations.calibration.ratios import FACTOR, TRUTHS, simulate
from ablations.core.errors import InputError
from ablations.core.load import load
from ablations.core.setting import Metric
from ablations.core.trial import Trial
from ablations.core.units import between, size
from ablations.records.claims import read_claims
from ablations.reporting import compose, exports, pages
from ablations.reporting.terminal import terminal_lines
from tests.own import made_up

TEXT = """
subject = Subject(
    reference={"width": 4, "depth": 1},
    components={"width": [2, 8], "depth": 2},
    metrics={"time": Metric("lower", unit="seconds", ratio=True, chance=900.0), "loss": "lower"},
    claims=[
        Claim(change="width=8", hurts="time", by=1.1, published_effect=1.3),
        Claim(change="depth", same="time", by=1.5),
    ],
    sabotage={"depth": 5},
)
"""
TIMES = {4: [60.0, 66.0, 57.0, 63.0, 59.0], 8: [80.0, 84.0, 77.0, 79.0, 81.0], 2: [50.0, 56.0, 47.0, 52.0, 51.0]}


def outcome(trial: Trial) -> dict[str, float]:
    values = trial.config["config"]
    wobble = 1 + 0.01 * ((7 * trial.seed + 3 * values["depth"]) % 5)
    moved = wobble if values["depth"] > 1 or trial.config.get("salt") else 1.0
    time = TIMES[values["width"]][trial.seed] * moved * {1: 1, 2: 1.02, 5: 4}[values["depth"]]
    return {"time": time, "loss": 1.0 + trial.seed}


@pytest.fixture
def found(tmp_path: Path) -> Findings:
    return made_up.findings(tmp_path / "made_up_ratios.py", TEXT, outcome)


def test_an_effect_is_the_ratio_whose_logarithm_scipy_finds(found: Findings) -> None:
    tested = stats.ttest_rel(np.log(TIMES[8]), np.log(TIMES[4]))
    low, high = tested.confidence_interval()
    (effect,) = [one for one in found.effects if one.label == "width=8"]
    assert effect.estimate == pytest.approx(np.log(np.divide(TIMES[8], TIMES[4])).mean())
    assert (effect.low, effect.high) == pytest.approx((low, high))
    assert effect.p == pytest.approx(tested.pvalue)
    (row,) = [one for one in exports.effects_table(found).to_dict("records") if one["level"] == "8"]
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx((exp(effect.estimate), exp(low), exp(high)))
    assert row["scale"] == "ratio"


def test_means_are_geometric_in_the_metrics_own_unit(found: Findings) -> None:
    assert found.mean("time", "reference") == pytest.approx(stats.gmean(TIMES[4]))
    assert found.mean("loss", "reference") == pytest.approx(3.0)


def test_a_claims_margin_and_published_effect_are_ratios(found: Findings) -> None:
    hurts, same = found.verdicts
    assert hurts.claim.smallest_effect == pytest.approx(log(1.1))
    assert hurts.claim.published_effect == pytest.approx(log(1.3))
    assert hurts.label == "reproduced [draft]" and same.label == "reproduced [draft]"
    row = exports.verdicts_table(found).to_dict("records")[0]
    assert (row["smallest_effect"], row["published_effect"]) == pytest.approx((1.1, 1.3))
    assert row["low"] == pytest.approx(exp(hurts.low))


@pytest.mark.usefixtures("sketches")
def test_a_report_tells_times_and_geometric_means_and_no_logarithm(found: Findings, tmp_path: Path) -> None:
    pages.write(compose.compose(found), tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text().replace("\\", "")
    ratio, mean = exp(np.log(np.divide(TIMES[8], TIMES[4])).mean()), stats.gmean(TIMES[4])
    low, high = np.exp(stats.ttest_rel(np.log(TIMES[8]), np.log(TIMES[4])).confidence_interval())
    assert re.search(
        rf"\| width 8 instead of 4 \| \w+ \| {ratio:.3f} \| {re.escape(f'[{low:.3f}, {high:.3f}]')} \|", text
    )
    assert re.search(rf"\| reference \|.*\| {mean:.4g} \|", text)
    assert "a factor of 1.1" in text and "1.3 times" in text
    assert "| effect, times |" in text and "how many times the time" in text
    assert "left of 1" not in text and "tell it from 1;" in text and "its own unit" not in text
    said = terminal_lines(found)
    assert "Change in time, times; above 1 the change made it worse." in said
    latex = exports._effects_latex(found)
    assert f"{ratio:.3f} & [{low:.3f}, {high:.3f}]" in latex


def test_numbers_without_a_unit_show_two_figures_of_their_scatter(tmp_path: Path) -> None:
    text = TEXT.replace(
        '"time": Metric("lower", unit="seconds", ratio=True, chance=900.0), "loss": "lower"', '"r2": "higher"'
    )
    text = re.sub(r"claims=\[.*?\],\n", "", text, flags=re.DOTALL)

    def r2(trial: Trial) -> dict[str, float]:
        return {
            "r2": 0.9
            + 0.004 * np.sin(trial.seed)
            + 0.0003 * np.cos(len(trial.key) * trial.config["config"]["width"] + trial.seed)
        }

    found = made_up.findings(tmp_path / "made_up_fine.py", text, r2)
    scatter = pd.Series([one.spread for one in found.effects if one.spread > 0]).median()
    assert 1e-4 < scatter < 1e-3
    assert found.main_metric.digits == 5
    assert "effect," not in terminal_lines(found)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("by=1.1", "by=0.1", "above 1, as time is compared as a ratio"),
        ("published_effect=1.3", "published_effect=-0.3", "it must be a ratio above 0"),
        ("chance=900.0", "chance=0.0", "it is compared as a ratio, so above 0"),
    ],
)
def test_what_is_no_ratio_is_refused_in_a_sentence(tmp_path: Path, before: str, after: str, said: str) -> None:
    path = tmp_path / f"made_up_{re.sub('[^a-z]', '', before)}.py"
    path.write_text(f"{made_up.HEAD}{TEXT.replace(before, after)}{made_up.TRIAL}")
    load.cache_clear()
    with pytest.raises(InputError, match=said):
        load(str(path))


def test_a_time_of_zero_is_what_came_of_its_trial(tmp_path: Path) -> None:
    said = made_up.failure(tmp_path / "made_up_zero.py", TEXT, '{"time": 0.0, "loss": 1.0}')
    assert said == "time is 0; it is compared as a ratio, so it must be above 0"


def test_an_interval_that_overflows_is_told_and_fails_nothing() -> None:
    metric = Metric(words="time", ratio=True)
    assert between(metric, -1000.0, 1000.0) == "[0.00, no bound]"
    assert between(metric, float("nan"), float("nan")) == "\N{EN DASH}"
    assert size(metric, log(2)) == "2.00"


@pytest.mark.parametrize("truth", ["no effect", "at the margin"])
def test_verdicts_on_ratios_are_wrong_no_oftener_than_the_rule_says(truth: str) -> None:
    tally = simulate(truth, studies=60, seeds=5, claims=4)
    assert stats.binom.sf(max(tally.wrong_direction, tally.wrong_size) - 1, tally.studies, 0.05) > 0.001
    assert 0.9 < tally.covered / (tally.studies * tally.claims) < 0.99
    assert TRUTHS["at the margin"] == (FACTOR,)


def test_a_claims_file_gives_ratios_too(tmp_path: Path) -> None:
    path = tmp_path / "made_up_file.py"
    path.write_text(f"{made_up.HEAD}{TEXT}{made_up.TRIAL}")
    load.cache_clear()
    claim = """[[claim]]
name = "wide"
component = "width"
level = "8"
statement = "Wide takes longer."
metric = "time"
direction = "raises"
smallest_effect = 1.1
reason = "a tenth"
published_effect = 1.3
"""
    (tmp_path / "claims.toml").write_text(claim)
    (found,) = read_claims(tmp_path / "claims.toml", str(path))
    assert (found.smallest_effect, found.published_effect) == pytest.approx((log(1.1), log(1.3)))
    (tmp_path / "claims.toml").write_text(claim.replace("1.1", "0.9"))
    with pytest.raises(InputError, match="above 1, as the metric is compared as a ratio"):
        read_claims(tmp_path / "claims.toml", str(path))
