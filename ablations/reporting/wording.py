"""The main metric of a study in words: what it is, its unit, and which way is worse."""

from __future__ import annotations

from ablations.analysis.verdicts import Findings
from ablations.core.setting import Metric
from ablations.core.text import number


def main(evidence: Findings) -> Metric:
    """The metric that effects are about."""
    return evidence.study.setting.main_metric


def what(evidence: Findings) -> str:
    """`test top-1 error`."""
    return f"{evidence.phase} {main(evidence).words}"


def in_unit(text: str, evidence: Findings) -> str:
    """`effect, points`; the text alone where the metric has no unit."""
    unit = main(evidence).unit
    return f"{text}, {unit}" if unit else text


def long_unit(metric: Metric) -> str:
    """`percentage points`, `nats`; `its own unit` where it has no name."""
    return "percentage points" if metric.percent else metric.unit or "its own unit"


def axis(evidence: Findings) -> str:
    """`test top-1 error, percent`."""
    metric = main(evidence)
    unit = "percent" if metric.percent else metric.unit
    return f"{what(evidence)}, {unit}" if unit else what(evidence)


def value(evidence: Findings, number_of: float) -> str:
    """`62.50%`, or the number alone."""
    return f"{number(number_of)}{'%' if main(evidence).percent else ''}"


def above_zero(evidence: Findings) -> str:
    """`worse`, or `better` where higher is better: what a change above zero does."""
    return "worse" if main(evidence).lower_is_better else "better"
