"""Effects and verdicts as files for other programs: tidy CSV in full precision, and LaTeX tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd

from ablations.claims import METRICS, label_of
from ablations.evidence import Evidence
from ablations.sections.document import MINUS, MISSING, interval, probability, signed
from ablations.sections.notes import label
from ablations.sections.verdicts import bounds, is_ratio, size
from ablations.verdicts import NOT_TESTED, Verdict


def effects_table(evidence: Evidence) -> pd.DataFrame:
    """One row an effect, in the metric's unit; nan where there is none."""
    left_out = {"departed", "kept"}  # lists of variants, which no cell holds
    names = ["component", "level", "kind", "metric", "estimate", "low", "high", "p", "n", "correlation"]
    rows = [dataclasses.asdict(effect) for effect in evidence.effects]
    table = pd.DataFrame(rows, columns=None if rows else names)
    return table.drop(columns=[name for name in left_out if name in table])


def verdicts_table(evidence: Evidence) -> pd.DataFrame:
    """One row a claim: what it says, what was found, and the verdict."""
    rows = [_verdict_row(verdict) for verdict in evidence.verdicts]
    return pd.DataFrame(rows, columns=None if rows else ["claim", "verdict", "reason", "scope"])


def _verdict_row(verdict: Verdict) -> dict[str, Any]:
    claim, effect = verdict.claim, verdict.effect
    return {
        "claim": claim.name,
        "family": claim.family,
        "component": claim.component,
        "level": claim.level,
        "against": claim.against,
        "metric": claim.metric,
        "epoch": claim.epoch,
        "direction": claim.direction,
        "smallest_effect": claim.smallest_effect,
        "published_effect": claim.published_effect,
        "verdict": verdict.call,
        "reason": verdict.reason,
        "scope": verdict.scope,
        "draft": verdict.draft,
        "estimate": None if effect is None else effect.estimate,
        "low": verdict.low,
        "high": verdict.high,
        "p_holm": verdict.p_holm,
        "n": None if effect is None else effect.n,
        "seeds_to_settle": verdict.seeds,
        "statement": claim.statement,
        "source": claim.source,
    }


def write_csv(evidence: Evidence, folder: Path) -> list[Path]:
    """effects.csv and verdicts.csv."""
    tables = {"effects.csv": effects_table(evidence), "verdicts.csv": verdicts_table(evidence)}
    for name, table in tables.items():
        table.to_csv(folder / name, index=False)
    return [folder / name for name in tables]


def write_latex(evidence: Evidence, folder: Path) -> list[Path]:
    """effects.tex and verdicts.tex, which want the package booktabs; every name in them is escaped."""
    effects = [
        (label(one), one.kind, signed(one.estimate), interval(one.low, one.high), str(one.n), probability(one.p))
        for one in evidence.effects
    ]
    verdicts = [(one.claim.statement, label_of(one.claim), *_measured(one), one.label) for one in evidence.verdicts]
    phase = evidence.phase
    tables = {
        "effects.tex": (
            ("change", "estimand", "effect", "95% interval", "n", "p"),
            effects,
            "llrrrr",
            f"Change in {phase} top-1 error, percentage points, paired by seed.",
        ),
        "verdicts.tex": (
            ("claim", "change", "effect", "interval", "p, Holm", "verdict"),
            verdicts,
            "p{5cm}lrrrp{3.5cm}",
            "Verdicts on published claims; the intervals hold all together.",
        ),
    }
    for name, (head, rows, columns, caption) in tables.items():
        (folder / name).write_text(_latex(head, rows, columns, caption, name.removesuffix(".tex")), encoding="utf-8")
    return [folder / name for name in tables]


def _measured(verdict: Verdict) -> tuple[str, str, str]:
    effect, claim = verdict.effect, verdict.claim
    if effect is None or not isfinite(effect.estimate):
        return MISSING, MISSING, MISSING
    p = MISSING if verdict.call == NOT_TESTED else probability(verdict.p_holm)
    unit = "times" if is_ratio(claim) else METRICS[claim.metric]
    return f"{size(claim, effect.estimate)} {unit}", bounds(verdict), p


def _latex(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], columns: str, caption: str, name: str) -> str:
    table = pd.DataFrame(rows, columns=list(head))
    style = table.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis="columns")
    text = style.to_latex(hrules=True, column_format=columns, caption=caption, label=f"tab:{name}", position="t")
    text = text.replace("\n[", "\n{}[")  # after a line's end LaTeX would take a bracket for an option of it
    # In text of LaTeX's old encoding < and > print as Spanish punctuation.
    for letter, words in ((MINUS, "$-$"), (MISSING, "--"), ("<", "$<$"), (">", "$>$")):
        text = text.replace(letter, words)
    return text
