"""The sections that describe outcomes: learning curves, what trials ended at, and cost."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ablations.analysis.evidence import finished
from ablations.analysis.verdicts import Findings
from ablations.core.setting import SIZE
from ablations.core.text import change, counted, duration, interval, listed, number, told
from ablations.core.units import outcome, outcomes_between
from ablations.reporting import wording
from ablations.reporting.document import Block, Picture, Section, Table, without_empty
from ablations.reporting.sections.notes import mean_and_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EPOCH = "seconds_per_epoch"
CPU, MEMORY = "cpu_seconds", "memory_mib"  # known for trials that ran in a process of their own
USED = {CPU: "processor seconds", MEMORY: "memory, MiB"}


def picture(name: str, caption: str, alternative: str, figure: Figure, narrow: Figure | None = None) -> Picture:
    """Returns `figure` as SVG with its caption and text alternative, and `narrow` as the form for narrow screens."""
    from ablations.reporting.figures import style

    small = style.svg(narrow, f"{name}-narrow") if narrow else ""
    drawn = style.svg(figure, name)
    return Picture(name=name, caption=caption, alternative=alternative, svg=drawn, narrow=small, figure=figure)


def curves(evidence: Findings) -> Section:
    """Returns the section on learning curves, each variant over the reference."""
    shown, main = set(evidence.shown), evidence.main_metric
    rows = [
        (
            evidence.names[result.trial.variant.label],
            result.trial.seed,
            row.get("epoch", nan),
            main.compared(row.get(evidence.metric, nan)),
        )
        for result in finished(evidence)
        if result.trial.variant.label in shown
        for row in result.curve
    ]
    table = pd.DataFrame(rows, columns=["variant", "seed", "epoch", "error"]).dropna()
    if evidence.on_each:  # means over the data sets, for epochs that trials on all of them have reached
        groups = table.groupby(["variant", "seed", "epoch"])["error"]
        table = groups.mean()[groups.count() == len(evidence.on_each)].reset_index()
    if table.empty:
        return Section(title="Learning curves", blocks=("No finished trial has left a curve.",))
    from ablations.reporting.figures.curves import learning_curves

    drawn = [evidence.names[one] for one in evidence.shown if one != "reference"]
    others = [name for name in drawn if name in set(table["variant"])]
    figure = learning_curves(table, others, wording.axis(evidence), ratios=main.ratio, overlap=evidence.overlap)
    setting = evidence.study.setting
    every, what = setting.every, setting.evaluated(evidence.main_metric.noun)
    when = "each epoch" if every == 1 else f"every {every} epochs and the last"
    caption = (
        f"The {what} after {when}: mean over the finished seeds, and its 95% t interval at that "
        "epoch (not at all of them together). Two bands may overlap where their paired difference is clear: see "
        "Effects. Grey: the reference." + left_out(evidence) + not_drawn(evidence, drawn)
    )
    last = table.sort_values("epoch").groupby(["variant", "seed"])["error"].last().groupby("variant").mean()
    last = last.map(main.told)
    ends = [f"{name} {wording.value(evidence, last[name])}" for name in ["reference", *others] if name in last]
    way = "Falling" if evidence.main_metric.lower_is_better else "Rising"
    alternative = told(f"{way} curves of {what}. They end, on average, at", ends)
    return Section(title="Learning curves", blocks=(picture("curves", caption, alternative, figure),))


def not_drawn(evidence: Findings, drawn: list[str]) -> str:
    """Returns a sentence on trainings of the `drawn` variants that failed and have no curve; often nothing."""
    found = {evidence.names[label]: counts for label, counts in evidence.failed_by_variant.items()}
    words = [f"{bad} of {of} of {name}" for name, (bad, of) in found.items() if name in {"reference", *drawn}]
    return f" Not drawn, as they did not train: {listed(words)}." if words else ""


def left_out(evidence: Findings) -> str:
    """Returns a sentence on variants that figures leave out, as they have several changes; often nothing."""
    missing = len(evidence.labels) - len(evidence.shown)
    return f" {counted(missing, 'variant')} with several changes not shown." if missing else ""


def best_of_rows(evidence: Findings) -> tuple[str, ...]:
    """Returns a caution on metrics of which the best row of a trial is taken; nothing if there is none."""
    rows = max((len(one.curve) for one in finished(evidence)), default=0)
    names = [one.words for one in evidence.study.setting.metrics.values() if one.best]
    if not names or rows < 2:
        return ()
    return (
        f"Of the {listed(names)} a trial gives the best of its rows, {rows} at most: the best of {rows} rows is "
        "chosen by this very number, so it is optimistic, and more so for noisy changes. A change that only makes the "
        "rows noisier comes out better than it is.",
    )


def errors(evidence: Findings) -> Section:
    """Returns the section on what trials ended at: all outcomes that the study has, every variant."""
    names = [name for name, metric in evidence.study.setting.metrics.items() if metric.kind != SIZE]
    known = [name for name in names if any(np.isfinite(evidence.mean(name, one)) for one in evidence.labels)]
    head = ("variant", "seeds", *(_column(evidence, name) for name in known), "failed")
    rows = tuple(
        (
            evidence.names[one],
            f"{len(evidence.values(evidence.metric, one))} of {evidence.study.seeds}",
            *(_with_interval(evidence, name, one) for name in known),
            "{} of {}".format(*evidence.failed_by_variant[one]) if one in evidence.failed_by_variant else "",
        )
        for one in evidence.labels
    )
    caption = "Outcomes, means over the seeds that finished with their 95% t intervals, every variant."
    table = Table(caption=caption, head=head, rows=rows, collapsed=len(rows) > 24)
    return Section(title="Outcomes", blocks=(without_empty(table, "failed"),))


def _column(evidence: Findings, name: str) -> str:
    metric = evidence.metrics[name]
    unit = "%" if metric.percent else metric.unit
    return f"{metric.words}, {unit}" if unit else metric.words


def _with_interval(evidence: Findings, name: str, variant: str) -> str:
    n, mean, low, high = mean_and_interval(evidence, name, variant)
    metric = evidence.metrics[name]
    return f"{outcome(metric, mean)} {outcomes_between(metric, low, high)}" if n > 1 else outcome(metric, mean)


def cost(evidence: Findings) -> Section:
    """Returns the section on time and sizes, relative to the reference."""
    timed = not evidence.results or any(EPOCH in result.metrics for result in evidence.results)
    if not (timed and {"parameters", "macs"} <= evidence.study.setting.metrics.keys()):
        return _plain_cost(evidence)
    ratios = {variant: _ratios(evidence, variant) for variant in evidence.shown}
    words = (
        "Time an epoch is compared within a seed; the range is over seeds. Trials may have shared a machine, so small "
        "differences in time mean little. Parameters and multiply-accumulates (of one image, forward) are exact."
    )
    rows = tuple(_cost_row(evidence, variant, _ratios(evidence, variant)) for variant in evidence.labels)
    head = ("variant", "time an epoch", "times reference", "range", "parameters", "change", "multiply-adds", "change")
    blocks: list[Block] = [words]
    drawn = (
        pd.DataFrame(ratios).T.drop(index="reference", errors="ignore").dropna(how="all").rename(index=evidence.names)
    )
    if len(drawn):
        from ablations.reporting.figures.cost import cost as draw

        caption = f"Cost relative to the reference; bars: lowest to highest seed.{left_out(evidence)}"
        blocks.append(picture("cost", caption, _costs_told(drawn), draw(drawn)))
    blocks += _pareto(evidence)
    blocks.append(Table(caption="Cost of every variant.", head=head, rows=rows, collapsed=len(rows) > 24))
    return Section(title="Cost", blocks=tuple(blocks))


def _plain_cost(evidence: Findings) -> Section:
    """Returns the section for subjects without times of epochs: time of a trial, processor, memory, sizes."""
    sizes = {name: metric.words for name, metric in evidence.study.setting.metrics.items() if metric.kind == SIZE}
    shown = {**USED, **sizes}
    head = ("variant", "time a trial", *shown.values())
    rows = tuple(
        (
            evidence.names[label],
            duration(evidence.median("seconds", label)),
            *(number(evidence.median(name, label), 1 if name == CPU else 0) for name in shown),
        )
        for label in evidence.labels
    )
    # Medians, because the first trials of a study also wait for its workers to start.
    words = "Trials may have shared a machine, so small differences in time mean little."
    table = Table(caption="Cost of every variant, medians over seeds.", head=head, rows=rows, collapsed=len(rows) > 24)
    return Section(title="Cost", blocks=(words, without_empty(table, *shown.values())))


def _pareto(evidence: Findings) -> list[Block]:
    """Returns a figure of the main metric against cost, with the front: the variants that no other beats in both."""
    names = {"error": evidence.metric, "macs": "macs", "seconds": "seconds_per_epoch"}
    controls = set(evidence.study.controls)
    rows = {
        evidence.names[one.label]: {key: evidence.mean(name, one.label) for key, name in names.items()}
        for one in evidence.study.variants
        if one.label in evidence.shown and not controls & {name for name, _ in one.departures}
    }
    points = pd.DataFrame(rows).T.dropna()
    if len(points) < 3:
        return []
    from ablations.reporting.figures.cost import pareto

    metric = evidence.main_metric
    fronts = {cost: front(points, cost, metric.worse) for cost in ("macs", "seconds")}
    caption = (
        f"{metric.noun.capitalize()} against cost, mean over seeds, one point a variant; those on the joined line are "
        f"beaten by no other in both. Where their intervals overlap, so may the places.{left_out(evidence)}"
    )
    words = {"macs": "multiply-accumulates", "seconds": "time"}
    said = [f"by {words[cost]}: {', '.join(names)}" for cost, names in fronts.items()]
    figure = pareto(points, fronts, wording.axis(evidence))
    return [
        picture(
            "pareto", caption, told(f"The variants that no other beats in both {metric.noun} and cost", said), figure
        )
    ]


def front(points: pd.DataFrame, cost: str, worse: int = 1) -> list[str]:
    """Returns the rows that no other row beats in both `error` and `cost`, from the cheapest to the dearest.

    `worse` is the sign of a difference that makes `error` worse: -1 if it holds a metric of which higher is better.
    """
    kept: list[str] = []
    least = inf
    for name, row in points.assign(error=worse * points["error"]).sort_values([cost, "error"]).iterrows():
        if row["error"] < least:
            kept.append(str(name))
            least = float(row["error"])
    return kept


def _costs_told(ratios: pd.DataFrame) -> str:
    words = [
        f"{name} {', '.join(number(row[column]) for column in ('time', 'parameters', 'macs'))}"
        for name, row in ratios.iterrows()
    ]
    return told("Time an epoch, parameters and multiply-accumulates of each variant, in times the reference's", words)


def _ratios(evidence: Findings, variant: str) -> dict[str, float]:
    times = (evidence.values("seconds_per_epoch", variant) / evidence.values("seconds_per_epoch", "reference")).dropna()
    return {
        "time": float(times.mean()) if len(times) else nan,
        "time_low": float(times.min()) if len(times) else nan,
        "time_high": float(times.max()) if len(times) else nan,
        **{name: evidence.mean(name, variant) / evidence.mean(name, "reference") for name in ("parameters", "macs")},
    }


def _cost_row(evidence: Findings, variant: str, row: dict[str, float]) -> tuple[str, ...]:
    return (
        evidence.names[variant],
        duration(evidence.mean("seconds_per_epoch", variant)),
        number(row["time"]),
        interval(row["time_low"], row["time_high"], sign=False),
        number(evidence.mean("parameters", variant), 0),
        change(row["parameters"]),
        number(evidence.mean("macs", variant), 0),
        change(row["macs"]),
    )
