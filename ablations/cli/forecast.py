"""Writes what a dry run says of a plan: which effects its seeds can find, and what other designs would cost."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite

from ablations.analysis.evidence import Evidence
from ablations.analysis.power import ASSUMED, outlook
from ablations.core.claim import MAIN, metric_of
from ablations.core.result import Result
from ablations.core.study import Study
from ablations.core.text import counted, duration
from ablations.core.units import near_one, times
from ablations.planning import grids
from ablations.planning.alternatives import Design, Need, need
from ablations.planning.cost import Paces


def alternative_lines(
    study: Study,
    found: Sequence[Design],
    paces: Paces,
    results: Sequence[Result],
    *,
    workers: int,
) -> list[str]:
    """Returns a table of designs and the cheapest that decides all claims, as lines; [] for a study without claims."""
    claims = [claim.name for claim in study.claims]
    if not claims or not found:
        return []
    pilot = Evidence(study=study, results=results)
    rows: list[str] = []
    costs: list[tuple[float, Design, Need]] = []
    for design in found:
        needed = need(design, claims, pilot=pilot)
        cost = inf
        if design.study:
            cost = design.seconds(paces, seeds=needed.seeds, work=study.setting.work, workers=workers)
        if needed.decides:
            costs.append((cost, design, needed))
        rows.append(_row(design, needed, cost))
    head = f"{'design':<12}{'variants':>9}{'seeds that decide':>19}{'trials':>9}{'time here':>14}  judged on"
    return [head, *rows, *_cheapest(costs, needed_pilot=_unknown(found, claims, pilot))]


def _row(design: Design, needed: Need, cost: float) -> str:
    if design.study is None:
        return f"{design.grid:<12}{'-':>9}  cannot be had: {design.why_not}"
    variants, a_seed = len(design.study.variants), design.study.trials_a_seed
    if needed.hopeless:
        return f"{design.grid:<12}{variants:>9}{'over 10,000':>19}  for {', '.join(needed.hopeless)}"
    kept = f"{needed.seeds:>19}{needed.seeds * a_seed:>9,}{duration(round(cost)):>14}  {_estimand(design)}"
    lacks = f"; cannot ask {', '.join(needed.unasked)}" if needed.unasked else ""
    return f"{design.grid:<12}{variants:>9}{kept}{lacks}"


def _estimand(design: Design) -> str:
    if design.study is None or design.study.estimand != MAIN:
        return "single changes of the reference"
    clear = design.study is not None and not design.study.aliases
    return f"main effects, averaged over the others{', and interactions' * clear}"


def _unknown(found: Sequence[Design], claims: Sequence[str], pilot: Evidence) -> tuple[str, ...]:
    asked = [need(design, claims, pilot=pilot).unknown for design in found if design.study]
    return max(asked, key=len, default=())


def _cheapest(costs: Sequence[tuple[float, Design, Need]], *, needed_pilot: Sequence[str]) -> list[str]:
    """Returns the lines below the table: the cheapest design, and what it leaves unknown."""
    if not costs:
        return ["cheapest: none of these designs decides every claim; take fewer components or claims."]
    cost, design, needed = min(costs, key=lambda one: one[0])
    assert design.study
    usual = design.study.resolution == grids.RESOLUTIONS[0]
    resolution = "" if usual else f" --resolution {design.study.resolution}"
    said = [
        f"cheapest: {design.grid} with {counted(needed.seeds, 'seed')}, about {duration(round(cost))} here: "
        f"--grid {design.grid}{resolution} --seeds {needed.seeds}"
    ]
    if needed.otherwise < needed.seeds:
        said.append(f"All but {needed.dearest} would be decided by {counted(needed.otherwise, 'seed')}.")
    rule = design.study.rule
    if needed.seeds < rule.seeds:
        said.append(f"Verdicts from fewer than {rule.seeds} seeds are still labelled as drafts.")
    if needed_pilot:
        said.append(f"Not counted, since only a pilot can tell how much they scatter: {', '.join(needed_pilot)}.")
    return said + list(ASSUMED) * any(one.assumed for *_, one in costs)


def detects(study: Study, results: Sequence[Result]) -> str:
    """Returns a clause: the smallest effect that the seeds find, and how many claims need more seeds."""
    rows = outlook(study, results)
    if not rows:
        return "no claim is about these changes, so nothing is judged"
    metric = study.setting.main_metric
    main = [row for row in rows if metric_of(row.claim, study.setting.phase) == study.setting.main]
    known = [row.resolved for row in main if isfinite(row.resolved)]
    if not known:
        pilot = "run --seeds 3 first" if study.seeds > 3 else "two seeds or more, once they are trained"
        return f"which effects it can find is not known before a pilot: {pilot}"
    least = f"{_ratio(max(known))} times" if metric.ratio else f"{_brief(max(known), 1)} {metric.unit}".rstrip()
    more = [row for row in rows if isfinite(row.spread) and (row.seeds is None or row.seeds > study.seeds)]
    verb = "needs" if len(more) == 1 else "need"
    asking = f"; {len(more)} of {counted(len(rows), 'claim')} {verb} more than {counted(study.seeds, 'seed')}"
    what = study.setting.evaluated(metric.words)
    return f"effects on the {what} above {least}, four times in five{asking if more else ''}"


def power_lines(study: Study, results: Sequence[Result]) -> list[str]:
    """Returns a table of what the seeds can tell of each claim, as lines; [] for a study without claims."""
    rows = outlook(study, results)
    if not rows:
        return []
    width = max(len(row.claim.name) for row in rows)
    source = {True: "pilot", False: "prior"}
    head = f"{'of interest':>12}{'scatter':>10}{'from':>7}{'resolved':>10}{'seeds that decide':>19}"
    found = [f"{'claim':<{width}}  {head}"]
    for row in rows:
        metric = study.setting.metrics.get(row.claim.metric)
        ratio = bool(metric and metric.ratio)  # but the scatter of a ratio is shown in logarithms
        resolved = _ratio(row.resolved) if ratio and isfinite(row.resolved) else _rounded(row.resolved)
        numbers = (_rounded(row.spread), source[row.piloted] if isfinite(row.spread) else "-", resolved)
        decide = f"{row.seeds:,}" if row.seeds else "over 10,000" if isfinite(row.spread) else "needs a pilot"
        least = row.claim.smallest_effect
        cells = f"{times(least) if ratio else least:>12g}{numbers[0]:>10}{numbers[1]:>7}{numbers[2]:>10}{decide:>19}"
        found.append(f"{row.claim.name:<{width}}  {cells}")
    comparisons = len({question for claim in study.claims for question in claim.questions})
    found += [
        f"resolved: the smallest effect that {study.seeds} seeds find four times in five ({comparisons} comparisons).",
        "Short or unstable trainings scatter more than a prior says; a pilot of 3 seeds measures how much.",
    ]
    return found + list(ASSUMED) * any(row.assumed for row in rows)


def _rounded(value: float) -> str:
    return _brief(value, 2) if isfinite(value) else "-"


def _ratio(logarithm: float) -> str:
    """Writes the ratio with this logarithm; near 1 with more digits, as `1.00` would say that it is no effect."""
    ratio = times(logarithm)
    return _brief(ratio, near_one(ratio, 2)) if isfinite(ratio) else "no bound"


def _brief(value: float, digits: int) -> str:
    """Writes a number above zero with so many digits after the point, or with three figures if it is small or large."""
    return f"{value:.{digits}f}" if 0.1 <= value < 1e5 else f"{value:.3g}"
