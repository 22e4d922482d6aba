"""The section on doses: components with ordered numeric levels, and the trend of the outcome over them."""

from __future__ import annotations

import re
from dataclasses import replace
from math import isfinite, isnan

from ablations.analysis.doses import Trend, incomplete, trends
from ablations.analysis.verdicts import Findings
from ablations.core.setting import Metric
from ablations.core.text import counted, listed, probability, told
from ablations.core.units import between, in_unit, is_ratio, outcome, size
from ablations.reporting import wording
from ablations.reporting.document import Block, Picture, Section, Table
from ablations.reporting.sections.outcomes import picture

ALPHA = 0.05  # the level at which a trend, or a curvature of it, is stated
RISES, FALLS, NO_TREND = "rises with", "falls with", "shows no clear trend with"


def section(evidence: Findings) -> Section | None:
    """Returns a sentence, a figure and a row for each component with doses; None if the study has none."""
    found, lacking = trends(evidence), incomplete(evidence)
    if not found and not lacking:
        return None
    blocks: list[Block] = [_sentences(evidence, one) for one in found]
    if lacking:
        words = " ".join(f"{name}=all" for name in lacking)
        blocks.append(f"A trend over the doses of {listed(lacking)} needs all of their levels: --components {words}.")
    blocks += [_picture(evidence, one) for one in found if one.seeds]
    if found:
        blocks += [_method(evidence), _table(evidence, found)]
    return Section(title="Doses", blocks=tuple(blocks))


def direction(trend: Trend) -> str:
    """Returns what the outcome does as the dose grows: RISES, FALLS or NO_TREND."""
    if not trend.p < ALPHA:
        return NO_TREND
    return RISES if trend.slope > 0 else FALLS


def is_unknown(trend: Trend) -> bool:
    """Tells whether nothing can be said of a trend: trainings failed at some dose, or it has no interval and too few
    equal slopes for a direction.
    """
    return trend.failed > 0 or (not isfinite(trend.low) and direction(trend) == NO_TREND)


def slope_words(evidence: Findings, trend: Trend) -> str:
    """Returns the slope in brackets, ` (+0.27 points for each doubling)`, and that it bends if it does; or nothing."""
    metric, bends = _read(evidence, trend), trend.bend < ALPHA
    if direction(trend) == NO_TREND:
        return " (but bends on the way)" * bends
    slope = f"{in_unit(metric, size(metric, trend.slope))} {_step(trend)}"
    return f" ({slope}, not in a straight line)" if bends else f" ({slope})"


def _step(trend: Trend) -> str:
    """Returns what a slope is for: `for each doubling`, `for each 10 more channels`, `for each 0.1 more`."""
    return f"for each {'doubling' if trend.doses.log else _more(trend)}"


def _more(trend: Trend) -> str:
    """Returns how much more of the dose a step is: `10 more channels`, `1 more channel`, `0.1 more`."""
    step, unit = trend.step, trend.doses.unit
    return f"{step:g} more {unit.removesuffix('s') if step == 1 else unit}".rstrip()


def _sentences(evidence: Findings, trend: Trend) -> str:
    """Returns whether the outcome rises or falls with the dose, in a sentence, and in a second one whether it bends."""
    metric, doses = _read(evidence, trend), [float(dose) for dose in trend.outcomes.columns]
    of = f" {trend.doses.unit} of {trend.component}" if trend.doses.unit else f" of {trend.component}"
    over = f"From {doses[0]:g} to {doses[-1]:g}{of}"
    if is_unknown(trend):
        return f"{over} no trend can be told: {_why_none(trend, metric)}."
    slope, verb = in_unit(metric, size(metric, trend.slope)), direction(trend).removesuffix(" with")
    within, seeds = between(metric, trend.low, trend.high), wording.over(evidence, [trend.seeds])
    numbers = f"{slope}, 95% interval {within} {_step(trend)}, {seeds}"
    if trend.constant:
        numbers = f"{slope} {_step(trend)} with every one of {seeds}"
    said = f"{over} the {wording.what(evidence)} {verb} ({numbers})."
    if trend.bend < ALPHA:
        return f"{said} It bends on the way, so one slope does not describe it: see the figure."
    return said


def _why_none(trend: Trend, metric: Metric) -> str:
    """Returns why nothing can be said of a trend."""
    if trend.failed:
        return f"{counted(trend.failed, 'training')} failed, and seeds without them may differ from the rest"
    if trend.seeds < 2:
        return f"{counted(trend.seeds, 'seed')} finished at every dose, and it takes two"
    if isnan(trend.overlap):
        return "the sizes of the splits are not known"
    slope = f"{in_unit(metric, size(metric, trend.slope))} {_step(trend)}"
    return f"the slopes of all {trend.seeds} seeds are equal ({slope}), and an interval takes slopes that differ"


def _read(evidence: Findings, trend: Trend) -> Metric:
    """Returns the main metric with enough digits for a slope, which may be far smaller than an outcome."""
    metric = evidence.main_metric
    half = (trend.high - trend.low) / 2
    if not (isfinite(half) and half > 0) or half >= 0.1:
        return metric
    return replace(metric, digits=min(8, len(re.split(r"[1-9]", f"{half:.12f}".partition(".")[2])[0]) + 2))


def _method(evidence: Findings) -> str:
    splits = "" if evidence.overlap == 0 else " Errors are corrected for the overlap of the splits: see Methods."
    ratio = " The slope is that of the logarithm, told as a ratio for each step." if _ratio(evidence) else ""
    return (
        "One slope a seed, by least squares over all doses, the reference's among them; then the mean of the slopes "
        "and its t interval over seeds. The scale says what a step is. Bend is the p of a square beside the straight "
        f"line.{ratio}{splits} These p are not adjusted, and no claim rests on them."
    )


def _ratio(evidence: Findings) -> bool:
    return is_ratio(evidence.main_metric)


def _table(evidence: Findings, found: list[Trend]) -> Table:
    rows = []
    for one in found:
        metric = _read(evidence, one)
        rows.append(
            (
                one.component,
                ", ".join(f"{dose:g}" for dose in sorted([one.doses.reference, *one.doses.levels.values()])),
                f"{'logarithmic' if one.doses.log else 'linear'}: {_step(one)}",
                size(metric, one.slope),
                "all slopes equal" if one.constant else between(metric, one.low, one.high),
                f"{one.seeds} of {evidence.study.seeds}",
                probability(one.p),
                probability(one.bend),
            )
        )
    head = ("dose of", "doses", "scale", wording.with_unit("slope", evidence), "95% interval", "seeds", "p", "bend, p")
    return Table(caption="Trends over doses.", head=head, rows=tuple(rows))


def _picture(evidence: Findings, trend: Trend) -> Picture:
    from ablations.reporting.figures.doses import response

    metric = evidence.main_metric
    caption = (
        f"The {wording.what(evidence)} over the dose of {trend.component}: means with their 95% t intervals, a faint "
        "line a seed; the reference's dose is ringed."
    )
    means = trend.outcomes.mean().map(metric.told)
    each = [f"{dose:g}: {outcome(metric, mean)}" for dose, mean in means.items()]
    words = told(f"Means of the {wording.what(evidence)} at each dose of {trend.component}", each)
    name = f"dose-{re.sub(r'[^A-Za-z0-9]+', '-', trend.component)}"
    return picture(name, caption, words, response(trend, wording.axis(evidence), ratios=metric.ratio))
