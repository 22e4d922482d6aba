"""The results table of a paper, as LaTeX and as Markdown.

It has one row a variant: each outcome's mean with its 95% interval, the study's difference with its own interval, stars
where the report tells a direction, by the p that it is told by, and n.  A number that is not over n seeds says over how
many it is.  Controls are left out, as they are no results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path

from ablations.analysis.effects import mean_interval
from ablations.analysis.ranking import BETTER, WORSE, Ranked, ranked, studied
from ablations.analysis.verdicts import Findings
from ablations.core.claim import MAIN, ONE_IN, ONE_OUT, metric_of
from ablations.core.effect import Effect
from ablations.core.errors import printable
from ablations.core.setting import OUTCOME, Metric, phased
from ablations.core.text import MINUS, MISSING, counted
from ablations.core.units import is_ratio, outcome, outcomes_between
from ablations.core.variant import Departure
from ablations.records.files import write_text
from ablations.reporting import wording
from ablations.reporting.answer import void_words
from ablations.reporting.document import markdown

METRICS = 4  # most columns of outcomes, for which a page is wide enough
STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))  # (p below, mark)
FAILED = "†"  # marks a variant of which a training failed
UP, DOWN = "↑", "↓"  # higher, lower is better


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A number and its interval, as text."""

    value: str
    interval: str = ""  # empty: there is none
    stars: str = ""  # one of STARS
    best: bool = False  # whether it is the best of its column, which is printed bold


@dataclass(frozen=True, kw_only=True)
class Row:
    """One variant of the table."""

    name: str
    outcomes: tuple[Cell, ...]  # one for each metric
    difference: Cell  # the effect, from `variant minus reference` or as the method says
    n: str  # seeds that its means are over


@dataclass(frozen=True, kw_only=True)
class Paper:
    """The table: the heads of its columns, its rows, and a line on the method."""

    metrics: tuple[tuple[str, str], ...]  # (name with the unit, UP or DOWN)
    rows: tuple[Row, ...]
    method: str  # in sentences
    void: str = ""  # the warning if nothing was judged; empty if gates hold


def paper(evidence: Findings) -> Paper:
    """Returns the table of a study; it has no rows if nothing can be compared yet."""
    found, void = studied(evidence), void_words(evidence)
    metrics = _metrics(evidence)
    arms: list[tuple[str, tuple[str, ...], Effect | None]] = []
    arms += [(evidence.names.get("reference", "reference"), ("reference",), None)] if _on(evidence) == ONE_OUT else []
    if _on(evidence) == ONE_IN and found:
        arms = [("all changes", found[0].departed, None)]
    arms += [(_name(evidence, one), _arm(evidence, one), one) for one in found]
    means = [[_mean(evidence, name, labels) for name, _ in metrics] for _, labels, _ in arms]
    stars = {} if void else {(row.effect.component, row.effect.level): _stars(row) for row in ranked(evidence)}
    rows = []
    for (name, labels, effect), row in zip(arms, means, strict=True):
        n = len(_values(evidence, evidence.metric, labels))
        cells = tuple(
            _outcome(one, metric, [each[column][1] for each in means], n)
            for column, (one, (_, metric)) in enumerate(zip(row, metrics, strict=True))
        )
        marked = f"{name}{FAILED}" if _failed(evidence, labels) else name
        rows.append(Row(name=marked, outcomes=cells, difference=_difference(evidence, effect, stars, n), n=str(n)))
    heads = tuple((_head(metric), DOWN if metric.lower_is_better else UP) for _, metric in metrics)
    method = _method(evidence, found, [int(row.n) for row in rows])
    if any(row.name.endswith(FAILED) for row in rows):
        method += f" {FAILED}: trainings of this variant failed, and are in no mean."
    return Paper(metrics=heads, rows=tuple(rows), method=method, void=void)


def _stars(row: Ranked) -> str:
    """Returns the stars of an effect; none where the report tells no direction, whatever p is."""
    told = row.side in (BETTER, WORSE)
    return next((mark for limit, mark in STARS if told and row.p_holm < limit), "")


def _failed(evidence: Findings, labels: Sequence[str]) -> bool:
    """Tells whether a training of any of these variants failed."""
    return any(label in evidence.failed_by_variant for label in labels)


def _on(evidence: Findings) -> str:
    """Returns what the differences are: ONE_OUT, ONE_IN or MAIN."""
    return evidence.study.estimand


def _arm(evidence: Findings, effect: Effect) -> tuple[str, ...]:
    return effect.kept if _on(evidence) == ONE_IN else effect.departed


def _name(evidence: Findings, effect: Effect) -> str:
    return evidence.names[effect.kept[0]] if _on(evidence) == ONE_IN and effect.kept else evidence.called(effect)


def _metrics(evidence: Findings) -> list[tuple[str, Metric]]:
    """Returns the outcomes to show, as (column, metric): the main one, then those of claims, then others."""
    setting = evidence.study.setting
    known = {phased(name, evidence.phase): metric for name, metric in setting.metrics.items() if metric.kind == OUTCOME}
    claimed = [metric_of(claim, evidence.phase) for claim in evidence.study.claims]
    order = dict.fromkeys([evidence.metric, *(name for name in claimed if name in known), *known])
    present = [name for name in order if name in evidence.table and name in known and len(evidence.by_seed(name))]
    return [(name, evidence.metrics.get(name, known[name])) for name in present[:METRICS]]


def _head(metric: Metric) -> str:
    unit = "%" if metric.percent else metric.unit
    return f"{metric.words} ({unit})" if unit else metric.words


def _values(evidence: Findings, metric: str, labels: Sequence[str]) -> list[float]:
    """Returns, for each seed that has all these variants, its mean over them.

    For a metric that is compared as a ratio, these are means of logarithms.
    """
    outcomes = evidence.by_seed(metric)
    if not labels or not set(labels) <= {*outcomes.columns}:
        return []
    return [float(one) for one in outcomes[list(labels)].dropna().mean(axis=1)]


def _mean(evidence: Findings, metric: str, labels: Sequence[str]) -> tuple[int, float, float, float]:
    import pandas as pd

    values = _values(evidence, metric, labels)
    return (len(values), *mean_interval(pd.Series(values, dtype=float), evidence.overlap))


def _outcome(found: tuple[int, float, float, float], metric: Metric, column: Sequence[float], n: int) -> Cell:
    mean, low, high = (metric.told(value) for value in found[1:])
    known = [metric.told(one) for one in column if isfinite(one)]
    best = (min if metric.lower_is_better else max)(known, default=nan)
    return Cell(
        value=outcome(metric, mean),
        interval=_beside(outcomes_between(metric, low, high) if isfinite(low) else "", found[0], n),
        best=len(known) > 1 and outcome(metric, mean) == outcome(metric, best),  # means that print alike are all marked
    )


def _beside(interval: str, count: int, n: int) -> str:
    """Returns an interval, with the number of seeds that it is over if that is not the row's `n`."""
    return ", ".join(filter(None, (interval, f"n = {count}" if count and count != n else "")))


def _difference(evidence: Findings, effect: Effect | None, stars: Mapping[Departure, str], n: int) -> Cell:
    if effect is None or not isfinite(effect.estimate):
        return Cell(value=MISSING)
    estimate, low, high = effect.estimate, effect.low, effect.high
    if _on(evidence) == ONE_IN:
        estimate, low, high = -estimate, -high, -low
    bounds = wording.bounds(evidence, low, high) if isfinite(low) else ""
    bounds = _beside("all pairs equal" if effect.constant else bounds, effect.n, n)
    return Cell(
        value=wording.effect(evidence, estimate),
        interval=bounds,
        stars=stars.get((effect.component, effect.level), ""),
    )


def _method(evidence: Findings, found: Sequence[Effect], counts: Sequence[int]) -> str:
    """Returns the line below the table, on how its numbers were computed; `counts` are n of its rows."""
    study = evidence.study
    against = {
        ONE_OUT: "variant minus reference",
        ONE_IN: "variant minus all changes",
        MAIN: "with the change minus without it, over all settings of the others",
    }[_on(evidence)]
    marks = ", ".join(f"{mark} p < {limit:g}" for limit, mark in reversed(STARS))
    unit, kind = wording.long_unit(evidence.main_metric), "Difference"
    on = f"{study.setting.data} and " if evidence.on_each else ""
    if is_ratio(evidence.main_metric):
        kind, against = "Ratio", against.replace(" minus ", " over ")
    words = (
        f"Means over {on}{wording.over(evidence, counts)} with 95% t intervals. {kind}: {wording.what(evidence)}, "
        f"{unit}, {against}, paired, with a 95% t interval; {marks}, two-sided, "
        f"{_adjusted(evidence, found)} n: seeds behind a row, where a cell has no n of its own. Bold: best mean of a "
        "column."
    )
    if evidence.overlap != 0:
        words += (
            " Seeds are splits of the data; intervals and p are corrected for their overlap (Nadeau and Bengio 2003)."
        )
    return words


def _adjusted(evidence: Findings, found: Sequence[Effect]) -> str:
    """Returns how the p behind the stars is adjusted, and where there are none, as the end of a sentence."""
    judged = any(metric_of(claim, evidence.phase) == evidence.metric for claim in evidence.study.claims)
    over = "those without a verdict" if judged else counted(len(found), "difference")
    words = f"adjusted by Holm over {'the claims of a family, or over ' * judged}{over}"
    if evidence.study.rule.looks:
        words += ", and for the looks of this sequential study"
    words += "; none where the report tells no direction"
    if any(one.unstable for one in found):
        words += ", and by flipped signs where trainings of either arm failed"
    return f"{words}."


def write_latex(evidence: Findings, folder: Path) -> Path:
    """Writes paper.tex and returns its path."""
    path = folder / "paper.tex"
    write_text(path, printable(latex(paper(evidence), evidence.study.name)))
    return path


def latex(table: Paper, name: str) -> str:
    """Returns the table as LaTeX, with the label `tab:NAME`.  It needs the package booktabs; all names are escaped."""
    heads = [f"{escaped(words)} ${_ARROWS[arrow]}$" for words, arrow in table.metrics]
    lines = [" & ".join(["variant", *heads, "difference", "n"])]
    lines += [
        " & ".join([escaped(row.name), *map(_latex_cell, row.outcomes), _latex_cell(row.difference), escaped(row.n)])
        for row in table.rows
    ]
    # A line must not start with a bracket or a star, which LaTeX would read as an option of the \\ before it.
    head, *rows = [rf"{'{}' if line[:1] in '[*' else ''}{line} \\" for line in lines]
    return "\n".join(
        [
            "% \\usepackage{booktabs}",
            r"\begin{table}[t]",
            r"\centering",
            rf"\caption{{{escaped(' '.join(filter(None, (table.void, table.method))))}}}",
            rf"\label{{tab:{''.join(letter if letter.isalnum() else '-' for letter in name)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(table.metrics) + 2)}}}",
            r"\toprule",
            head,
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


_ARROWS = {UP: r"\uparrow", DOWN: r"\downarrow"}
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{letter: f"\\{letter}" for letter in "{}$&#%_"},
    # LaTeX's default encoding (OT1) prints < and > as Spanish punctuation.
    **{letter: f"${letter}$" for letter in "<>|"},
    MINUS: "$-$",
    MISSING: "--",
    FAILED: r"\dag{}",
    '"': "''",
}


def escaped(text: str) -> str:
    """Returns `text` with LaTeX's special characters escaped.  Letters beyond Latin need XeLaTeX or LuaLaTeX."""
    line = " ".join(text.split())
    return "".join(_LATEX.get(letter, letter) for letter in line)


def _latex_cell(cell: Cell) -> str:
    value = rf"\textbf{{{escaped(cell.value)}}}" if cell.best else escaped(cell.value)
    stars = f"$^{{{cell.stars}}}$" if cell.stars else ""
    return f"{value}{stars}" + (rf" {{\scriptsize {escaped(cell.interval)}}}" if cell.interval else "")


def write_markdown(evidence: Findings, folder: Path) -> Path:
    """Writes paper.md and returns its path."""
    path = folder / "paper.md"
    write_text(path, printable(as_markdown(paper(evidence))))
    return path


def as_markdown(table: Paper) -> str:
    """Returns the table as Markdown."""
    heads = ["variant", *(f"{markdown(name)} {arrow}" for name, arrow in table.metrics), "difference", "n"]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    lines += [
        [markdown(row.name), *map(_markdown_cell, (*row.outcomes, row.difference)), markdown(row.n)]
        for row in table.rows
    ]
    void = [f"**{markdown(table.void)}**", ""] if table.void else []
    return "\n".join([*void, *(f"| {' | '.join(line)} |" for line in lines), "", markdown(table.method), ""])


def _markdown_cell(cell: Cell) -> str:
    value = f"**{markdown(cell.value)}**" if cell.best else markdown(cell.value)
    return " ".join(filter(None, (f"{value}{markdown(cell.stars)}", markdown(cell.interval))))
