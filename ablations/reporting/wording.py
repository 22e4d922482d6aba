"""Writes the main metric of a study and effects on it in words: its name, its unit, and which way is worse."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

from ablations.analysis.ranking import BETTER, NEGLIGIBLE, WORSE, Ranked
from ablations.analysis.verdicts import Findings
from ablations.core.effect import Effect
from ablations.core.load import load
from ablations.core.result import Result
from ablations.core.setting import SPLIT, Metric
from ablations.core.text import counted
from ablations.core.units import between, interval_of, is_ratio, outcome, size, unit_of


def what(evidence: Findings) -> str:
    """Returns the main metric with what it is evaluated on, if that is known: `test top-1 error`, `reward`."""
    return evidence.study.setting.evaluated(evidence.main_metric.words)


def images(evidence: Findings) -> bool:
    """Tells whether trials classify images: each is then recorded, and training images are evaluated too."""
    return load(evidence.study.subject).gap in evidence.study.setting.metrics


def examples(evidence: Findings) -> bool:
    """Tells whether effects can have an interval that covers new examples too, which needs a number for each example.

    They cannot if each seed has examples of its own, or if the main metric is compared as a ratio.
    """
    known = images(evidence) or isfinite(evidence.mean("evaluated_examples", "reference"))
    return known and evidence.overlap == 0 and not is_ratio(evidence.main_metric)


def with_unit(text: str, evidence: Findings) -> str:
    """Returns `text`, the head of a column, with the unit of effects: `effect, points`, `effect, times`."""
    unit = unit_of(evidence.main_metric)
    return f"{text}, {unit}" if unit else text


def long_unit(metric: Metric) -> str:
    """Returns the unit of effects in full: `percentage points`, `nats`; `its own unit` if it has no name."""
    return "percentage points" if metric.percent else unit_of(metric) or "its own unit"


def effect(evidence: Findings, value: float) -> str:
    """Writes an effect on the main metric: with a sign, or as a ratio."""
    return size(evidence.main_metric, value)


def bounds(evidence: Findings, low: float, high: float) -> str:
    """Writes the interval of an effect on the main metric."""
    return between(evidence.main_metric, low, high)


def interval(evidence: Findings, found: Effect) -> str:
    """Writes the interval of an effect on the main metric, or that it has none because all pairs are equal."""
    return interval_of(evidence.main_metric, found)


def nothing(evidence: Findings) -> str:
    """Returns the value of an effect that changes nothing: `zero`, or `1` for ratios."""
    return "1" if is_ratio(evidence.main_metric) else "zero"


def over(evidence: Findings, counts: Iterable[int]) -> str:
    """Returns what means are over: `10 seeds`, or `4 to 10 seeds` where arms have different numbers of trainings."""
    known = sorted(counts) or [0]
    fewest = "" if known[0] == known[-1] else f"{known[0]:,} to "
    return f"{fewest}{counted(known[-1], replicate(evidence))}"


def replicate(evidence: Findings) -> str:
    """Returns the word for one repetition of a comparison: `split` where seeds are splits of the data, else `seed`."""
    return "split" if evidence.study.setting.replicate == SPLIT else "seed"


def trial_of(evidence: Findings, result: Result) -> str:
    """Names a trial before what is said of it: `no LRN, seed 3: `."""
    label = result.trial.variant.label
    return f"{evidence.names.get(label, label)}, seed {result.trial.seed}: "


def axis(evidence: Findings) -> str:
    """Returns the label of an axis: `test top-1 error, percent`."""
    metric = evidence.main_metric
    unit = "percent" if metric.percent else metric.unit
    return f"{what(evidence)}, {unit}" if unit else what(evidence)


def outcome_column(evidence: Findings) -> str:
    """Returns the head of a column of outcomes: `test top-1, %`, `test accuracy`."""
    metric = evidence.main_metric
    if not metric.percent:
        return what(evidence)
    return f"{evidence.study.setting.evaluated(metric.words.removesuffix(' error'))}, %"


def reads_as(row: Ranked) -> str:
    """Returns how a ranked effect reads: `hurts`, `no difference that matters`, `undecided`, `inactive`, or why
    nothing can be said.
    """
    if row.inactive or row.missing:
        return "inactive" if row.inactive else "missing pairs"
    told = {WORSE: "hurts", BETTER: "helps", NEGLIGIBLE: "no difference that matters"}
    if row.effect.unstable:
        return f"{told[row.side]}, unstable" if row.side else "unstable"
    if row.effect.constant and row.effect.estimate == 0:
        return "no difference in any pair"
    if not isfinite(row.effect.p) or (row.effect.constant and not row.side):
        return "one pair" if row.effect.n == 1 else "too few distinct pairs" if row.effect.n else "not run"
    return told.get(row.side, "undecided")


def value(evidence: Findings, number_of: float) -> str:
    """Writes an outcome: `62.50%`, or without a unit if it is no percentage."""
    return f"{outcome(evidence.main_metric, number_of)}{'%' if evidence.main_metric.percent else ''}"


def above_zero(evidence: Findings) -> str:
    """Returns what an effect above zero (above 1 for ratios) means: `worse` or `better`."""
    return "worse" if evidence.main_metric.lower_is_better else "better"
