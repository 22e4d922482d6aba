"""The main metric of a study in words: what it is, its unit, and which way is worse."""

from __future__ import annotations

from math import isfinite

from ablations.analysis.ranking import BETTER, NEGLIGIBLE, WORSE, Ranked
from ablations.analysis.reach import GAP
from ablations.analysis.verdicts import Findings
from ablations.core.setting import Metric
from ablations.core.units import between, is_ratio, outcome, size, unit_of


def what(evidence: Findings) -> str:
    """`test top-1 error`."""
    return f"{evidence.phase} {evidence.main_metric.words}"


def images(evidence: Findings) -> bool:
    """Whether trials classify images, each of which is recorded, and evaluate their training images too."""
    return GAP in evidence.study.setting.metrics


def examples(evidence: Findings) -> bool:
    """Whether effects can have an interval over new examples too, as trials say what each example came to.

    They cannot where each seed has examples of its own, or where the main metric is compared as a ratio.
    """
    known = images(evidence) or isfinite(evidence.mean("evaluated_examples", "reference"))
    return known and evidence.overlap == 0 and not is_ratio(evidence.main_metric)


def with_unit(text: str, evidence: Findings) -> str:
    """`effect, points`, `effect, times`; the text alone where the metric has no unit."""
    unit = unit_of(evidence.main_metric)
    return f"{text}, {unit}" if unit else text


def long_unit(metric: Metric) -> str:
    """`percentage points`, `nats`; `its own unit` where it has no name."""
    return "percentage points" if metric.percent else unit_of(metric) or "its own unit"


def effect(evidence: Findings, value: float) -> str:
    """An effect on the main metric: signed, or a ratio."""
    return size(evidence.main_metric, value)


def bounds(evidence: Findings, low: float, high: float) -> str:
    """The interval of an effect on the main metric."""
    return between(evidence.main_metric, low, high)


def nothing(evidence: Findings) -> str:
    """What an effect of none is: `zero`, or of ratios `1`."""
    return "1" if is_ratio(evidence.main_metric) else "zero"


def axis(evidence: Findings) -> str:
    """`test top-1 error, percent`."""
    metric = evidence.main_metric
    unit = "percent" if metric.percent else metric.unit
    return f"{what(evidence)}, {unit}" if unit else what(evidence)


def outcome_column(evidence: Findings) -> str:
    """`test top-1, %`, `test accuracy`."""
    metric = evidence.main_metric
    words = metric.words.removesuffix(" error")
    return f"{evidence.phase} {words}, %" if metric.percent else f"{evidence.phase} {words}"


def reads_as(row: Ranked) -> str:
    """`hurts`, `helps`, `no difference that matters`, `undecided`, or why nothing can be told."""
    if row.effect.unstable:
        return "unstable"
    if not isfinite(row.effect.p):
        return "one pair" if row.effect.n == 1 else "too few distinct pairs" if row.effect.n else "not run"
    told = {WORSE: "hurts", BETTER: "helps", NEGLIGIBLE: "no difference that matters"}
    return told.get(row.side, "undecided")


def value(evidence: Findings, number_of: float) -> str:
    """`62.50%`, or the number alone."""
    return f"{outcome(evidence.main_metric, number_of)}{'%' if evidence.main_metric.percent else ''}"


def above_zero(evidence: Findings) -> str:
    """`worse`, or `better` where higher is better: what a change above zero does."""
    return "worse" if evidence.main_metric.lower_is_better else "better"
