"""The section on several data sets: each effect on each of them, and an interval for data sets like these."""

from __future__ import annotations

from ablations.analysis import traces
from ablations.analysis.blocks import FEWEST, OverBlocks, over_blocks
from ablations.analysis.evidence import Evidence
from ablations.analysis.failures import worst
from ablations.analysis.gates import learns
from ablations.analysis.verdicts import Findings
from ablations.core.effect import Effect
from ablations.core.text import MISSING, counted, number, probability, told
from ablations.core.units import digits, is_ratio, outcome, outcomes_between, size
from ablations.reporting import wording
from ablations.reporting.document import Block, Picture, Section, Table
from ablations.reporting.sections.notes import mean_and_interval
from ablations.reporting.sections.outcomes import picture

THESE = "mean of these"


def section(evidence: Findings) -> Section | None:
    """Returns the section, with a figure and tables of effects and of the reference; None with one data set."""
    if not evidence.on_each:
        return None
    found = over_blocks(evidence)
    blocks: list[Block] = [_method(evidence)]
    if drawn := [one for one in found if one.effect.component not in evidence.study.controls and one.effect.n]:
        blocks.append(_picture(evidence, drawn))
    if found:
        blocks += [_summary(evidence, found), _each(evidence, found)]
    return Section(title="Effects by data set", blocks=(*blocks, _references(evidence)))


def lines(evidence: Findings) -> list[tuple[str, ...]]:
    """Returns the rows of a table for the terminal: each effect on each data set, and the interval for others like
    these.
    """
    rows = [("change", "estimand", "", *evidence.on_each, "data sets like these")]
    for one in over_blocks(evidence):
        each = [wording.effect(evidence, effect.estimate) for effect in one.each]
        rows.append(
            (evidence.called(one.effect), one.effect.kind, "", *each, wording.bounds(evidence, one.low, one.high))
        )
    return rows if len(rows) > 1 else []


def _method(evidence: Findings) -> str:
    count = len(evidence.on_each)
    others = (
        f"The interval for data sets like these, on average, takes the {count} data sets as the sample, with a number "
        f"each: a t with {count - 1} degrees of freedom, or fewer where the draws of a seed do the same to all of "
        "them, and never with a smaller error than over seeds alone. Beside its p stands that of Wilcoxon's signed "
        "ranks (Demšar 2006). It holds as far as these were drawn from what a reader has in mind, and no verdict rests "
        "on it."
        if count >= FEWEST
        else f"Of other data sets nothing is said: that takes {FEWEST} or more of them, and here are {count}."
    )
    splits = "" if evidence.overlap == 0 else " Errors over seeds are corrected for the overlap of splits: see Methods."
    metric = evidence.main_metric
    alike = "each of which counts alike"
    if not (metric.percent or is_ratio(metric)):
        alike = "in the metric's own unit, so one with larger numbers moves them more"
    return (
        f"Effects everywhere else in this report are means over these {count} data sets, {alike}: "
        "the difference of a seed is the mean of its paired differences on all of them, and intervals and verdicts are "
        f"over seeds. They hold for these data sets, and not for others. {others} Spread is the standard deviation of "
        "true effects between data sets, once what seeds scatter by is taken out; the p beside it is that of equal "
        f"effects on all (Welch's F). These p are not adjusted.{splits}"
    )


def _summary(evidence: Findings, found: list[OverBlocks]) -> Table:
    spread = wording.with_unit("spread", evidence)
    rows = tuple(
        (
            evidence.called(one.effect),
            wording.effect(evidence, one.effect.estimate),
            wording.interval(evidence, one.effect),
            wording.bounds(evidence, one.low, one.high),
            probability(one.p),
            probability(one.p_ranks),
            f"{one.ahead} / {one.behind}",
            number(one.apart, digits(evidence.main_metric)),
            probability(one.p_apart),
        )
        for one in found
    )
    head = (
        "change",
        wording.with_unit(THESE, evidence),
        "95% interval, these",
        "95% interval, data sets like these",
        "p",
        "p, ranks",
        "above / below",
        spread if "times" not in spread else "spread, logarithm",
        "p of one effect",
    )
    return Table(caption="Effects over all data sets.", head=head, rows=rows)


def _each(evidence: Findings, found: list[OverBlocks]) -> Table:
    rows = []
    for one in found:
        for (name, there), effect in zip(evidence.on_each.items(), one.each, strict=True):
            rows.append(
                (
                    evidence.called(one.effect),
                    name,
                    wording.effect(evidence, effect.estimate),
                    wording.interval(evidence, effect),
                    str(effect.n),
                    probability(effect.p),
                    _note(there, effect),
                )
            )
    head = ("change", "data set", wording.with_unit("effect", evidence), "95% interval", "pairs", "p", "note")
    return Table(
        caption="Effects on each data set; every row stands for itself, and no p is adjusted.",
        head=head,
        rows=tuple(rows),
        collapsed=len(rows) > 24,
    )


def _note(there: Evidence, effect: Effect) -> str:
    if traces.identical(there, effect):
        return "does nothing here: every trial is equal to the last digit"
    if effect.unstable:
        return "{} of {} trainings failed".format(*worst(effect))
    return ""


def _references(evidence: Findings) -> Table:
    metric, rows = evidence.main_metric, []
    for name, there in evidence.on_each.items():
        n, mean, low, high = mean_and_interval(there, evidence.metric, "reference")
        gate = learns(there)
        chance = there.study.setting.guessing
        rows.append(
            (
                name,
                outcome(metric, mean),
                outcomes_between(metric, low, high),
                str(n),
                MISSING if chance is None else outcome(metric, chance),
                gate.answer if chance is not None else MISSING,
                there.study.setting.fingerprint,
            )
        )
    what = wording.axis(evidence)
    head = ("data set", what, "95% interval", "seeds", "guessing", "learns", "fingerprint")
    return Table(caption="The reference on each data set.", head=head, rows=tuple(rows))


def _picture(evidence: Findings, found: list[OverBlocks]) -> Picture:
    from ablations.reporting.figures.blocks import by_data_set

    metric, names = evidence.main_metric, list(evidence.on_each)
    caption = (
        f"The change of the {wording.what(evidence)} on each data set, with its 95% interval over seeds, which may run "
        "beyond the axis; orange: the mean of these data sets, over seeds"
        + (", and dashed the 95% interval for the mean of data sets like these." if len(names) >= FEWEST else ".")
    )
    each = [
        f"{evidence.called(one.effect)}: {size(metric, one.effect.estimate)} on average "
        f"{wording.interval(evidence, one.effect)}, above zero on {one.ahead} and below on "
        f"{one.behind} of {counted(len(names), 'data set')}"
        for one in found
    ]
    words = told(f"Effects on the {wording.what(evidence)} by data set", each)
    titles, what = [evidence.called(one.effect) for one in found], f"change of {wording.what(evidence)}"
    figure = by_data_set(found, titles, names, wording.with_unit(what, evidence), metric=metric)
    return picture("by-data-set", caption, words, figure)
