"""The figure and the table of the first screen, and the section on effects on further metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING

from ablations.analysis.effects import differences_of
from ablations.analysis.effects import effects as effects_on
from ablations.analysis.evidence import broken
from ablations.analysis.failures import worst
from ablations.analysis.ranking import Ranked, ranked
from ablations.analysis.verdicts import Findings
from ablations.core.claim import MAIN, ONE_OUT
from ablations.core.effect import Effect
from ablations.core.setting import OUTCOME, Metric, phased
from ablations.core.text import MISSING, listed, probability, told
from ablations.core.units import interval_of, is_ratio, outcome, size, unit_of
from ablations.reporting import wording
from ablations.reporting.document import Block, Picture, Section, Table, without_empty
from ablations.reporting.sections.notes import notes
from ablations.reporting.sections.outcomes import picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ablations.reporting.figures.forest import Row, Shape


def lead(evidence: Findings) -> tuple[Block, ...]:
    """Returns the forest and the ranked table of the study's own kind of effect, without controls."""
    rows = ranked(evidence)
    drawn = [one for one in rows if isfinite(one.effect.estimate)]
    return (*([forest_picture(evidence, drawn)] if drawn else []), results(evidence, rows))


def results(evidence: Findings, rows: Sequence[Ranked]) -> Table:
    """Returns a table of effects and outcomes, from the change that hurts most to the one that helps most."""
    ends, none, kind = wording.outcome_column(evidence), wording.nothing(evidence), evidence.study.estimand
    effect = wording.with_unit("effect", evidence)
    head = ("change", "reads as", effect, "95% interval", ends, "p, Holm", "pairs", "in the code", "notes")
    seeds = str(len(evidence.values(evidence.metric, "reference")))
    reference = ("reference", "", MISSING, MISSING, _mean(evidence, ("reference",)), MISSING, seeds, "", "")
    cells = [
        (
            evidence.called(one.effect),
            wording.reads_as(one),
            wording.effect(evidence, one.effect.estimate),
            wording.interval(evidence, one.effect),
            _mean(evidence, one.effect.departed),
            probability(one.p_holm) if isfinite(one.effect.p) else MISSING,
            f"{one.effect.n} of {broken(evidence, one.effect)[0]}",
            one.effect.label,
            notes(evidence, one.effect),
        )
        for one in rows
    ]
    beside = {ONE_OUT: "", MAIN: ", averaged over all settings of the others"}.get(kind, ", among all other changes")
    caption = (
        f"What each change does to the {wording.what(evidence)}{beside}, ranked. It hurts or helps where p, "
        f"after Holm's correction for the number of comparisons, is small enough to tell it from {none}; intervals are "
        "95% each."
    )
    rows_ = (*([reference] if kind == ONE_OUT else []), *cells)
    return without_empty(Table(caption=caption, head=head, rows=rows_), "notes", "p, Holm", ends)


def _mean(evidence: Findings, labels: Sequence[str]) -> str:
    """Writes the mean outcome of a variant; a dash if an effect compares several variants."""
    return outcome(evidence.main_metric, evidence.mean(evidence.metric, labels[0])) if len(labels) == 1 else MISSING


def forest_picture(evidence: Findings, rows: Sequence[Ranked], name: str = "effects") -> Picture:
    """Returns the forest of these effects, drawn for wide pages and for narrow ones."""
    from ablations.reporting.figures.forest import MEANINGS, NARROW, WIDE, cut

    interval = any(isfinite(one.effect.low) for one in rows)
    bars = "bars their 95% t intervals" if interval else "without intervals, as no pair is repeated"
    sides = {one.side for one in rows}
    colours = listed([words for side, words in MEANINGS.items() if side in sides])
    lines = [row_of(evidence, one) for one in rows]
    means = "ratios" if is_ratio(evidence.main_metric) else "differences"
    known = any(isfinite(one.margin) for one in rows)
    band = "; a pale band is what the claim on a change calls too small to matter" if known else ""
    arrow = "; an arrow points to what lies beyond the axis" if cut(lines) else ""
    caption = (
        f"Marks are mean {means}, {bars}, small dots the differences of single {wording.replicate(evidence)}s. "
        f"Colours: {colours}{band}{arrow}."
    )
    numbers = [f"{evidence.called(one.effect)} {written(evidence, one.effect)}" for one in rows]
    unit = unit_of(evidence.main_metric)
    what = f"effects in {unit}" if unit else "effects"
    alternative = told(f"Forest plot of {what}, with their 95% intervals", numbers)
    wide, narrow = (forest_figure(evidence, lines, shape) for shape in (WIDE, NARROW))
    return picture(name, caption, alternative, wide, narrow)


def forest_figure(evidence: Findings, lines: Sequence[Row], shape: Shape, title: str = "") -> Figure:
    """Returns the forest of these effects in one shape, as a matplotlib figure."""
    from ablations.reporting.figures.forest import forest

    metric = evidence.main_metric
    return forest(
        lines,
        axis=f"change in {wording.with_unit(wording.what(evidence), evidence)}",
        lower_is_better=metric.lower_is_better,
        ratios=is_ratio(metric),
        shape=shape,
        title=title,
    )


def row_of(evidence: Findings, one: Ranked) -> Row:
    """Returns an effect as a line of the forest."""
    from ablations.reporting.figures.forest import Row

    effect = one.effect
    lost = " ({} of {} failed)".format(*worst(effect)) if effect.unstable else ""
    return Row(
        name=f"{evidence.called(effect)}{lost}",
        estimate=effect.estimate,
        low=effect.low,
        high=effect.high,
        written=written(evidence, effect),
        side=one.side,
        pairs=effect.n,
        single=tuple(differences_of(evidence.differences, effect)),
        margin=one.margin,
    )


def written(evidence: Findings, effect: Effect) -> str:
    """Writes an effect with its interval: `+1.20 [+0.90, +1.50]`, or the estimate alone."""
    bounds = wording.interval(evidence, effect)
    return f"{wording.effect(evidence, effect.estimate)} {bounds}".removesuffix(f" {MISSING}")


def other_metrics(evidence: Findings) -> Section | None:
    """Returns a table of effects for each further metric that trials report; None if there is none."""
    tables = []
    for name, read in evidence.metrics.items():
        column = phased(name, evidence.phase)
        if read.kind != OUTCOME or column == evidence.metric or column not in evidence.table:
            continue
        found = [replace(one, failing=read.failing) for one in effects_on(evidence.study, evidence.outcomes, column)]
        known = [one for one in found if one.n and one.component not in evidence.study.controls]
        tables += [_other(evidence, read, known)] if known else []
    if not tables:
        return None
    words = "The answer above is not about these metrics, and no p is adjusted for how many there are."
    return Section(title="Effects on other metrics", blocks=(words, *tables))


def _other(evidence: Findings, read: Metric, found: Sequence[Effect]) -> Table:
    rows = tuple(
        (
            evidence.called(one) + ("" if one.kind == evidence.study.estimand else f" ({one.kind})"),
            size(read, one.estimate),
            interval_of(read, one),
            str(one.n),
            probability(one.p) if isfinite(one.p) else MISSING,
        )
        for one in sorted(found, key=lambda one: -read.worse * one.estimate)
    )
    unit = f", {unit_of(read)}" if unit_of(read) else ""
    better = "lower" if read.lower_is_better else "higher"
    caption = f"Effects on {read.words} ({better} is better)."
    return Table(caption=caption, head=("change", f"effect{unit}", "95% interval", "n", "p, unadjusted"), rows=rows)
