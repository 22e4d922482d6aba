"""Effects, ratios of steps and verdicts as files for other programs: tidy CSV in full precision, and LaTeX tables.

A table that the report leaves out, because its numbers compare nothing, is not written either.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from ablations.analysis import doses
from ablations.analysis.blocks import over_blocks
from ablations.analysis.failures import share_interval
from ablations.analysis.rule import NOT_TESTED
from ablations.analysis.tables import as_csv
from ablations.analysis.time_to_target import speeds
from ablations.analysis.verdict import Verdict
from ablations.analysis.verdicts import Findings
from ablations.core.effect import Effect
from ablations.core.errors import printable
from ablations.core.setting import Metric
from ablations.core.text import MINUS, MISSING, probability
from ablations.core.units import in_unit, interval_of, is_ratio, size, times
from ablations.records.files import write_text
from ablations.reporting import wording
from ablations.reporting.answer import void_words
from ablations.reporting.paper import escaped
from ablations.reporting.sections.time_to_target import METHODS, ratio_words
from ablations.reporting.sections.verdicts import bounds

T = TypeVar("T")
ALL = "mean of all"  # in the column of data sets


def effects_table(evidence: Findings) -> pd.DataFrame:
    """Returns one row an effect, in the metric's unit; nan for a number that there is not.

    With several data sets, the column `data` names the data set of a row; the rows of `ALL` are the means over all of
    them. If the column `scale` is "ratio", estimate, low and high are ratios, and error and spread are of their natural
    logarithms.
    """
    left_out = {"departed", "kept", "trained", "ended", "failing"}  # fields that one cell cannot hold
    left_out |= {"overlap"} if evidence.overlap == 0 else set()
    names = ["component", "level", "kind", "metric", "estimate", "low", "high", "p", "n", "correlation"]
    ratio = is_ratio(evidence.main_metric)
    found = [(ALL, one) for one in evidence.effects]
    found += [
        (name, one) for over in over_blocks(evidence) for name, one in zip(evidence.on_each, over.each, strict=True)
    ]
    rows = [
        {
            **({"data": data} if evidence.on_each else {}),
            **dataclasses.asdict(one),
            **_told(one, ratio),
            **_how_often(one),
        }
        for data, one in found
    ]
    table = pd.DataFrame(rows, columns=None if rows else names)
    return table.drop(columns=[name for name in left_out if name in table])


def _told(effect: Effect, ratio: bool) -> dict[str, Any]:
    """Returns the columns of an effect that are written in another form than they were estimated: those of ratios."""
    if not ratio:
        return {}
    return {name: times(getattr(effect, name)) for name in ("estimate", "low", "high")} | {"scale": "ratio"}


def _how_often(effect: Effect | None) -> dict[str, Any]:
    """Returns how many trainings of both arms did not fail, with exact 95% intervals; 0 of 0 without an effect."""
    names = ("with", "without")
    arms = [(0, 0)] * 2 if effect is None else list(zip(effect.trained, effect.ended, strict=True))
    found: dict[str, Any] = {"unstable": effect is not None and effect.unstable}
    for name, (trained, ended) in zip(names, arms, strict=True):
        low, high = share_interval(trained, ended)
        found |= {f"trained_{name}": trained, f"ended_{name}": ended}
        found |= {f"trained_{name}_low": low, f"trained_{name}_high": high}
    return found


def speeds_table(evidence: Findings) -> pd.DataFrame:
    """Returns one row a change: the ratio of its steps to the target to the reference's, with its interval."""
    rows = [
        {
            "component": one.component,
            "level": one.level,
            "ratio": one.ratio,
            "low": one.interval[0],
            "high": one.interval[1],
            "confidence": one.estimate.level,
            "n": len(one.pairs),
            "censored": one.censored,
            "method": METHODS[one.estimate.method],
        }
        for one in speeds(evidence.study, evidence.results)
    ]
    return pd.DataFrame(rows, columns=None if rows else ["component", "level", "ratio", "low", "high", "n"])


def doses_table(evidence: Findings) -> pd.DataFrame:
    """Returns one row a trend: its slope for each `step`, which is an amount of the dose or `doubling`."""
    told = times if is_ratio(evidence.main_metric) else float
    rows = [
        {
            "component": one.component,
            "unit": one.doses.unit,
            "step": "doubling" if one.doses.log else f"{one.step:g}",
            **{name: told(getattr(one, name)) for name in ("slope", "low", "high")},
            "scale": _scale(evidence.main_metric),
            "p": one.p,
            "p_bend": one.bend,
            "n": one.seeds,
        }
        for one in doses.trends(evidence)
    ]
    return pd.DataFrame(rows)


def verdicts_table(evidence: Findings) -> pd.DataFrame:
    """Returns one row a claim: what it says, what was found, and the verdict."""
    rows = [_verdict_row(verdict) for verdict in evidence.verdicts]
    return pd.DataFrame(rows, columns=None if rows else ["claim", "verdict", "reason", "scope"])


def _verdict_row(verdict: Verdict) -> dict[str, Any]:
    claim, effect = verdict.claim, verdict.effect
    told, also = (times if metric.ratio else float for metric in (verdict.metric, verdict.also_metric))
    published, estimate = claim.published_effect, None if effect is None else effect.estimate
    return {
        "claim": claim.name,
        "family": claim.family,
        "component": claim.component,
        "level": claim.level,
        "against": claim.against,
        "metric": claim.metric,
        "epoch": claim.epoch,
        "direction": claim.direction,
        "also": claim.also,
        "standing": claim.standing,
        "scale": _scale(verdict.metric),
        "smallest_effect": told(claim.smallest_effect),
        "published_effect": None if published is None else told(published),
        "verdict": verdict.call,
        "size": verdict.size,  # beside the smallest effect: above, below (so excluded) or open
        "reason": verdict.reason,
        "scope": verdict.scope,
        "draft": verdict.draft,
        "estimate": None if estimate is None else told(estimate),
        "low": told(verdict.low),
        "high": told(verdict.high),
        "p_holm": None if verdict.call == NOT_TESTED else verdict.p_holm,
        "n": None if effect is None else effect.n,
        "also_estimate": None if verdict.also is None else also(verdict.also.estimate),
        "also_low": also(verdict.also_low),
        "also_high": also(verdict.also_high),
        "seeds_to_settle": verdict.seeds,
        "seeds_to_settle_low": verdict.seeds_low,
        "seeds_to_settle_high": verdict.seeds_high,
        **_how_often(effect),
        "out_of_reach": verdict.out_of_reach,
        "statement": claim.statement,
        "source": claim.source,
    }


def _scale(metric: Metric) -> str:
    """Returns what the effects of a row are: differences, ratios, or logarithms of ratios."""
    return "ratio" if metric.ratio else "logarithm of a ratio" if is_ratio(metric) else "difference"


def _kinds(evidence: Findings) -> tuple[str, ...]:
    """Returns the names of the tables that the study has: a race has no effects, and `speed` needs a target."""
    setting = evidence.study.setting
    effects = () if setting.races else ("effects",)
    dosed = ("doses",) if effects and doses.trends(evidence) else ()
    return (*effects, *dosed, *(() if setting.target is None else ("speed",)), "verdicts")


def write_csv(evidence: Findings, folder: Path) -> list[Path]:
    """Writes verdicts.csv and, if the study has them, effects.csv, doses.csv and speed.csv.  Returns their paths."""
    tables = {"effects": effects_table, "doses": doses_table, "speed": speeds_table, "verdicts": verdicts_table}
    return _write(evidence, folder, "csv", tables, as_csv)


def write_latex(evidence: Findings, folder: Path) -> list[Path]:
    """Writes verdicts.tex and, if the study has them, effects.tex and speed.tex.  Returns their paths.

    They need the package booktabs.  All names in them are escaped.
    """
    texts = {"effects": _effects_latex, "speed": _speed_latex, "verdicts": _verdicts_latex}
    return _write(evidence, folder, "tex", texts, str)


def _write(
    evidence: Findings, folder: Path, ending: str, make: Mapping[str, Callable[[Findings], T]], text: Callable[[T], str]
) -> list[Path]:
    """Writes the tables that the study has, and removes those that an earlier report left.  Returns the paths."""
    kinds = _kinds(evidence)
    paths = {name: folder / f"{name}.{ending}" for name in make}
    for name, path in paths.items():
        if name in kinds:
            write_text(path, printable(text(make[name](evidence))))
        else:
            path.unlink(missing_ok=True)
    return [paths[name] for name in kinds if name in paths]


def _effects_latex(evidence: Findings) -> str:
    metric = evidence.main_metric
    rows = [
        (
            evidence.called(one),
            one.kind,
            size(metric, one.estimate),
            interval_of(metric, one),
            str(one.n),
            probability(one.p),
            *(f"{trained} of {ended}" for trained, ended in zip(one.trained, one.ended, strict=True)),
        )
        for one in evidence.effects
    ]
    head = ("change", "estimand", "effect", "95% interval", "n", "p", "trained with", "without")
    caption = (
        f"{_warned(evidence)}Change in {wording.what(evidence)}, {wording.long_unit(evidence.main_metric)}, paired by "
        "seed, over the seeds where both arms trained."
    )
    return _latex(head, rows, "llrrrrrr", caption, "effects")


def _speed_latex(evidence: Findings) -> str:
    rows = [
        (
            evidence.words.of((one.component, one.level)),
            *ratio_words(one),
            f"{100 * one.estimate.level:.3g}%",
            str(len(one.pairs)),
            str(one.censored),
        )
        for one in speeds(evidence.study, evidence.results)
    ]
    head = ("change", "times the steps", "interval", "confidence", "n", "censored")
    target = evidence.study.setting.target
    assert target
    threshold = rf"{target.value:g}\% {target.metric}"
    caption = f"{_warned(evidence)}Steps to {threshold} over the reference's, paired by seed."
    return _latex(head, rows, "lrrrrr", caption, "speed")


def _verdicts_latex(evidence: Findings) -> str:
    rows = [
        (one.claim.statement, evidence.words.claim(one.claim), *_measured(one), one.label) for one in evidence.verdicts
    ]
    head = ("claim", "change", "effect", "interval", "p, Holm", "verdict")
    whose = "claims" if all(one.own for one in evidence.verdicts) else "published claims"
    caption = f"{_warned(evidence)}Verdicts on {whose}; the intervals hold all together."
    return _latex(head, rows, "p{5cm}lrrrp{3.5cm}", caption, "verdicts")


def _warned(evidence: Findings) -> str:
    """Returns the warning that opens each caption if nothing was judged, as LaTeX; else nothing."""
    void = void_words(evidence)
    return f"{escaped(void)} " if void else ""


def _measured(verdict: Verdict) -> tuple[str, str, str]:
    effect = verdict.effect
    if effect is None or not isfinite(effect.estimate):
        return MISSING, MISSING, MISSING
    p = MISSING if verdict.call == NOT_TESTED else probability(verdict.p_holm)
    metric = verdict.metric
    return in_unit(metric, size(metric, effect.estimate)), bounds(verdict), p


def _latex(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], columns: str, caption: str, name: str) -> str:
    table = pd.DataFrame(rows, columns=list(head))
    style = table.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis="columns")
    text = style.to_latex(hrules=True, column_format=columns, caption=caption, label=f"tab:{name}", position="t")
    text = text.replace("\n[", "\n{}[")  # LaTeX reads a bracket after \\ as its option
    # LaTeX's default encoding (OT1) prints < and > as Spanish punctuation.
    text = text.replace(MINUS, "$-$").replace(MISSING, "--")
    return re.sub(r"(?<!\$)([<>])", r"$\1$", text)
