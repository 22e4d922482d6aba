"""Numbers are not rounded into other statements, and those that no float can hold fail no report."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import exp, inf, log
from pathlib import Path

import pytest

from ablations.analysis.verdicts import Findings
from ablations.cli.forecast import detects, power_lines
from ablations.core.setting import Metric
from ablations.core.text import MINUS, MISSING, interval, number, signed
from ablations.core.trial import Trial
from ablations.core.units import between, factor, margin, outcome, outcomes_between
from ablations.reporting import compose, exports, pages, slide
from ablations.reporting.figures.style import tick_labels
from ablations.reporting.paper import as_markdown, latex, paper
from ablations.reporting.sections.cards import in_words
from ablations.reporting.sections.verdicts import ours, published
from tests.own import made_up

TEXT = """
subject = Subject(
    reference={"slope": 2.0, "width": 4, "bad": 0.0},
    components={"slope": 1.0, "width": 8},
    metrics=METRICS,
    claims=[CLAIMS],
    sabotage={"bad": 1.0},
)
"""
RATIO = '{"perplexity": Metric("lower", ratio=True)}'


def found(path: Path, metrics: str, claims: str, outcomes: Callable[[Trial], dict[str, float]]) -> Findings:
    text = TEXT.replace("METRICS", metrics).replace("CLAIMS", claims)
    return made_up.findings(path / "made_up_fine_numbers.py", text, outcomes, seeds=10)


def wobble(trial: Trial) -> float:
    """Noise between -0.5 and 0.5, different in each trial of a seed."""
    return (trial.seed * (3 + sum(map(ord, trial.variant.label)) % 7)) % 11 / 11 - 0.5


def perplexity(trial: Trial) -> dict[str, float]:
    values = trial.config["config"]
    shift = 1 + 0.003 * (values["slope"] == 1.0)
    return {"perplexity": 20 * shift * (1 + values["bad"]) * (1 + 0.0004 * wobble(trial))}


def test_a_factor_near_one_differs_from_one_everywhere(tmp_path: Path) -> None:
    claims = """Claim(change="slope", hurts="perplexity", by=1.002, published_effect=1.04),
        Claim(change="width", same="perplexity", by=1.004)"""
    judged = found(tmp_path, RATIO, claims, perplexity)
    hurts, same = judged.verdicts
    assert published(hurts) == "1.04 times"
    assert "(a factor of 1.002)" in in_words(judged, hurts) and "(a factor of 1.004 would)" in in_words(judged, same)
    estimate, low, high = (float(one) for one in re.findall(r"[\d.]+", ours(hurts))[:3])
    assert hurts.effect is not None
    assert (estimate, low, high) == pytest.approx(
        (exp(hurts.effect.estimate), exp(hurts.low), exp(hurts.high)), abs=6e-5
    )
    assert low > 1.002
    resolved = [float(line.split()[4]) for line in power_lines(judged.study, judged.results)[1:3]]
    (least,) = re.findall(r"above ([\d.]+) times", detects(judged.study, judged.results))
    assert all(one > 1 for one in (*resolved, float(least)))
    assert outcome(judged.main_metric, 20.0412) == "20.041"


@pytest.mark.parametrize(
    ("ratio", "figures", "text"),
    [
        *[(2.0, 3, "2"), (1.5, 3, "1.5"), (1.1, 3, "1.1"), (6.0, 2, "6"), (0.5, 2, "0.5"), (1.25, 3, "1.25")],
        *[(exp(0.69), 2, "2"), (exp(0.345), 2, "1.4"), (1.04, 2, "1.04"), (0.998, 2, "0.998"), (0.05, 2, "0.05")],
        *[(1.002, 3, "1.002"), (1.00012, 3, "1.00012"), (1.0, 3, "1"), (1500.0, 3, "1,500"), (120.0, 2, "120")],
    ],
)
def test_usual_factors_keep_their_figures(ratio: float, figures: int, text: str) -> None:
    assert factor(ratio, figures) == text


def test_effects_have_the_digits_of_the_smallest_that_is_of_interest(tmp_path: Path) -> None:
    def outcomes(trial: Trial) -> dict[str, float]:
        values = trial.config["config"]
        error = 0.05 + 0.004 * (values["slope"] == 1.0) + 3 * values["bad"] + 0.001 * wobble(trial)
        return {"error": error, "nll": error / 10}

    metrics = '{"error": Metric("lower", unit="points", chance=90.0), "nll": Metric("lower", unit="nats")}'
    claims = 'Claim(change="slope", hurts="error", by=0.001), Claim(change="slope", hurts="nll", by=0.0001)'
    judged = found(tmp_path, metrics, claims, outcomes)
    points, nats = judged.verdicts
    assert "0.0040 points higher" in in_words(judged, points) and "(0.001 points)" in in_words(judged, points)
    assert "0.00040 nats higher" in in_words(judged, nats)
    assert "+0.00 " not in as_markdown(paper(judged))
    (tmp_path / "usual").mkdir()
    usual = found(tmp_path / "usual", metrics, 'Claim(change="slope", hurts="error", by=0.5)', outcomes)
    assert ours(usual.verdicts[0]).startswith("+0.00 [")


@pytest.mark.usefixtures("sketches")
@pytest.mark.parametrize(("big", "seeds"), [(1e90, 2), (1e308, 3), (1e-300, 3)])
def test_an_outcome_that_nearly_overflows_fails_no_report(tmp_path: Path, big: float, seeds: int) -> None:
    def outcomes(trial: Trial) -> dict[str, float]:
        gone = trial.config["config"]["slope"] == 1.0 and trial.seed == 1
        return {"perplexity": big} if gone else perplexity(trial)

    text = TEXT.replace("METRICS", RATIO).replace("8}", "[8, 16]}")
    text = text.replace("CLAIMS", 'Claim(change="slope", hurts="perplexity", by=1.5)')
    judged = made_up.findings(tmp_path / "made_up_overflow.py", text, outcomes, seeds=seeds)
    table = paper(judged)
    assert latex(table, "x") and exports.effects_table(judged).size and slide.drawn(judged) is not None
    pages.write(compose.compose(judged), tmp_path / "report")
    assert "no bound" in as_markdown(table)


@pytest.mark.usefixtures("sketches")
@pytest.mark.parametrize("which", ["slope", "all"])
def test_a_training_that_blows_up_without_reaching_infinity_has_failed(tmp_path: Path, which: str) -> None:
    def outcomes(trial: Trial) -> dict[str, float]:
        gone = which == "all" or trial.config["config"]["slope"] == 1.0
        return {"error": (1e160 if gone else 1.0) * (1 + perplexity(trial)["perplexity"])}

    judged = found(tmp_path, '{"error": "lower"}', 'Claim(change="slope", hurts="error", by=0.5)', outcomes)
    (verdict,) = judged.verdicts
    assert verdict.call == "not tested"
    assert all("too large to be compared" in why for why in judged.failed.values())
    assert len(judged.failed) == (10 if which == "slope" else len(judged.results))
    report = compose.compose(judged)
    pages.write(report, tmp_path / "report")
    if which == "slope":
        assert "slope 1.0 instead of 2.0 cannot be judged, as trainings failed" in report.answer.sentences[0]


def test_a_bound_below_zero_keeps_its_sign_and_a_huge_number_is_short() -> None:
    assert interval(-0.0035, 0.6035) == f"[{MINUS}0.00, +0.60]"
    assert interval(-0.6, -0.0035) == f"[{MINUS}0.60, {MINUS}0.00]"
    assert interval(0.0, 0.0035) == "[+0.00, +0.00]" and interval(-0.0, 1.0, sign=False) == "[0.00, 1.00]"
    assert signed(6.8e297) == "+6.80e+297" and number(-1e12) == f"{MINUS}1.00e+12" and number(1e9) == "1,000,000,000.00"


def test_bounds_that_no_float_holds_are_no_bounds() -> None:
    metric = Metric(words="perplexity", ratio=True)
    assert metric.told(1e5) == inf and metric.told(-1e5) == 0 and metric.told(log(20)) == pytest.approx(20)
    assert outcomes_between(metric, 0.5, metric.told(1e5)) == "[0.5, no bound]"
    assert outcomes_between(metric, float("nan"), float("nan")) == MISSING
    assert between(metric, -1.0, 1e5) == "[0.37, no bound]"
    assert margin(metric, log(1.5)) == "a factor of 1.5"


def test_labels_of_an_axis_differ() -> None:
    assert tick_labels([0.5, 1.0, 1.5]) == ["0.5", "1", "1.5"]
    assert tick_labels([1.0005, 1.0010, 1.0015]) == ["1.0005", "1.001", "1.0015"]
