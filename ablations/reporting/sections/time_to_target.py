"""The section on speed: steps to a training error, and their ratios (figure 1 of Krizhevsky et al. 2012)."""

from __future__ import annotations

from math import exp, inf, isfinite

from ablations.analysis.gates import chance_error
from ablations.analysis.time_to_target import (
    ABOVE,
    BELOW,
    BOUND,
    EXACT,
    LIKELIHOOD,
    NOTHING,
    UNKNOWN,
    Pair,
    Speed,
    T,
    speeds,
    times,
)
from ablations.analysis.verdicts import Findings
from ablations.core.result import Result
from ablations.core.text import MISSING, number, told
from ablations.core.variant import Variant
from ablations.reporting.document import Block, Section, Table
from ablations.reporting.parts import parts_of
from ablations.reporting.sections.outcomes import picture

METHODS = {  # how a ratio was estimated, in words
    T: "paired t interval on the logarithms",
    LIKELIHOOD: "maximum likelihood with censored pairs, profile interval",
    BOUND: "sign-test bound on the median",
    NOTHING: "too few pairs",
}


def section(evidence: Findings, *, judged: bool) -> Section | None:
    """Returns the section, with curves, the steps of each seed and the ratios; None if the study has no target.

    If a race was judged, its curves and ratios are on the first screen, and are not repeated here.
    """
    if evidence.study.setting.target is None:
        return None
    controls = _sentences(evidence, controls=True)
    shown_first = evidence.study.setting.races and judged  # the rest is on the first screen then
    first = controls if shown_first else [*_sentences(evidence, controls=False), *controls, *lead(evidence)]
    measured = parts_of(evidence.study.subject).timing(evidence)
    blocks = (measured, *first, _steps(evidence), _how(speeds(evidence.study, evidence.results)))
    return Section(title=title(evidence), blocks=blocks)


def lead(evidence: Findings) -> tuple[Block, ...]:
    """Returns the curves and the ratios, which are the first screen of a race."""
    found = speeds(evidence.study, evidence.results)
    curves = [_curves(evidence)] if any(result.readings for result in evidence.results) else []
    return (*curves, *([_ratios(evidence, found)] if found else []))


def title(evidence: Findings) -> str:
    """Returns the heading: `Speed to 25% training error (figure 1)`."""
    return f"Speed to {_target(evidence)}{' (figure 1)' if evidence.study.grid == 'figure1' else ''}"


def _target(evidence: Findings) -> str:
    """Writes the target: `25% training error`."""
    target = evidence.study.setting.target
    assert target
    return f"{target.value:g}{target.unit} {target.metric}"


def clauses(evidence: Findings, *, controls: bool) -> list[str]:
    """Returns, for each change or each control, how many times the reference's steps it needs, without a full stop.

    What was published of a change stands with its interval, in brackets.
    """
    found = speeds(evidence.study, evidence.results)
    wanted = [one for one in found if (one.component in evidence.study.controls) == controls]
    return [_clause(evidence, one) for one in wanted]


def _sentences(evidence: Findings, *, controls: bool) -> list[str]:
    return [f"{one}." for one in clauses(evidence, controls=controls)]


def ratio_words(speed: Speed) -> tuple[str, str]:
    """Writes a ratio and its interval: `3.42` with `[2.90, 4.05]`, or with `2.90 or more`."""
    low, high = speed.interval
    if low > 0 and high < inf:
        interval = f"[{number(low)}, {number(high)}]"
    elif low > 0:
        interval = f"{number(low)} or more"
    else:
        interval = f"{number(high)} or less" if high < inf else MISSING
    return number(speed.ratio), interval


def _clause(evidence: Findings, speed: Speed) -> str:
    name = evidence.words.of((speed.component, speed.level))
    ratio, interval = ratio_words(speed)
    beside = _beside(speed, evidence)
    pairs = f"n = {len(speed.pairs)}" + (f", {speed.censored} of them censored" if speed.censored else "")
    level = f"{100 * speed.estimate.level:.3g}%"
    times = f"{name} needs {ratio} times the reference's steps to {_target(evidence)}"
    if isfinite(speed.ratio) and interval != MISSING:
        return f"{times} ({level} interval {interval}, {pairs}{beside})"
    if isfinite(speed.ratio):
        return f"{times} ({pairs}: no interval{beside})"
    if interval != MISSING:
        bound = interval.replace(" or ", " times or ")
        steps = f"{name} needs {bound} of the reference's steps to {_target(evidence)}"
        return f"{steps} (confidence {level} for the median, {pairs}{beside})"
    return f"Of {name} nothing can be said: {pairs or 'no finished pair'}"


def _beside(speed: Speed, evidence: Findings) -> str:
    """Returns what a ratio is compared with: what was published of a change, or 1 for a control; often nothing."""
    if speed.component in evidence.study.controls:
        low, high = speed.interval
        return f"; a control: {'as expected, 1 lies inside' if low <= 1 <= high else 'not as expected, 1 lies outside'}"
    published = parts_of(evidence.study.subject).ratios.get((speed.component, speed.level))
    return f"; published: {published:g} times" if published else ""


def _curves(evidence: Findings) -> Block:
    from ablations.reporting.figures.time_to_target import race

    target = evidence.study.setting.target
    assert target is not None
    readings = {label: [one.readings for one in _of(evidence, label)] for label in evidence.labels}
    controls = {Variant(departures=(pair,)).label for pair in _control_pairs(evidence)}
    others = {
        evidence.names[label]: seeds
        for label, seeds in readings.items()
        if label != "reference" and label not in controls
    }
    caption = (
        f"Training error against steps, a line a seed: the reference solid, {', '.join(others)} dashed, and the "
        "threshold dotted. A cross is where a budget ended first."
    )
    said = [*clauses(evidence, controls=False), *clauses(evidence, controls=True)]
    figure = race(readings.get("reference", []), others, target.value, chance_error(evidence))
    return picture(
        "speed",
        caption,
        told("Training error falling with steps", said),
        figure,
    )


def _control_pairs(evidence: Findings) -> list[tuple[str, str]]:
    return [pair for one in evidence.study.variants for pair in one.departures if pair[0] in evidence.study.controls]


def _of(evidence: Findings, label: str) -> list[Result]:
    return [one for one in evidence.results if one.trial.variant.label == label and one.readings]


def _ratios(evidence: Findings, found: list[Speed]) -> Table:
    rows = []
    for speed in found:
        published = parts_of(evidence.study.subject).ratios.get((speed.component, speed.level))
        rows.append(
            (
                evidence.words.of((speed.component, speed.level)),
                *ratio_words(speed),
                f"{100 * speed.estimate.level:.3g}%",
                str(len(speed.pairs)),
                str(speed.censored),
                METHODS[speed.estimate.method],
                number(published, 0) if published else MISSING,
            )
        )
    head = ("change", "times the steps", "interval", "confidence", "pairs", "censored", "method", "published")
    return Table(caption="Steps with the change over steps without it.", head=head, rows=tuple(rows))


def _steps(evidence: Findings) -> Table:
    by_arm = {label: times(evidence.results, label) for label in evidence.labels}
    pairs = {
        speed.departed: {pair.seed: pair for pair in speed.pairs} for speed in speeds(evidence.study, evidence.results)
    }
    rows = []
    for seed in range(evidence.study.seeds):
        row = [str(seed)]
        for label in evidence.labels:
            steps, reached = by_arm[label].get(seed, (float("nan"), True))
            row.append(f"{'' if reached else '> '}{number(steps, 0)}")
        row += [_ratio_of(found.get(seed)) for found in pairs.values()]
        rows.append(tuple(row))
    names = evidence.names
    head = ("seed", *(names[label] for label in evidence.labels), *(f"{names[label]} / reference" for label in pairs))
    caption = "Steps to the threshold of each seed, and their ratios; > marks what was censored there."
    return Table(caption=caption, head=head, rows=tuple(rows))


def _ratio_of(pair: Pair | None) -> str:
    if pair is None or pair.known == UNKNOWN:
        return MISSING
    return f"{ {EXACT: '', ABOVE: '> ', BELOW: '< '}[pair.known] }{number(exp(pair.log_ratio))}"


def _how(found: list[Speed]) -> str:
    methods = {speed.estimate.method for speed in found}
    words = [
        "Ratios are geometric means over seeds: means and intervals are of logarithms, paired by seed "
        "(t(0.975, n \N{MINUS SIGN} 1) · s / √n where every run arrived)."
    ]
    if LIKELIHOOD in methods:
        words.append(
            "Where runs were censored, a normal distribution is fitted to the log-ratios by maximum likelihood, in "
            "which a censored pair counts with its chance of lying beyond; the interval is that of the profile "
            "likelihood, with the cut that gives the t interval where nothing is censored."
        )
    if BOUND in methods:
        words.append(
            "Where fewer than two pairs arrived, only a bound is given: each of n values lies above the median with "
            "chance one half, so the median lies below all of them with chance 2 to the power of \N{MINUS SIGN}n."
        )
    return " ".join(words)
